"""The commands, as a person or a script runs them."""

import ast
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from keva.cli.common import make_or_open, throw_away_folder
from keva.cli.settings import DB, SEED, SERVE_OPTIONS
from keva.cli.signals import Signals
from tests.commands import APP, PIPE, ROOT, Command, environ

STOPPING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
TICKETS = "/api/v1/tickets"
NEW = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."}


# For each setting a value that is its own and one that it cannot have; the switches have no option against them.
OPTIONS = {
    "db": "option.db",
    "host": "127.0.0.1",
    "port": "0",
    "api-key": "keva_live_option",
    "threads": "2",
    "trusted-proxy": "127.0.0.1",
    "rate-limit": "0",
    "site": "https://desk.example.com",
}
IMPOSSIBLE = {"db": ".", "host": "192.0.2.1", "port": "x", "api-key": "secret", "threads": "0", "rate-limit": "-1"}
IMPOSSIBLE |= {
    "site": "desk.example.com",
    "trusted-proxy": "nginx",
    "seed": "nowhere.jsonl",
    "no-inbox": "perhaps",
    "control": "perhaps",
    "verbose": "perhaps",
}


MAKE_NO_FILE = [
    *(["check"], ["backup", "b.db"], ["export", "-"]),
    *(["keys", "create"], ["keys", "list"], ["keys", "revoke", "key_1"]),
    *(["workspaces", "create", "--name", "Second"], ["workspaces", "list"]),
    *(["users", "create", "--name", "Ann", "--email", "ann@example.com"], ["users", "list"], ["users", "invite", "x"]),
    *(["users", "disable", "x"], ["webhooks", "create", "https://example.com/keva"], ["webhooks", "list"]),
]


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def one_sentence(done, told):
    """It ended with 1, and said why on one line of standard error."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr


class TestTheFirstStart:
    def test_makes_a_file_a_workspace_and_a_key_and_shows_a_line_that_works_when_pasted(self, serve, cli, tmp_path):
        running = serve()
        running.stop()
        [line] = re.findall(r"^Try it: (.*)$", running.output, re.MULTILINE)
        again = serve()
        line = line.replace(running.origin, again.origin)
        answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout

        assert answer == '{"data":[],"pagination":{"page":1,"perPage":20,"total":0}}'
        assert len(cli("workspaces", "list").stdout.splitlines()) == 2
        assert len(cli("keys", "list").stdout.splitlines()) == 2
        again.stop()
        assert "keva_live_" not in again.output

    def test_with_a_fixed_key_makes_none(self, serve, cli):
        running = serve("--api-key", "keva_live_fixed")
        assert httpx.get(running.origin + TICKETS, headers=bearer("keva_live_fixed")).status_code == 200
        running.stop()
        assert running.output == ""
        assert len(cli("keys", "list").stdout.splitlines()) == 1

    def test_a_fixed_key_counts_only_while_it_is_given(self, serve):
        serve("--api-key", "keva_live_fixed").stop()
        again = serve("--api-key", "keva_live_other")
        assert httpx.get(again.origin + TICKETS, headers=bearer("keva_live_fixed")).status_code == 401

    def test_with_a_key_made_beforehand_shows_none(self, serve, cli):
        cli("import", os.devnull)
        key = re.search(r"keva_live_[0-9a-f]{64}", cli("keys", "create", "--name", "service").stdout)[0]
        running = serve()
        assert httpx.get(running.origin + TICKETS, headers=bearer(key)).status_code == 200
        running.stop()
        assert "keva_live_" not in running.output

    def test_makes_files_that_only_their_owner_can_read(self, serve, tmp_path):
        serve()
        files = [path for path in tmp_path.iterdir() if path.name.startswith("keva.db")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_tickets_survive_a_restart(serve):
    running = serve("--api-key", "keva_live_fixed")
    made = httpx.post(running.origin + TICKETS, json=NEW, headers=bearer("keva_live_fixed")).json()["data"]["id"]
    running.stop()

    again = serve("--api-key", "keva_live_fixed")
    assert httpx.get(f"{again.origin}{TICKETS}/{made}", headers=bearer("keva_live_fixed")).status_code == 200


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_ends_it_well(serve, number):
    assert serve().stop(number) == 0


def test_under_nohup_it_outlives_its_terminal(tmp_path):
    command = ["nohup", sys.executable, APP, "--port", "0", "--api-key", "keva_live_fixed"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        origin = server.stdout.readline().split()[-1]
        server.send_signal(signal.SIGHUP)
        assert httpx.get(f"{origin}/healthz").status_code == 200
        server.terminate()
        assert server.wait(10) == 0


@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.parametrize("moment", ["while it starts", "while it serves"])
def test_a_desk_for_tests_leaves_no_file_behind(tmp_path, number, moment):
    command = [sys.executable, APP, "--port", "0", "--control"]
    with subprocess.Popen(
        command, env=environ(TMPDIR=str(tmp_path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        if moment == "while it serves":
            server.stdout.readline()
        while not list(tmp_path.iterdir()):
            assert server.poll() is None
        while server.poll() is None:  # and again and again
            server.send_signal(number)
        assert "Traceback" not in server.stderr.read()
    assert list(tmp_path.iterdir()) == []


def test_a_signal_during_the_clean_up_does_not_end_it(monkeypatch):
    def interrupted(folder, **options):
        signal.raise_signal(signal.SIGTERM)
        rmtree(folder, **options)

    rmtree, before = shutil.rmtree, {number: signal.getsignal(number) for number in STOPPING}
    monkeypatch.setattr(shutil, "rmtree", interrupted)
    try:
        with pytest.raises(ZeroDivisionError), throw_away_folder(Signals()) as folder:
            raise ZeroDivisionError
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert not folder.exists()


class TestAStandardOutputThatNobodyReads:
    def test_to_its_end_does_not_end_the_server(self, cli, tmp_path):
        with started(tmp_path, stdout=subprocess.PIPE) as server:
            origin = server.stdout.readline().split()[-1]
            server.stdout.close()
            assert httpx.get(f"{origin}/healthz").status_code == 200
            assert ended(server) == ""
        assert len(cli("keys", "list").stdout.splitlines()) == 2

    def test_at_all_has_the_server_make_no_key_that_nobody_knows(self, cli, tmp_path):
        out, into = os.pipe()
        os.close(out)
        with started(tmp_path, stdout=into) as server:
            os.close(into)
            told = server.stderr.readline()
            assert "the first API key was not made: make one with 'keys create --db " in told
            assert httpx.get(f"{re.search(r'http://[^ ]+[0-9]', told)[0]}/healthz").status_code == 200
            assert ended(server) == ""
        assert len(cli("keys", "list").stdout.splitlines()) == 1

    def test_since_it_is_closed_neither(self, cli, tmp_path):
        with started(tmp_path, close=1) as server:
            assert "the first API key was not made" in server.stderr.readline()
            assert Path(f"/proc/{server.pid}/fd/1").resolve() == Path("/dev/null")  # none of its own files
            assert ended(server) == ""

    def test_shows_where_it_listens_on_standard_error(self, cli, tmp_path):
        with open("/dev/full", "w") as full, started(tmp_path, "--api-key", "keva_live_fixed", stdout=full) as server:
            assert "Keva is listening on http://" in server.stderr.readline()
            assert ended(server) == ""


def started(folder, *words, close=None, **streams):
    """A server with other streams than usual, and without the one of that number."""
    command = [sys.executable, APP, "serve", "--port", "0", *words]
    if close is not None:
        command = ["bash", "-c", f'exec "$@" {close}>&-', "bash", *command]
    return subprocess.Popen(command, cwd=folder, env=environ(), stderr=subprocess.PIPE, text=True, **streams)


def ended(server):
    """What the rest of standard error is, of a server that ends well."""
    server.terminate()
    assert server.wait(10) == 0
    return server.stderr.read()


def test_options_need_no_command(tmp_path):
    command = [sys.executable, APP, "--port", "0", "--api-key", "keva_live_fixed"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ(), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("Keva is listening on http://127.0.0.1:")
    process.terminate()
    process.communicate()
    assert process.returncode == 0


class TestSettings:
    def test_each_may_come_from_its_variable(self, serve, tmp_path):
        running = serve(KEVA_DB="other.db", KEVA_API_KEY="keva_live_variable", KEVA_RATE_LIMIT="1", KEVA_VERBOSE="1")
        statuses = [
            httpx.get(running.origin + TICKETS, headers=bearer("keva_live_variable")).status_code for _ in range(3)
        ]
        assert statuses[0] == 200
        assert 429 in statuses[1:]  # the minute may have turned once
        assert (tmp_path / "other.db").exists()
        running.stop()  # a thread of its own writes the log
        assert f"GET {TICKETS} 200" in running.log.read_text()

    def test_the_port_and_the_host_may_too(self, serve):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        assert serve(KEVA_PORT=str(port), KEVA_HOST="localhost").origin == f"http://localhost:{port}"

    def test_a_desk_for_tests_may_too(self, serve, tmp_path):
        running = serve(KEVA_CONTROL="1", KEVA_API_KEY="keva_live_variable")
        answer = httpx.post(f"{running.origin}/__keva__/reset", headers=bearer("keva_live_variable"))
        assert answer.status_code == 204
        assert not (tmp_path / "keva.db").exists()

    @pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not tell of threads")
    def test_as_many_threads_work_as_are_asked_for(self, serve):
        def threads(number):
            running = serve("--db", f"{number}.db", "--threads", number)
            httpx.get(f"{running.origin}/healthz")  # once one request is answered, all of them are there
            return len(list(Path(f"/proc/{running.process.pid}/task").iterdir()))

        assert threads(4) == threads(1) + 3

    @pytest.mark.parametrize("setting", [DB, *SERVE_OPTIONS], ids=lambda setting: setting.name)
    def test_a_variable_that_cannot_be_is_told(self, cli, tmp_path, setting):
        words = [word for name in ("port", "db") if name != setting.name for word in (f"--{name}", OPTIONS[name])]
        done = cli("serve", *words, **{setting.variable: IMPOSSIBLE[setting.name]})
        assert done.returncode in (1, 2)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert setting.variable in done.stderr

    def test_one_that_is_none_is_told_at_the_start(self, cli, serve):
        told = cli(
            "import", os.devnull, KEVA_DBB="other.db", KEVA_COLOUR="red", KEVA_BASE_URL="http://127.0.0.1"
        ).stderr
        assert told.splitlines() == [
            "KEVA_COLOUR is not a variable of Keva's, and changes nothing: 'serve --help' lists those that there are.",
            "KEVA_DBB is not a variable of Keva's, and changes nothing: did you mean KEVA_DB?",
        ]
        running = serve(KEVA_APIKEY="keva_live_secret")
        running.stop()
        assert "KEVA_APIKEY is not a variable of Keva's, and changes nothing: did you mean KEVA_API_KEY?" in (
            running.log.read_text()
        )

    def test_the_variable_of_a_file_that_cannot_be_opened_is_told(self, cli):
        one_sentence(cli("check", KEVA_DB="nowhere/keva.db"), "nowhere/keva.db (KEVA_DB) cannot be opened")
        one_sentence(cli("check", "--db", "nowhere/keva.db", KEVA_DB="x"), "nowhere/keva.db cannot be opened")

    def test_every_option_wins_over_its_variable(self, serve, tmp_path):
        settings = [setting for setting in (DB, *SERVE_OPTIONS) if setting.kind is not bool and setting != SEED]
        words = [word for setting in settings for word in (f"--{setting.name}", OPTIONS[setting.name])]
        running = serve(*words, **{setting.variable: IMPOSSIBLE[setting.name] for setting in settings})
        assert httpx.get(running.origin + TICKETS, headers=bearer("keva_live_option")).status_code == 200
        assert (tmp_path / "option.db").exists()

    @pytest.mark.parametrize(
        "words",
        [
            *(["--port", "x"], ["--port", "70000"], ["--threads", "0"], ["--rate-limit", "-1"], ["--nope"]),
            *(["nope"], ["keys"], ["keys", "revoke"], ["workspaces", "create"], ["seed", "0"], ["backup"]),
            *(["keys", "create", "--scope", "tickets:delete"], ["import", "nowhere.jsonl"], ["--db", "."]),
        ],
    )
    def test_wrong_usage_is_told_and_ends_with_2(self, cli, tmp_path, words):
        done = cli(*words)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr
        assert list(tmp_path.iterdir()) == []


class TestWhatGoesWrongAtTheStart:
    def test_a_port_in_use_at_the_first_start_which_makes_no_key_yet(self, cli, serve):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            one_sentence(cli("serve", "--port", port), f"Port {port} of 127.0.0.1 is in use")
        running = serve()
        running.stop()
        assert "The first API key" in running.output

    @pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
    def test_a_host_that_is_not_this_machine(self, cli, host):
        one_sentence(cli("serve", "--port", "0", "--host", host), "not an address of this machine")

    def test_a_second_server_on_one_file(self, serve, cli):
        serve()
        one_sentence(cli("serve", "--port", "0"), "is being served already")

    @pytest.mark.parametrize("command", [["serve", "--port", "0"], ["check"], ["keys", "list"], ["export", "-"]])
    def test_a_file_that_is_no_database_which_stays_as_it_is(self, cli, tmp_path, command):
        (tmp_path / "keva.db").write_text("Dear diary, " * 200)
        one_sentence(cli(*command), "is not a Keva database")
        assert (tmp_path / "keva.db").read_text() == "Dear diary, " * 200
        assert [path.name for path in tmp_path.iterdir()] == ["keva.db"]

    def test_another_programs_database_which_stays_as_it_is(self, cli, tmp_path):
        connection = sqlite3.connect(tmp_path / "keva.db")
        connection.execute("CREATE TABLE notes (text)")
        connection.close()
        before = (tmp_path / "keva.db").read_bytes()
        one_sentence(cli("serve", "--port", "0"), "belongs to another program")
        assert (tmp_path / "keva.db").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["keva.db"]

    def test_a_file_from_a_newer_version(self, cli, tmp_path):
        cli("seed", "1")
        connection = sqlite3.connect(tmp_path / "keva.db")
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        one_sentence(cli("serve", "--port", "0"), "newer version")

    def test_a_folder_that_is_not_there(self, cli):
        one_sentence(cli("serve", "--port", "0", "--db", "nowhere/keva.db"), "cannot be opened")

    @pytest.mark.parametrize("words", MAKE_NO_FILE, ids=" ".join)
    def test_a_file_that_is_not_there_for_a_command_that_makes_none(self, cli, tmp_path, words):
        one_sentence(cli(*words, "--db", "typo.db"), "typo.db cannot be opened: there is no such file")
        assert list(tmp_path.iterdir()) == []
        told = cli(*words, "--help").stdout
        assert "must be there" in told
        assert "made when there is none" not in told

    def test_a_name_mistyped_in_the_variable_is_told_with_it(self, cli):
        one_sentence(cli("keys", "create", KEVA_DB="typo.db"), "typo.db (KEVA_DB) cannot be opened: there is no such")

    @pytest.mark.parametrize("key", ["", "secret", "keva_live_", "keva_live_a\nb", "keva_live_a "])
    def test_a_fixed_key_that_cannot_be_one(self, cli, key):
        one_sentence(cli("serve", "--port", "0", "--api-key", key), "A fixed API key")


@pytest.mark.parametrize("words", [["serve"], ["seed"], ["import"]])
def test_a_command_that_makes_a_file_says_so(cli, words):
    assert "made when there is none" in " ".join(cli(*words, "--help").stdout.split())


class TestKeysAndWorkspaces:
    def test_a_key_has_the_scope_and_workspace_it_is_made_with(self, serve, cli):
        cli("import", os.devnull)
        workspace = cli("workspaces", "create", "--name", "Second desk").stdout.split()[0]
        words = ["keys", "create", "--name", "report", "--scope", "tickets:read", "--workspace", workspace]
        key = cli(*words).stdout.split()[1]
        running = serve()

        assert httpx.get(running.origin + TICKETS, headers=bearer(key)).status_code == 200
        assert httpx.post(running.origin + TICKETS, json=NEW, headers=bearer(key)).status_code == 403
        listed = cli("keys", "list").stdout
        assert re.search(rf"report +{key[-4:]} +tickets:read +{workspace}", listed)
        assert key not in listed

    def test_changes_are_heeded_by_a_running_server_at_its_next_request(self, serve, cli):
        running = serve("--api-key", "keva_live_fixed")
        key_id, key = cli("keys", "create").stdout.split()
        with httpx.Client(base_url=running.origin, headers=bearer(key)) as client:
            assert client.get(TICKETS).status_code == 200
            assert cli("keys", "revoke", key_id).stdout == f"Revoked {key_id}.\n"
            assert client.get(TICKETS).status_code == 401

    def test_when_a_key_was_last_used_is_noted_at_the_latest_when_the_server_stops(self, serve, cli):
        cli("import", os.devnull)
        key = cli("keys", "create").stdout.split()[1]
        running = serve()
        assert httpx.get(running.origin + TICKETS, headers=bearer(key)).status_code == 200
        running.stop()
        assert len(re.findall(r"\d{4}-\d\d-\d\dT", cli("keys", "list").stdout)) == 2

    def test_what_is_not_there_is_told(self, cli):
        cli("seed", "1")
        one_sentence(cli("keys", "revoke", "key_nope"), "There is no key key_nope")
        by_text = cli("keys", "revoke", "keva_live_" + "0" * 60 + "beef")
        one_sentence(by_text, "keva_live_...beef")
        assert "0000" not in by_text.stderr
        one_sentence(cli("keys", "create", "--workspace", "ws_nope"), "There is no workspace ws_nope: give an id that")

    def test_the_name_of_a_workspace_is_answered_with_its_id(self, cli):
        cli("import", os.devnull)
        workspace = cli("workspaces", "create", "--name", "Billing").stdout.split()[0]
        for words in (
            ["keys", "create"],
            ["users", "create", "--name", "Ann", "--email", "ann@example.com"],
            ["webhooks", "create", "https://example.com/keva"],
        ):
            told = f"Billing is the name of a workspace: give its id, {workspace}."
            one_sentence(cli(*words, "--workspace", "Billing"), told)
        cli("workspaces", "create", "--name", "Billing")
        one_sentence(cli("keys", "create", "--workspace", "Billing"), "There is no workspace Billing: give an id that")

    def test_a_name_from_elsewhere_cannot_steer_the_terminal(self, cli, tmp_path):
        cli("seed", "1")
        with closing(sqlite3.connect(tmp_path / "keva.db", isolation_level=None)) as connection:
            connection.execute("UPDATE workspaces SET name = 'a' || char(27) || '[2J' || char(8238) || char(10) || 'b'")
        assert "  a\\x1b[2J\\u202e\\nb  " in cli("workspaces", "list").stdout
        for words in (["keys", "revoke", "\x1b[2J\u202e"], ["\x1b[2J\u202e"], ["--\x1b[2J\u202e"]):
            told = cli(*words).stderr
            assert told.replace("\n", "").isprintable()
            assert "\\u202e" in told

    @pytest.mark.parametrize("name", ["", " ", "two\nlines", "x" * 256])
    def test_a_name_is_one_line(self, cli, name):
        assert cli("workspaces", "create", "--name", name).returncode == 2
        assert cli("keys", "create", "--name", name).returncode == 2


def redirected(folder, command, **variables):
    """`keva` with redirections, by a shell; a pipe fails if one of its commands does."""
    command = f'set -o pipefail; keva() {{ {shlex.quote(sys.executable)} {shlex.quote(str(APP))} "$@"; }}; {command}'
    options = {"capture_output": True, "text": True, "check": False, "timeout": 30}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environ(**variables), **options)


class TestUnusualStreams:
    def test_a_result_that_cannot_be_written_is_told(self, cli, tmp_path):
        cli("seed", "1")
        for command in ("keys list >&-", "workspaces list > /dev/full", "export - >&-", "export - > /dev/full"):
            one_sentence(redirected(tmp_path, f"keva {command}"), "Standard output cannot be written")

    def test_what_cannot_be_shown_is_not_made(self, cli, tmp_path):
        cli("seed", "1")
        for stream in (">&-", "> /dev/full", "| true"):
            one_sentence(redirected(tmp_path, f"keva keys create {stream}"), "No key was made.")
        one_sentence(redirected(tmp_path, "keva workspaces create --name Second >&-"), "No workspace was made.")
        assert len(cli("keys", "list").stdout.splitlines()) == 1
        assert len(cli("workspaces", "list").stdout.splitlines()) == 2

    def test_what_is_done_is_told_elsewhere(self, cli, tmp_path):
        cli("seed", "1")
        for stream in (">&-", "> /dev/full", "| true"):
            done = redirected(tmp_path, f"keva backup copy.db {stream}")
            assert (done.returncode, done.stderr) == (0, "Backed up keva.db to copy.db.\n")

    def test_no_standard_error_changes_nothing(self, cli, tmp_path):
        assert redirected(tmp_path, "keva seed 1 2>&-").returncode == 0
        assert redirected(tmp_path, "keva seed 1 2>&-").returncode == 1
        assert redirected(tmp_path, "keva seed 1 2> /dev/full").returncode == 1
        assert "is sound" in cli("check").stdout

    def test_a_closed_standard_input_is_told(self, tmp_path):
        one_sentence(redirected(tmp_path, "keva import - <&-"), "Standard input is closed")
        assert list(tmp_path.iterdir()) == []

    def test_a_reader_that_has_enough_is_no_failure_to_tell_of(self, cli, tmp_path):
        cli("seed", "2000")
        done = redirected(tmp_path, "keva export - | head -c 9")
        assert (done.returncode, done.stdout, done.stderr) == (1, '{"id":"tk', "")

    def test_a_name_that_the_output_cannot_say_is_escaped(self, cli, tmp_path):
        cli("import", os.devnull)
        small = {"PYTHONIOENCODING": "cp1252"}
        made = redirected(tmp_path, "keva workspaces create --name Łodz", **small).stdout
        assert re.fullmatch(r"ws_\w+  \\u0141odz\n", made)
        assert made.rstrip() in redirected(tmp_path, "keva workspaces list", **small).stdout
        one_sentence(redirected(tmp_path, "keva keys revoke Łodz", **small), "There is no key \\u0141odz")

    def test_a_locale_that_is_not_there_is_none_to_care_about(self, cli, tmp_path):
        cli("import", os.devnull)
        made = redirected(tmp_path, "keva workspaces create --name Łódź", LC_ALL="xx_YY.UTF-8")
        assert (made.returncode, made.stdout[-6:]) == (0, "  Łódź\n"[-6:])


class TestPathsThatTheSystemRefuses:
    @pytest.mark.parametrize("path", ["", "folder/", ".", "/dev/null", "pipe", "loop", "x" * 300, "x" * 250, "file/x"])
    def test_are_told_before_anything_is_made(self, cli, tmp_path, path):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "loop").symlink_to("loop")
        (tmp_path / "file").touch()
        before = sorted(tmp_path.iterdir())
        done = cli("serve", "--port", "0", "--db", path)
        assert done.returncode == 2
        assert re.search("^Error: Invalid value for '--db'.*: name a file\\.$", done.stderr, re.MULTILINE)
        assert sorted(tmp_path.iterdir()) == before

    def test_of_a_file_to_write_are_told(self, cli, tmp_path):
        for words in (["export", "folder/"], ["backup", "/dev/null"], ["restore", "x" * 300]):
            done = cli(*words)
            assert (done.returncode, "Error: Invalid value for 'FILE'" in done.stderr) == (2, True)

    def test_of_a_file_to_import_are_told(self, cli, tmp_path):
        for words in (["import", "."], ["import", "nowhere"], ["import", "x" * 300]):
            done = cli(*words)
            assert (done.returncode, "Error: Invalid value for 'FILE'" in done.stderr) == (2, True)
        one_sentence(cli("import", "/proc/self/mem"), "/proc/self/mem cannot be read: ")


@pytest.mark.parametrize("number", STOPPING)
def test_an_interrupted_command_says_so_and_leaves_nothing(cli, tmp_path, number):
    with Command("import", "-", cwd=tmp_path, stdin=PIPE, stderr=PIPE) as command:
        command.stdin.write("\n" * 200_000)  # more than a pipe holds, so that it reads by now
        command.stdin.flush()
        command.send_signal(number)
        assert command.wait(10) == 128 + number
        assert command.stderr.read() == "Error: Interrupted.\n"
    assert list(tmp_path.iterdir()) == []


class TestADatabaseThatWasMadeInVain:
    """As by an import that is interrupted while it stores."""

    def test_is_removed(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), make_or_open(tmp_path / "new.db") as database, database.write():
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []

    def test_stays_where_somebody_has_used_it_by_now(self, cli, tmp_path):
        with suppress(KeyboardInterrupt), make_or_open(tmp_path / "new.db"):
            assert cli("keys", "create", "--db", "new.db").returncode == 0
            raise KeyboardInterrupt
        assert len(cli("keys", "list", "--db", "new.db").stdout.splitlines()) == 2

    def test_stays_while_somebody_serves_it(self, serve, tmp_path):
        with suppress(KeyboardInterrupt), make_or_open(tmp_path / "new.db"):
            running = serve("--db", "new.db", "--api-key", "keva_live_fixed")
            raise KeyboardInterrupt
        made = httpx.post(running.origin + TICKETS, json=NEW, headers=bearer("keva_live_fixed"))
        assert made.status_code == 201

    def test_that_was_there_before_stays(self, cli, tmp_path):
        cli("import", os.devnull, "--db", "old.db")
        with pytest.raises(KeyboardInterrupt), make_or_open(tmp_path / "old.db"):
            raise KeyboardInterrupt
        assert (tmp_path / "old.db").exists()


def test_a_sqlite_that_is_too_old_is_told_before_anything_is_made(tmp_path):
    code = "import sqlite3; sqlite3.sqlite_version, sqlite3.sqlite_version_info = '3.34.1', (3, 34, 1)"
    code += "; from keva.cli import run; run()"
    for words in (["serve", "--port", "0"], ["serve", "--port", "0", "--control"], ["seed", "1"], ["check"]):
        command = [sys.executable, "-c", code, *words]
        variables = environ(PYTHONPATH=str(ROOT), TMPDIR=str(tmp_path))
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=30)
        one_sentence(done, "This Python has SQLite 3.34.1, and Keva needs 3.37 or newer")
        assert list(tmp_path.iterdir()) == []


COMMANDS = (
    *("serve", "keys", "workspaces", "backup", "restore", "check", "import", "export", "seed", "openapi"),
    *("users", "webhooks", "erase", "push", "pull", "run"),
)


def test_help_and_version_are_shown(cli):
    assert shlex.split(cli("--version").stdout)[0] == "keva"
    listed = cli("--help", COLUMNS="80").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} .*\.$", listed, re.MULTILINE)
    assert "..." not in listed.replace("[ARGS]...", "")
    assert cli("-h", COLUMNS="80").stdout == listed


@pytest.mark.parametrize("words", [["serve"], ["keys"], ["keys", "create"]])
def test_every_command_has_the_short_form_too(cli, words):
    assert cli(*words, "-h").stdout == cli(*words, "--help").stdout


def test_the_package_is_the_command_too(tmp_path):
    command = [sys.executable, "-m", "keva", "--version"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ(PYTHONPATH=str(ROOT)), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "keva")


class TestAPythonThatCannotRunIt:
    DOORS = ("app.py", "keva/__main__.py")
    READ_BY_IT = (*DOORS, "keva/__init__.py", "keva/cli/__init__.py", "keva/runtime.py")

    @pytest.mark.parametrize("door", DOORS)
    @pytest.mark.parametrize(
        ("lack", "told"),
        [
            ("sys.version_info = (3, 10, 13)", "needs Python 3.11 or newer, and this is 3.10"),
            ("sys.modules['sqlite3'] = None", "was built without SQLite"),
        ],
    )
    def test_is_told_in_one_sentence(self, tmp_path, door, lack, told):
        code = f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); {lack}"
        code += f"; runpy.run_path({str(ROOT / door)!r}, run_name='__main__')"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        one_sentence(done, told)

    @pytest.mark.parametrize("name", READ_BY_IT)
    def test_can_read_what_tells_it(self, name):
        nodes = list(ast.walk(ast.parse((ROOT / name).read_text(), feature_version=(3, 4))))
        assert not [node for node in nodes if isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.arg)]
        assert not [node for node in nodes if isinstance(node, ast.FunctionDef) and node.returns]

    @pytest.mark.parametrize("old", ["python2.7", "python3.6", "python3.10"])
    def test_really_can(self, tmp_path, old):
        command = shutil.which(old)
        if not command or subprocess.run([command, "-V"], capture_output=True, check=False).returncode:
            pytest.skip(f"{old} is not on this machine")
        done = subprocess.run([command, "-B", APP], cwd=tmp_path, capture_output=True, text=True, check=False)
        one_sentence(done, f"and this is {old.removeprefix('python')}: use another.")


def test_ctrl_c_while_it_is_still_being_loaded_ends_in_no_traceback(tmp_path):
    code = "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n" + INTERRUPTED_IMPORT
    done = subprocess.run([sys.executable, "-c", code, ROOT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


INTERRUPTED_IMPORT = """
class Finder:
    def find_spec(name, path, target=None):
        if name == "keva.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder)
import keva.cli
"""
