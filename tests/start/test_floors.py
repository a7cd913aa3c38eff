"""The folders of amsmail are floors: a module imports from its own floor or a lower one, and never in a circle."""

import ast
import re
from graphlib import TopologicalSorter

import pytest

from ..etc.installation import PROJECT

FLOORS = {"wire": 0, "protocol": 1, "store": 2, "site": 2, "link": 3, "transport": 3, "setup": 4, "program": 5}
# Floor 4 has rooms, from the entrance on; what lies beside them (0) is for all.
ROOMS = {"ask": 1, "provider": 2, "imports": 3, "doctor": 4, "installing": 5, "install": 6}
ENGINES = {"smtp_server", "pop3_server", "smtp_client", "pop3_client", "imap_client"}
WORLD = {"os", "io", "socket", "_socket", "select", "selectors", "time", "threading", "asyncio", "subprocess",
         "pathlib"}

MODULES = {".".join(path.relative_to(PROJECT).with_suffix("").parts): path
           for path in (PROJECT / "amsmail").rglob("*.py") if path.name != "__init__.py"}


def imports(name):
    """The modules that the module `name` imports anywhere in its text, also on demand."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(whole & MODULES.keys() or {node.module})
    return found


def folder(name):
    return name.split(".")[1]


def test_every_folder_is_a_floor():
    assert {folder(name) for name in MODULES} == FLOORS.keys()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_from_no_higher_floor(name):
    for other in imports(name) & MODULES.keys():
        assert FLOORS[folder(other)] <= FLOORS[folder(name)], f"{name} imports {other}"


def room(name):
    return ROOMS.get(name.split(".")[2], 0)


@pytest.mark.parametrize("name", [name for name in MODULES if folder(name) == "setup"])
def test_a_module_of_setup_imports_from_no_later_room(name):
    for other in imports(name) & MODULES.keys():
        assert folder(other) != "setup" or room(other) <= room(name), f"{name} imports {other}"


def test_no_imports_go_in_a_circle():
    TopologicalSorter({name: imports(name) & MODULES.keys() for name in MODULES}).prepare()


@pytest.mark.parametrize("name", [name for name in MODULES if FLOORS[folder(name)] < 2])
def test_wire_and_protocol_know_nothing_of_the_world(name):
    assert not {other.partition(".")[0] for other in imports(name)} & WORLD


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_engines_do_not_import_each_other(engine):
    others = {f"amsmail.protocol.{other}" for other in ENGINES - {engine}}
    assert not imports(f"amsmail.protocol.{engine}") & others


def test_the_list_of_engines_is_complete():
    found = {name.rpartition(".")[2] for name, path in MODULES.items()
             if folder(name) == "protocol" and re.search(r"(?m)^class \w+\((\w*Engine|ImapSession)\):", path.read_text())}
    assert found == ENGINES | {"script", "imap_session"}       # what the clients' engines have in common, or stand on


def test_only_durable_makes_files_safe_or_removes_them():
    calls = {"fsync", "fdatasync", "link", "rename", "replace", "unlink", "remove", "rmdir"}
    for name, path in MODULES.items():
        used = {node.attr for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"}
        assert name == "amsmail.store.durable" or not used & calls, name
