"""The command that runs another one beside a desk for tests."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.conftest import APP, environ

LINE = {"subject": "Long prepared", "customerEmail": "customer@example.com", "messages": [{"body": "It broke."}]}
# A suite: tells what it finds under KEVA_BASE_URL, and then waits for a signal.
SUITE = """
import json, os, signal, sys, time, urllib.request

def call(method, path):
    request = urllib.request.Request(os.environ["KEVA_BASE_URL"] + path, method=method)
    request.add_header("Authorization", "Bearer " + os.environ["KEVA_API_KEY"])
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")

got = []
for name in ("SIGINT", "SIGTERM"):
    signal.signal(getattr(signal, name), lambda number, _: got.append(number))
"""
WAITS = """
print(os.environ["KEVA_BASE_URL"], flush=True)
while not got:
    time.sleep(0.01)
time.sleep(0.2)
print("got", got, flush=True)
sys.exit(3)
"""


def command(code, *options):
    return [sys.executable, APP, "run", *map(str, options), "--", sys.executable, "-c", code]


@pytest.fixture
def begin(tmp_path):
    """Starts the command, and gives it with the origin that the suite has printed."""
    begun = []

    def begin(code=SUITE + WAITS):
        variables = environ(TMPDIR=str(tmp_path))
        begun.append(subprocess.Popen(command(code), env=variables, stdout=subprocess.PIPE, text=True))
        return begun[-1], begun[-1].stdout.readline().strip()

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def is_gone(url):
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(url, timeout=5)
    return True


def test_the_desk_listens_before_the_command_starts_and_both_streams_and_the_status_are_the_commands(tmp_path):
    code = """
assert call("GET", "/api/v1/tickets")["data"] == []
try:
    call("GET", "/nowhere")
except OSError:
    print("out")
print("err", file=sys.stderr)
sys.exit(7)
"""
    variables = environ(KEVA_API_KEY="keva_live_real", KEVA_PORT="1", TMPDIR=str(tmp_path))
    done = subprocess.run(command(SUITE + code), env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_a_signal_ends_gives_128_and_its_number(cli):
    assert cli("run", "--", "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_or_may_not_run_is_told_as_shells_do(cli, tmp_path):
    (tmp_path / "text").write_text("")
    missing, refused = cli("run", "no-such-command"), cli("run", "./text")
    assert (missing.returncode, missing.stderr) == (127, "Error: no-such-command cannot be run: there is none such.\n")
    assert (refused.returncode, refused.stderr) == (126, "Error: ./text cannot be run: Permission denied.\n")
    assert cli("run").returncode == 2


def test_a_signal_to_it_is_passed_on_and_the_commands_status_counts(begin, tmp_path):
    process, url = begin()
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == f"got [{signal.SIGTERM:d}]\n"
    assert process.wait(10) == 3
    assert is_gone(url)
    assert list(tmp_path.iterdir()) == []


def test_when_the_command_is_killed_the_desk_ends(begin):
    process, url = begin("import os; print(os.environ['KEVA_BASE_URL'], flush=True); os.kill(os.getpid(), 9)")
    assert process.wait(10) == 128 + signal.SIGKILL
    assert is_gone(url)


def test_when_it_is_killed_itself_no_desk_is_left(begin):
    process, url = begin(SUITE + 'print(os.environ["KEVA_BASE_URL"], flush=True)\nos.read(0, 1)')
    process.kill()
    process.wait(10)
    assert is_gone(url)


def test_ctrl_c_reaches_the_command_once():
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(sys.executable, [str(part) for part in command(SUITE + WAITS)], environ())
    output = b""
    with open(terminal, "rb", buffering=0) as screen:
        while b"http://" not in output:
            output += screen.read(1000)
        os.write(terminal, b"\x03")
        while b"got" not in output or not output.endswith(b"\n"):
            output += screen.read(1000)
        status = os.waitpid(child, 0)[1]  # before the terminal is closed, which would be told with SIGHUP
    assert os.waitstatus_to_exitcode(status) == 3
    assert re.search(rb"got \[(.*)\]", output)[1] == b"2"


def test_it_may_start_with_tickets_to_which_a_reset_goes_back(tmp_path):
    seed = tmp_path / "seed.jsonl"
    seed.write_text(json.dumps(LINE) + "\n" + json.dumps(LINE | {"id": "tkt_seven", "status": "pending"}))
    code = """
for _ in range(2):
    assert [ticket["id"] for ticket in call("GET", "/api/v1/tickets")["data"]] == ["tkt_seven", "tkt_000001"]
    call("POST", "/__keva__/reset")
desk = call("POST", "/__keva__/desks")["data"]
os.environ |= {"KEVA_BASE_URL": desk["url"], "KEVA_API_KEY": desk["key"]}
assert call("GET", "/api/v1/tickets")["pagination"]["total"] == 2
"""
    done = subprocess.run(command(SUITE + code, "--seed", seed), env=environ(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_tickets_that_are_wrong_are_told_as_an_import_tells_them(cli, tmp_path):
    (tmp_path / "seed.jsonl").write_text(json.dumps(LINE) + '\n{"subject": "It broke"}\n{')
    refused = cli("run", "--seed", "seed.jsonl", "--", "echo", "started")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[0] == "Line 2: customerEmail is required; messages is required."
    assert refused.stderr == cli("import", "seed.jsonl").stderr
    assert cli("run", "--seed", "nowhere", "--", "true").stderr == (
        "Error: nowhere cannot be read: No such file or directory.\n"
    )


def test_variables_alone_start_a_desk_for_tests_with_tickets(serve, tmp_path):
    (tmp_path / "seed.jsonl").write_text(json.dumps(LINE))
    variables = {"KEVA_CONTROL": "1", "KEVA_SEED": "seed.jsonl", "KEVA_API_KEY": "keva_live_ci", "KEVA_PORT": "0"}
    running = serve(**variables)
    request = urllib.request.Request(f"{running.origin}/__keva__/reset", method="POST")
    for path, method in (("/__keva__/reset", "POST"), ("/api/v1/tickets", "GET")):
        request = urllib.request.Request(running.origin + path, method=method)
        request.add_header("Authorization", "Bearer keva_live_ci")
        with urllib.request.urlopen(request) as answer:
            body = answer.read()
    assert json.loads(body)["data"][0]["subject"] == "Long prepared"


def test_without_a_desk_for_tests_tickets_are_not_seeded_but_imported(cli, tmp_path):
    refused = cli("serve", "--seed", "seed.jsonl")
    assert refused.returncode == 2
    assert "give --control too, or import the file" in refused.stderr
