"""What `pip install .` brings, into an environment of its own, run from another folder."""

import configparser
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.commands import LEFT_OUT, ROOT, environ


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel, tmp_path_factory):
    """The scripts' folder of a new environment with the wheel; what it depends on comes from this one, for speed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = next(folder.glob("*/python"))
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel],
        check=True,
        capture_output=True,
    )
    site = next(folder.glob("lib/*/site-packages"))
    # The folder alone, not its .pth files: they would bring this checkout in again.
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def test_the_wheel_holds_the_true_schema_and_its_types(wheel):
    with zipfile.ZipFile(wheel) as held:
        assert held.read("keva/schema.sql") == (ROOT / "schema.sql").read_bytes()
        assert "keva/py.typed" in held.namelist()
        assert not [name for name in held.namelist() if name.startswith("tests")]


def test_a_source_distribution_holds_all_of_the_checkout(tmp_path):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path], cwd=ROOT, check=True)
    [built] = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as held:
        names = {name.partition("/")[2] for name in held.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(listed.stdout.splitlines()) - names == set()


def test_the_wheel_holds_every_file_that_the_inbox_is_made_of(wheel):
    with zipfile.ZipFile(wheel) as held:
        names = held.namelist()
    files = [path for path in (ROOT / "keva/inbox").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} >= {".html", ".css", ".js", ".py"}
    assert {str(path.relative_to(ROOT)) for path in files} <= set(names)


def test_it_depends_on_what_it_runs_with_and_not_on_pytest(wheel):
    with zipfile.ZipFile(wheel) as held:
        [name] = [name for name in held.namelist() if name.endswith("METADATA")]
        metadata = held.read(name).decode()
    needed = set(re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE))
    assert needed == {"click", "flask", "pydantic", "waitress"}
    assert "Requires-Python: >=3.11" in metadata


def test_it_brings_the_command_and_the_plugin(wheel):
    """The other environment's own entry points are found too, so a suite that finds the fixture proves it not."""
    with zipfile.ZipFile(wheel) as held:
        [name] = [name for name in held.namelist() if name.endswith("entry_points.txt")]
        told = configparser.ConfigParser()
        told.read_string(held.read(name).decode())
    assert {section: dict(told[section]) for section in told.sections()} == {
        "console_scripts": {"keva": "keva.cli:run"},
        "pytest11": {"keva": "keva.pytest_plugin"},
    }


def test_the_requirements_are_the_cards_four_packages():
    names = re.findall(r"^[\w-]+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert names == ["flask", "pydantic", "pytest", "waitress"]
    bounds = dict(re.findall(r"^([\w-]+)(.*)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"]:
        name = re.match(r"[\w-]+", line)[0]
        assert bounds.get(name, line.removeprefix(name)) == line.removeprefix(name)


def test_the_command_serves_from_another_folder(scripts, tmp_path):
    command = [scripts / "keva", "serve", "--port", "0", "--api-key", "keva_live_wheel"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ(), stdout=subprocess.PIPE, text=True)
    origin = re.search(r"http://\S+", process.stdout.readline())[0]
    answer = httpx.get(f"{origin}/api/v1/tickets", headers={"Authorization": "Bearer keva_live_wheel"})
    process.terminate()
    process.communicate()

    assert answer.status_code == 200
    assert process.returncode == 0
    assert (tmp_path / "keva.db").exists()


def test_the_command_tells_the_version_of_the_wheel(wheel, scripts):
    told = subprocess.run([scripts / "keva", "--version"], env=environ(), capture_output=True, text=True, check=True)
    assert told.stdout == f"keva {wheel.name.split('-')[1]}\n"


def test_the_code_that_runs_there_is_the_wheels(scripts, tmp_path):
    where = subprocess.run(
        [scripts / "python", "-c", "import keva; print(keva.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(scripts.parent)


def test_a_suite_in_an_empty_folder_finds_the_fixture(scripts, tmp_path):
    (tmp_path / "test_form.py").write_text(
        "import urllib.request\n"
        "\n"
        "def test_the_desk_is_there(keva):\n"
        "    ticket = keva.seed(subject='It broke')\n"
        "    request = urllib.request.Request(f\"{keva.url}/api/v1/tickets/{ticket['id']}\")\n"
        "    request.add_header('Authorization', f'Bearer {keva.key}')\n"
        "    with urllib.request.urlopen(request) as answer:\n"
        "        assert b'It broke' in answer.read()\n"
    )
    done = subprocess.run(
        [scripts / "python", "-W", "error", "-m", "pytest", "-q", *LEFT_OUT],
        cwd=tmp_path,
        env=environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "tests", ["tests/contract/test_examples.py", pytest.param("tests/contract", marks=pytest.mark.slow)]
)
def test_the_contract_holds_for_the_installed_wheel(scripts, tmp_path, tests):
    command = [scripts / "keva", "serve", "--port", "0", "--api-key", "keva_live_wheel"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ(), stdout=subprocess.PIPE, text=True)
    origin = re.search(r"http://\S+", process.stdout.readline())[0]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *LEFT_OUT, tests],
        cwd=ROOT,
        env=environ(KEVA_BASE_URL=origin, KEVA_API_KEY="keva_live_wheel"),
        capture_output=True,
        text=True,
        check=False,
    )
    process.terminate()
    process.communicate()
    assert re.search(r"^\d+ passed, \d+ skipped", done.stdout, re.MULTILINE), done.stdout[-2000:]
