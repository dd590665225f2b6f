"""The code as a whole: its rooms, and which way their doors open."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "keva").rglob("*.py")
}


def imported(name):
    """The modules of ours that this one imports, for types alone left out."""
    tree = ast.parse(MODULES[name].read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body.clear()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return (found & MODULES.keys()) - {name, "keva"}


def test_imports_run_one_way():
    done, rest = set(), {name: imported(name) - {name.rpartition(".")[0]} for name in MODULES}
    while rest:
        ready = {name for name, wanted in rest.items() if wanted <= done}
        assert ready, f"a cycle among {sorted(rest)}"
        done |= ready
        rest = {name: wanted for name, wanted in rest.items() if name not in ready}


@pytest.mark.parametrize("name", ["keva.db", "keva.tickets", "keva.identity", "keva.transfer", "keva.backup"])
def test_the_desk_knows_nothing_of_flask_or_the_command_line(name):
    code = f"import sys, {name}; sys.exit(bool({{'flask', 'werkzeug', 'waitress', 'click'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_in_one_sentence_what_it_is(name):
    told = ast.get_docstring(ast.parse(MODULES[name].read_text()))
    assert told
    assert "\n" not in told


@pytest.mark.parametrize("name", MODULES)
def test_no_import_hides_in_a_function(name):
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.FunctionDef):
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


def test_the_package_itself_imports_nothing():
    nodes = ast.walk(ast.parse(MODULES["keva"].read_text()))
    assert not [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def test_each_module_imports_only_from_the_rows_below_it_in_the_readme_and_a_leaf_from_none():
    layout = (ROOT / "README.md").read_text().partition("## How the code is laid out")[2]
    walk, doors = layout.split("Other doors", 1)
    rows = [
        re.findall(r"`(?:keva/)?(\w+)(?:\.py|/)`", line.split("|")[1]) for line in walk.splitlines() if "| `" in line
    ]
    leaves = re.findall(r"(\w+)\.py", next(line for line in doors.splitlines() if line.endswith("| leaves |")))
    row_of = {module: number for number, row in enumerate([*rows, leaves]) for module in row}
    assert row_of.keys() >= {"cli", "web", "api", "tickets", "db", "errors"}
    for name in MODULES:
        module = name.split(".")[1] if "." in name else name
        for below in {other.split(".")[1] for other in imported(name)} if module in row_of else ():
            assert below in row_of or module not in leaves, f"{name} imports {below}"
            assert row_of.get(below, len(rows)) >= row_of[module], f"{name} imports {below}"


def test_every_table_is_strict():
    schema = (ROOT / "schema.sql").read_text()
    assert schema.count("CREATE TABLE") == schema.count("STRICT")
