"""The code as a whole: its rooms, and which way their doors open."""

import ast
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


def test_every_table_is_strict():
    schema = (ROOT / "schema.sql").read_text()
    assert schema.count("CREATE TABLE") == schema.count("STRICT")
