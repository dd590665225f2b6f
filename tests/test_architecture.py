"""The code as a whole: its rooms, which way their imports run, and the rules that every module keeps."""

import ast
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from keva.storage import schema

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "keva").rglob("*.py")
}

# A room is a folder or a module of keva/. Lowest floor first: each room imports from the floors below it, and from
# itself.
FLOORS = [
    {"clocks", "errors", "files", "limits", "log", "patterns", "runtime", "seqs", "times"},
    {"models", "strict_json"},
    {"envelopes", "storage", "validation", "http"},
    {"erased", "identity"},
    {"events", "workspaces", "people", "conversations", "forms", "history", "threads"},
    {"tickets", "webhooks", "search"},
    {"api", "erasing", "transfer", "inbox", "remote"},
    {"testing"},
    {"cli"},
    {"__main__", "pytest_plugin"},
]
# What the floors alone would allow, and the architecture does not.
HTTP_IMPORTS = {"clocks", "errors", "limits", "log"}
IMPORTERS_OF_HTTP = {"testing", "cli"}
FOR_TYPES_ALONE = {
    ("keva.testing.control", "keva.testing.sandbox"),
    ("keva.testing.webhook_control", "keva.testing.sandbox"),
    ("keva.testing.snapshot_control", "keva.testing.sandbox"),
    ("keva.testing.endpoints", "keva.testing.sandbox"),
    ("keva.testing.desk_control", "keva.testing.desks"),
    ("keva.pytest_plugin", "keva.testing"),
    ("keva.http.task", "keva.http.channel"),
    ("keva.http.channel", "keva.http.listener"),
}

# Each run of pytest loads the plugin, and the fixture alone needs what is heavy.
LOADED_WHEN_ASKED_FOR = ("keva.pytest_plugin", "keva_server")


def room(name):
    return name.split(".")[1]


def imports_of(name):
    """The modules of ours that this one imports, and those that it imports for types alone."""
    tree = ast.parse(MODULES[name].read_text())
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found, for_types = set(), set()
    for node in ast.walk(tree):
        names = set()
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively: the rules here read absolute names"
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        (for_types if node in guarded else found).update(names)
    known = MODULES.keys() - {name, "keva", name.rpartition(".")[0]}
    return found & known, for_types & known


def test_every_room_has_its_floor():
    assert {room(name) for name in MODULES if name != "keva"} == set().union(*FLOORS)


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"keva"}))
def test_a_room_imports_from_the_floors_below_it_alone(name):
    floor = next(number for number, rooms in enumerate(FLOORS) if room(name) in rooms)
    allowed = set().union({room(name)}, *FLOORS[:floor])
    if room(name) == "http":
        allowed = HTTP_IMPORTS | {"http"}
    if room(name) not in IMPORTERS_OF_HTTP | {"http"}:
        allowed -= {"http"}
    imported, for_types = imports_of(name)
    assert {room(other) for other in imported} <= allowed
    assert {(name, other) for other in for_types} <= FOR_TYPES_ALONE


def test_the_doors_do_not_know_each_other():
    doors = {"api", "inbox", "transfer", "remote"}
    for name in MODULES.keys() - {"keva"}:
        if room(name) in doors:
            assert not {room(other) for other in imports_of(name)[0]} & (doors - {room(name)}), name


def test_no_imports_go_round_in_a_circle():
    done, rest = set(), {name: imports_of(name)[0] for name in MODULES}
    while rest:
        ready = {name for name, wanted in rest.items() if wanted <= done}
        assert ready, f"a circle among {sorted(rest)}"
        done |= ready
        rest = {name: wanted for name, wanted in rest.items() if name not in ready}


@pytest.mark.parametrize(
    "name",
    [
        "keva.tickets",
        "keva.workspaces",
        "keva.people",
        "keva.transfer.importer",
        "keva.transfer.exporter",
        "keva.storage.backups",
    ],
)
def test_the_desk_knows_nothing_of_flask_or_the_command_line(name):
    code = f"import sys, {name}; sys.exit(bool({{'flask', 'werkzeug', 'waitress', 'click'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    "name", [name for name in MODULES if name.split(".")[1:2] in (["api"], ["http"], ["cli"], ["inbox"])]
)
def test_only_the_nouns_of_the_desk_storage_and_transfer_hold_sql(name):
    texts = [node.value for node in ast.walk(ast.parse(MODULES[name].read_text())) if isinstance(node, ast.Constant)]
    assert not [
        text
        for text in texts
        if isinstance(text, str) and text.strip().startswith(("SELECT ", "INSERT ", "UPDATE ", "DELETE "))
    ]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_in_one_sentence_what_it_is(name):
    told = ast.get_docstring(ast.parse(MODULES[name].read_text()))
    assert told
    assert "\n" not in told


@pytest.mark.parametrize("name", MODULES)
def test_no_import_hides_in_a_function(name):
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.FunctionDef) and (name, node.name) != LOADED_WHEN_ASKED_FOR:
            assert not [inner for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom)], node.name


@pytest.mark.parametrize("name", MODULES)
def test_no_error_is_swallowed_whole(name):
    """One that does not matter is named, in `suppress`, which tells a reader so."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ExceptHandler):
            assert node.type, f"a bare except in line {node.lineno}"
            assert not isinstance(node.body[0], ast.Pass | ast.Continue), f"line {node.lineno}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "suppress":
            assert not {ast.unparse(argument) for argument in node.args} & {"Exception", "BaseException"}


@pytest.mark.parametrize("name", [name for name in MODULES if name != "keva" and room(name) not in ("cli", "clocks")])
def test_nothing_in_a_suites_process_waits_by_a_clock_that_the_suite_may_stop(name):
    """time-machine before 3.0 stops time.monotonic, and with it a condition's own wait_for: clocks.py has both."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Attribute | ast.Name | ast.alias):
            assert getattr(node, "attr", getattr(node, "id", getattr(node, "name", None))) != "monotonic"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "wait_for":
            assert "_changed" not in ast.unparse(node.func), f"line {node.lineno}: use clocks.wait_until"


def test_the_package_itself_imports_nothing():
    nodes = ast.walk(ast.parse(MODULES["keva"].read_text()))
    assert not [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def test_every_table_is_strict():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.create(connection, "ws_1", "user_1", "2024-01-15T10:30:00Z", for_tests=True)
        tables = connection.execute(
            "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        assert dict(tables.fetchall()) == {
            name: 1 for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }


def test_a_thread_of_ours_has_no_name_that_threads_have_themselves():
    """On Python 3.13 a method named `_handle` was no method any more."""
    taken = {*dir(threading.Thread), *vars(threading.Thread()), "_handle", "_context"} - {"__init__", "run"}
    found = 0
    for module in MODULES.values():
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Thread") for base in node.bases):
                found += 1
                methods = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
                values = {
                    one.attr
                    for one in ast.walk(node)
                    if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store)
                }
                assert (methods | values) & taken == set(), node.name
    assert found == 3
