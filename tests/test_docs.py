"""The README and the other pages: every block of code runs as written, and what they name is there."""

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from contextlib import ExitStack

import pytest
import yaml

from keva.cli.settings import DB, SERVE_OPTIONS
from tests.commands import LEFT_OUT, ROOT, environ
from tests.test_architecture import FLOORS

NAMES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
NAMES += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
FENCED = re.compile(r"^```(.*)\n((?s:.*?))^```$", re.MULTILINE)
BLOCKS = {name: FENCED.findall(text) for name, text in PAGES.items()}
LINES = {name: FENCED.sub("", text) for name, text in PAGES.items()}

START = "python3 -m venv .venv && .venv/bin/pip install -qr requirements.txt && .venv/bin/python app.py\n"
TEST = "python3 -m venv .venv && .venv/bin/pip install -qe '.[test]' && .venv/bin/python -m pytest -n auto\n"
TOOLS = {"js": "node", "ini": "systemd-analyze", "nginx": "nginx"}


class Reader:
    """Who pastes the blocks of a page, one after the other, into a fresh checkout."""

    def __init__(self, checkout, tmp_path):
        self.checkout, self.folder = checkout, tmp_path
        self.output = ""
        self.servers, self.receivers = [], []
        written = ("8080", "8081", "9000")
        with ExitStack() as stack:
            free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in written]
            self._ports = dict(zip(written, map(str, free), strict=True))

    def on_free_ports(self, code):
        for written, free in self._ports.items():
            code = code.replace(written, free)
        return code

    def run(self, *command, **variables):
        done = subprocess.run(
            command, cwd=self.checkout, env=environ(**variables), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.output = done.stdout

    def paste(self, code, **variables):
        self.run("bash", "-euo", "pipefail", "-c", self.on_free_ports(code), **variables)

    def start(self, code):
        command = self.on_free_ports(code).strip()
        if "--port" not in command:
            command += f" --port {self._ports['8080']}"
        log = self.folder / "log"
        with log.open("a") as errors:
            where = {"cwd": self.checkout, "env": environ(), "stdout": subprocess.PIPE, "stderr": errors}
            self.servers.append(subprocess.Popen(["bash", "-c", f"exec {command}"], **where))
        assert self.servers[-1].stdout.readline().startswith(b"Keva is listening on "), log.read_text()

    def receive(self, code):
        """A receiver of webhooks, with the secret that the block before showed."""
        command = [sys.executable, "-W", "error", "-c", self.on_free_ports(code)]
        variables = environ(KEVA_WEBHOOK_SECRET=self.output.split()[-1])
        self.receivers.append(subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True))

    def close(self):
        for server in [*self.servers, *self.receivers]:
            server.terminate()
            server.communicate()


def pasted(reader, code):
    reader.paste(code)
    assert '"error"' not in reader.output


def refused(reader, code):
    reader.paste(code)
    assert '"error"' in reader.output


def answered(reader, code):
    """The block shows what the one before it printed."""
    assert json.loads(code) == json.loads(reader.output)


def received(reader, code):
    """The receiver printed this, which may have been tried before it listened."""
    pattern = re.escape(code).replace(re.escape("..."), r"\w+")
    assert re.fullmatch(pattern, reader.receivers[-1].stdout.readline())


def the_contract(reader, code):
    """One file of them, since all run elsewhere."""
    reader.paste(code, PYTEST_ADDOPTS=shlex.join([*LEFT_OUT, "-k", "test_get_ticket"]))
    assert " passed" in reader.output


def python(reader, code):
    reader.run(sys.executable, "-W", "error", "-c", reader.on_free_ports(code))
    assert reader.output.splitlines()[0] == "pending"


def kept(reader, code):
    """That it does what it says, tests/test_moving_in.py shows."""
    (reader.folder / re.match(r"# (\S+)\n", code)[1]).write_text(code)


def suite(runner):
    def run(reader, code):
        (reader.checkout / "test_example.py").write_text(code, encoding="utf-8")
        command = [sys.executable, "-W", "error", "-m", runner, "test_example.py"]
        reader.run(*command, PYTEST_ADDOPTS=shlex.join(LEFT_OUT))

    return run


def javascript(reader, code):
    (reader.folder / "keva.test.mjs").write_text(reader.on_free_ports(code), encoding="utf-8")
    reader.run("node", "--test", reader.folder / "keva.test.mjs")
    assert "# fail 0" in reader.output


def unit(reader, code):
    (reader.folder / "keva.service").write_text(code.replace("/opt/keva/.venv/bin/python", sys.executable))
    reader.run("systemd-analyze", "verify", "--man=no", reader.folder / "keva.service")


def proxy(reader, code):
    files = ["-keyout", reader.folder / "desk.key", "-out", reader.folder / "desk.pem"]
    reader.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=desk.example.com", *files)
    code = code.replace("/etc/ssl", str(reader.folder)).replace("443", "8443")
    (reader.folder / "nginx.conf").write_text(f"pid {reader.folder}/pid; events {{}} http {{ {code} }}")
    reader.run("nginx", "-t", "-e", "stderr", "-c", reader.folder / "nginx.conf")


def services(reader, code):
    """That the variables are those of the command; tests/test_container.py shows what comes of them."""
    described = yaml.safe_load(code)
    [desk] = [
        place["services"]["keva"] for place in (described, *described.get("jobs", {}).values()) if "services" in place
    ]
    variables = desk.get("environment") or desk["env"]
    assert variables.keys() <= {setting.variable for setting in SERVE_OPTIONS}
    assert variables["KEVA_CONTROL"] == "1"


def started(reader, code):
    assert code == START


def checked(reader, code):
    """The suite cannot run itself: that its command works, .ci/run shows."""
    make = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert " && ".join(code.replace("make test\n", make).splitlines()) + "\n" == TEST


# What is done with a block, by what stands behind its fence.
KINDS = {
    "sh": pasted,
    "sh install": started,
    "sh server": Reader.start,
    "sh control": Reader.start,
    "sh refused": refused,
    "sh elsewhere": the_contract,
    "sh setup": checked,
    "json": answered,
    "python": python,
    "python receiver": Reader.receive,
    "python recipe": kept,
    "text received": received,
    "python pytest": suite("pytest"),
    "python unittest": suite("unittest"),
    "js": javascript,
    "ini": unit,
    "nginx": proxy,
    "yaml": services,
}
SERVERS = ("sh server", "sh control")


@pytest.fixture
def checkout(tmp_path):
    """What git would give, with this environment as its own."""
    folder = tmp_path / "keva"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def reader(checkout, tmp_path):
    reader = Reader(checkout, tmp_path)
    yield reader
    reader.close()


def test_every_kind_of_block_is_known_and_there():
    assert {kind for blocks in BLOCKS.values() for kind, _ in blocks} == KINDS.keys()


@pytest.mark.parametrize("name", [name for name in PAGES if BLOCKS[name]])
def test_every_block_of_a_page_runs_as_written(reader, name):
    missing = {kind for kind, _ in BLOCKS[name] if kind in TOOLS and not shutil.which(TOOLS[kind])}
    for kind, code in sorted(BLOCKS[name], key=lambda block: block[0] not in SERVERS):  # the servers are started first
        if kind not in missing:
            KINDS[kind](reader, code)
    if missing:
        pytest.skip(f"all but the blocks {sorted(missing)} ran: their tools are not on this machine")


def test_something_runs_by_line_15():
    assert PAGES["README.md"].index("```sh install") < len("".join(PAGES["README.md"].splitlines(keepends=True)[:15]))


def test_the_check_before_a_change_runs_the_readmes_own_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    [search] = re.findall(r'^eval "\$\((.*)\)"$', script, re.MULTILINE)
    assert subprocess.run(["bash", "-c", search], cwd=ROOT, capture_output=True, text=True, check=True).stdout == TEST


def test_the_table_of_options_is_the_one_that_the_command_reads():
    table = [
        f"| `--{setting.name}` | `{setting.variable}` | {shown(setting)} | {setting.help} |"
        for setting in (DB, *SERVE_OPTIONS)
    ]
    assert "\n".join(table) in PAGES["docs/operating.md"]


def shown(setting):
    if setting.kind is bool:
        return "off"
    return "-" if setting.default is None else f"`{setting.default}`"


def test_the_rooms_are_on_the_floors_that_the_imports_keep_to():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGES["docs/architecture.md"], re.MULTILINE)
    assert len(rows) == sum(map(len, FLOORS))
    assert [{room for floor, room in rows if int(floor) == number + 1} for number in range(len(FLOORS))] == FLOORS


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", LINES[name]):
        if "://" in target:
            continue
        page = (ROOT / name).parent / target if target else ROOT / name
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
            assert anchor in [slug(heading) for heading in headings]


def slug(heading):
    return re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_is_named_is_there(name):
    """From the root of the checkout or, as `storage/writer.py`, from keva/."""
    words = [word for span in re.findall(r"`([^`\n]+)`", LINES[name]) for word in span.split()]
    named = [word for word in words if re.fullmatch(r"[\w.][\w./-]*\.(py|md|sql|toml|txt|yml)", word)]
    named += [word for word in words if re.match(r"(keva|tests|docs|\.ci|\.github)/", word)]
    assert [word for word in named if not ((ROOT / word).exists() or (ROOT / "keva" / word).exists())] == []


def test_every_make_target_that_is_named_is_there():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([^`]*)`", "".join(LINES.values()))) | {"test"} == targets


def test_every_page_can_be_reached_from_the_readme():
    assert {name for name in PAGES if f"]({name})" in PAGES["README.md"]} == PAGES.keys() - {"README.md"}


def test_the_versions_of_python_that_are_claimed_are_those_that_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    claimed = [kind.removeprefix("Programming Language :: Python :: ") for kind in project["classifiers"]]
    [tested] = re.findall(r"python: \[(.*)\]", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert [version for version in claimed if version.startswith("3.")] == json.loads(f"[{tested}]")
