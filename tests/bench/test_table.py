"""What is printed of a row, and how several runs make one."""

import json

from scripts.bench import table
from scripts.bench.run import Row, median

GOOD = Row(peer="mpop", profile="vsat", workload="in", air_s=5.6, bytes_up=8000, bytes_down=300000, packets=400,
           turns=6, floor_a=2.8, floor_b=1.4, delivered=20, expected=20, waits=8.5, all_turns=6, connections=1,
           lost_up=0, lost_down=0, left=0, duplicates=0, note="")


def test_json_has_the_keys_that_others_rely_on():
    row = json.loads(table.as_json(GOOD))
    assert row.items() >= {"peer": "mpop", "profile": "vsat", "workload": "in", "air_s": 5.6, "bytes_up": 8000,
                           "bytes_down": 300000, "packets": 400, "turns": 6, "floor_a": 2.8, "floor_b": 1.4,
                           "delivered": 20, "expected": 20}.items()
    assert (row["ratio_a"], row["ratio_b"]) == (2.0, 4.0)


def test_medians_of_three_runs():
    row = median([GOOD, GOOD._replace(air_s=9.0, turns=7), GOOD._replace(air_s=6.0, turns=6)])
    assert (row.air_s, row.turns) == (6.0, 6)


def test_a_run_that_failed_or_lost_mail_is_not_hidden_by_the_others():
    assert median([GOOD, GOOD._replace(delivered=19), GOOD]).delivered == 19
    failed = median([GOOD, GOOD._replace(note="killed", air_s=0.0, delivered=0), GOOD])
    assert (failed.note, failed.air_s) == ("killed", 5.6)


def test_what_became_of_the_messages_is_marked():
    assert table.outcome(GOOD) == "20/20"
    assert table.outcome(GOOD._replace(delivered=19)) == "19/20, LOST SOME"
    assert table.outcome(GOOD._replace(duplicates=2)) == "20/20, 2 MORE THAN ONCE"
    assert table.outcome(GOOD._replace(left=20)) == "20/20, 20 left there"
    assert table.outcome(GOOD._replace(note="x", delivered=0)) == "0/20, FAILED"


def test_columns_stand_below_their_headings():
    line = table.line(GOOD)
    for heading, value in (("link s", "5.60"), ("kB down", "300.0"), ("turns", "6"), ("conns", "1")):
        end = table.HEADINGS.index(heading) + len(heading)
        assert line[:end].endswith(value)
