"""docs/INTEROP tells what the tests show, no more and no less."""

from . import table


def test_table_tells_what_the_tests_show():
    document = table.FILE.read_text()
    told, shown = table.read(document), table.lines(table.declared())
    assert told == shown, "write it anew: scripts/test tests/interop --interop-table"
    assert max(map(len, document.splitlines())) <= 120


def test_table_names_every_program_in_its_group():
    known = [name for programs in table.GROUPS.values() for name in programs]
    assert {row[0] for row in table.declared()} == set(known)
    document = table.FILE.read_text()
    places = [document.index(f"\n{group}\n") for group in table.GROUPS]
    assert places == sorted(places)
