"""The README: every block of code runs as written, in a copy of the checkout, against the servers that it starts."""

import re
import shutil
import socket
import subprocess
import sys
import time

import pytest

from keva.cli.settings import DB, SERVE_OPTIONS
from tests.conftest import ROOT, environ

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
KINDS = {("sh", ""), ("sh", "server"), ("sh", "control"), ("sh", "setup"), ("sh", "elsewhere"), ("sh", "slow")}
KINDS |= {
    ("python", ""),
    ("python", "pytest"),
    ("python", "unittest"),
    ("js", ""),
    ("json", ""),
    ("ini", ""),
    ("nginx", ""),
}
KINDS |= {("caddy", "")}


def blocks(language, kind=""):
    return [code for found, word, code in BLOCKS if (found, word) == (language, kind)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What git would give, with this environment as its own."""
    folder = tmp_path_factory.mktemp("checkout") / "keva"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def ports():
    """Free ports in the place of those that the README names."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return {"8080": str(one.getsockname()[1]), "8081": str(other.getsockname()[1])}


@pytest.fixture(scope="module")
def on_free_ports(ports):
    def replaced(code):
        for written, free in ports.items():
            code = code.replace(written, free)
        return code

    return replaced


@pytest.fixture(scope="module")
def servers(checkout, ports, on_free_ports):
    """The servers of the blocks that start one."""
    running = []
    for kind, port in (("server", "8080"), ("control", "8081")):
        [code] = blocks("sh", kind)
        command = f"exec {on_free_ports(code).strip()}" + ("" if kind == "control" else f" --port {ports[port]}")
        running.append(
            subprocess.Popen(["bash", "-c", command], cwd=checkout, env=environ(), stdout=subprocess.DEVNULL)
        )
    for port in ports.values():
        wait_for(int(port))
    yield
    for process in running:
        process.terminate()
        process.wait()


def wait_for(port):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on {port}")


def run(checkout, *command):
    done = subprocess.run(command, cwd=checkout, env=environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_block_is_left_out():
    assert {(language, kind) for language, kind, _ in BLOCKS} <= KINDS


@pytest.mark.parametrize("code", blocks("sh")[1:], ids=lambda code: code.split("\n")[0][:40])
def test_commands_run_as_written(servers, checkout, on_free_ports, code):
    told = run(checkout, "bash", "-euo", "pipefail", "-c", on_free_ports(code))
    assert '"error"' not in told


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.split("\n")[0][:40])
def test_python_runs_as_written(servers, checkout, on_free_ports, code):
    assert run(checkout, sys.executable, "-W", "error", "-c", on_free_ports(code)).splitlines()[0] == "pending"


@pytest.mark.parametrize("runner", ["pytest", "unittest"])
def test_suites_pass_as_written(checkout, tmp_path, runner):
    [code] = blocks("python", runner)
    (tmp_path / "test_readme_example.py").write_text(code)
    told = subprocess.run(
        [sys.executable, "-W", "error", "-m", runner, "test_readme_example.py"],
        cwd=tmp_path,
        env=environ(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.skipif(not shutil.which("node"), reason="node is not on this machine")
def test_javascript_passes_as_written(servers, checkout, on_free_ports, tmp_path):
    [code] = blocks("js")
    (tmp_path / "desk.test.mjs").write_text(on_free_ports(code))
    assert "# fail 0" in run(tmp_path, shutil.which("node"), "--test", "desk.test.mjs")


def test_the_two_commands_are_there():
    assert blocks("sh")[0] == (
        "python3 -m venv .venv && .venv/bin/pip install -qr requirements.txt && .venv/bin/python app.py\n"
    )
    assert blocks("sh", "setup") == [
        "python3 -m venv .venv && .venv/bin/pip install -qe '.[test]' && .venv/bin/python -m pytest -n auto\n"
    ]
    assert README.index("```sh") < len("".join(README.splitlines(keepends=True)[:15]))


def test_the_table_of_options_is_the_one_that_the_command_reads():
    table = [
        f"| `--{setting.name}` | `{setting.variable}` | {shown(setting)} | {setting.help} |"
        for setting in (DB, *SERVE_OPTIONS)
    ]
    assert "\n".join(table) in README


def shown(setting):
    if setting.kind is bool:
        return "off"
    return "-" if setting.default is None else f"`{setting.default}`"


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not on this machine")
def test_the_proxys_settings_are_valid(tmp_path):
    [code] = blocks("nginx")
    subject = ["-subj", "/CN=desk.example.com", "-keyout", tmp_path / "desk.key", "-out", tmp_path / "desk.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject], check=True, capture_output=True
    )
    code = code.replace("/etc/ssl", str(tmp_path)).replace("443", "8443")
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid; events {{}} http {{ {code} }}")
    run(tmp_path, "nginx", "-t", "-e", "stderr", "-c", tmp_path / "nginx.conf")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine")
def test_the_unit_is_valid(tmp_path):
    [code] = blocks("ini")
    (tmp_path / "keva.service").write_text(code.replace("/opt/keva/.venv/bin/python", sys.executable))
    run(tmp_path, "systemd-analyze", "verify", "--man=no", tmp_path / "keva.service")
