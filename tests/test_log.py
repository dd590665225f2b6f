"""What whoever watches the terminal reads, and what nobody does."""

import hashlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from urllib.parse import unquote

import httpx
import pytest

from keva import log
from keva.cli import log_output
from tests.commands import PIPE, ROOT, Command

TICKETS = "/api/v1/tickets"
NEW = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "A secret of the customer's"}
FIXED = "keva_live_fixed_0123456789abcdef_END1"


def say(origin, head):
    host, port = origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head)
        return connection.recv(65536)


def test_a_refusal_has_a_line_with_the_sentence_that_was_answered(serve):
    running = serve("--api-key", FIXED)
    told = httpx.post(running.origin + TICKETS, json={}, headers={"Authorization": f"Bearer {FIXED}"}).json()["error"]
    httpx.get(running.origin + TICKETS, headers={"Authorization": f"Bearer {FIXED}"})
    running.stop()

    [line] = running.log.read_text().splitlines()
    assert line.endswith(f" WARNING 127.0.0.1 POST {TICKETS} 400 fixed key: {told}")


def test_a_line_names_the_key_whatever_is_refused_and_whatever_the_caller_wrote(serve, cli):
    cli("import", os.devnull)
    words = ["keys", "create", "--name", "a web form", "--scope", "tickets:read"]
    ended, key = cli(*words).stdout.split(), cli(*words).stdout.split()
    cli("keys", "revoke", ended[0])
    running = serve()

    def ask(method, path, key, **sent):
        httpx.request(method, running.origin + path, headers={"Authorization": f"Bearer {key}"}, **sent)

    ask("GET", f"{TICKETS}?colour=%20key_forged%20(admin):", key[1])
    ask("POST", TICKETS, key[1], json=NEW)
    ask("GET", f"{TICKETS}/tkt_nope", key[1])
    ask("GET", TICKETS, ended[1])
    ask("GET", TICKETS, "keva_live_" + "0" * 60 + "beef")
    running.stop()

    lines = [line.split(" WARNING ")[1] for line in running.log.read_text().splitlines()]
    who = f"{key[0]} (a web form): "
    for line, begins in zip(
        lines[:3], (f"GET {TICKETS} 400", f"POST {TICKETS} 403", f"GET {TICKETS}/tkt_nope 404"), strict=True
    ):
        assert line.startswith(f"127.0.0.1 {begins} {who}")
    assert lines[3:] == [
        f"127.0.0.1 GET {TICKETS} 401 Invalid API key ({ended[0]} (a web form) was revoked)",
        f"127.0.0.1 GET {TICKETS} 401 Invalid API key (a key ending in beef)",
    ]
    assert ended[1] not in running.log.read_text()


def test_a_verbose_line_says_how_long_it_took(serve):
    running = serve("--api-key", FIXED, "--verbose")
    httpx.get(running.origin + TICKETS, headers={"Authorization": f"Bearer {FIXED}"})
    httpx.get(f"{running.origin}{TICKETS}?colour=red", headers={"Authorization": f"Bearer {FIXED}"})
    httpx.get(f"{running.origin}/inbox")
    running.stop()
    success, refusal, page = running.log.read_text().splitlines()
    assert re.search(rf" INFO 127\.0\.0\.1 GET {TICKETS} 200 fixed key [0-9]+\.[0-9] ms$", success)
    assert re.search(rf" WARNING 127\.0\.0\.1 GET {TICKETS} 400 fixed key [0-9]+\.[0-9] ms: colour is not", refusal)
    assert re.search(r" GET /inbox 303 [0-9]+\.[0-9] ms$", page)


def test_a_refused_key_is_told_by_its_address_and_last_four_characters(serve):
    running = serve("--api-key", FIXED)
    httpx.get(running.origin + TICKETS, headers={"Authorization": "Bearer keva_live_" + "0" * 60 + "beef"})
    running.stop()
    assert "127.0.0.1" in running.log.read_text()
    assert "ending in beef" in running.log.read_text()
    assert "00" + "beef" not in running.log.read_text()


def test_no_key_no_message_and_no_forged_line_is_ever_in_it(serve):
    running = serve("--api-key", FIXED, "--verbose")
    headers = {"Authorization": f"Bearer {FIXED}"}
    httpx.post(running.origin + TICKETS, json=NEW, headers=headers)
    httpx.post(running.origin + TICKETS, json=NEW | {"subject": ""}, headers=headers)
    httpx.post(running.origin + TICKETS, json=NEW | {FIXED: "x", "a\nFORGED": "y"}, headers=headers)
    httpx.get(f"{running.origin}{TICKETS}/{FIXED}", headers=headers)
    httpx.get(f"{running.origin}{TICKETS}?{FIXED}=1&key={FIXED}", headers=headers)
    say(running.origin, f"GET /{FIXED.replace('_', '%5f')}%0aFORGED HTTP/1.1\r\nHost: desk\r\n\r\n".encode())
    say(
        running.origin,
        f"GET /{FIXED.replace('_', '%255F')}%e2%80%a8FORGED%1b[2J HTTP/1.1\r\nHost: desk\r\n\r\n".encode(),
    )
    say(running.origin, f"GET /{FIXED}\rFORGED HTTP/1.1\r\nHost: desk\r\n\r\n".encode())
    for path in (encoded(FIXED), encoded(FIXED).replace("%", "%25"), FIXED.upper().replace("E", "%45")):
        say(running.origin, f"GET /{path} HTTP/1.1\r\nHost: desk\r\n\r\n".encode())  # answered by the application
        say(running.origin, f"GET /{path} HTTP/9.9\r\n\r\n".encode())  # refused before
        say(running.origin, f"GET / HTTP/1.1\r\nHost: desk\r\n{path}: {path}\r\n folded\r\n\r\n".encode())
    say(running.origin, f"{FIXED} /api/v1/tickets HTTP/1.1\r\nHost: desk\r\n\r\n".encode())
    for header in (f"Bearer {FIXED}{FIXED}\x1b[2J", f"Bearer {FIXED}{FIXED}\u2028\x85", f"Basic {FIXED}"):
        say(running.origin, f"GET {TICKETS} HTTP/1.1\r\nHost: desk\r\nAuthorization: {header}\r\n\r\n".encode())
    httpx.get(running.origin + TICKETS, headers=headers | {"X-Workspace-Id": FIXED})
    httpx.get(f"{running.origin}{TICKETS}?workspace_id=ws_x", headers=headers | {"X-Workspace-Id": FIXED})
    running.stop()

    told = running.log.read_text() + running.output
    assert told.count(" 401 ") == 2  # a header with an escape is no HTTP at all
    for _ in range(3):
        assert "0123456789" not in told
        told = unquote(told)
    assert hashlib.sha256(FIXED.encode()).hexdigest() not in told
    assert "secret" not in told
    assert "\x1b" not in running.log.read_text()
    told = running.log.read_text()
    assert not [line for line in told.splitlines() if "FORGED" in line and " 127.0.0.1 " not in line]


MINTED = "keva_live_" + 6 * "0123456789" + "beef"


def encoded(text):
    return "".join(f"%{ord(character):02x}" for character in text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"key {FIXED} here", "key keva_live_...END1 here"),
        (f"key {FIXED}, {FIXED} here", "key keva_live_...ND1, keva_live_...END1 here"),
        ("keva_live_short", "keva_live_..."),
        ("KEVA%5flive%255F0123456789abcdefghij", "keva_live_...ghij"),
        (f"GET /{encoded(MINTED)} 404", "GET /keva_live_...beef 404"),
        (encoded(encoded(encoded(MINTED))), "keva_live_...beef"),
        (MINTED.replace("_", "%25252525252525255F"), "keva_live_...beef"),
        (MINTED.replace("_", "%%35%66"), "keva_live_...beef"),
        (MINTED.replace("_", "\u200b_\u202e"), "keva_live_...beef"),
        (MINTED, "keva_live_...beef"),
        ("keva_live_my%20secret%20and%2520much%20more", "keva_live_...more"),
        (f"token {MINTED[10:]}!", "token keva_live_...beef!"),
        (MINTED[10:].upper(), "keva_live_...BEEF"),
        ("nothing to hide, at 100% of %41", "nothing to hide, at 100% of %41"),
        ("keva_live_... is masked", "keva_live_... is masked"),
        ("key keva_live_...beef: nope", "key keva_live_...beef: nope"),
        ("keva_live_...0123456789abcdef", "keva_live_...cdef"),
        ("keva_live_", "keva_live_"),
        ("GET /inbox/sign-in/signin_AbC-123 404", "GET /inbox/sign-in/signin_... 404"),
        ("/inbox/sign-in/%53%2569gnin%5FAbC-123 404", "/inbox/sign-in/signin_... 404"),
    ],
)
def test_a_key_is_masked_however_it_is_written(text, masked):
    assert log.mask(text) == masked
    assert log.mask(log.mask(text)) == masked


def test_masking_takes_a_time_that_grows_with_the_text_alone():
    """Each of these takes minutes in a form that is quadratic in any part."""
    size = 200_000
    for text in ("%25" * size, "%" * size + "41" * size, "keva_live_" * size, "0123abcd" * 7 + "g", "%6b%65" * size):
        log.readable(text if len(text) > size else text * (size // 60))


@pytest.mark.parametrize(
    "character", "\0\x1b\x7f\x85\xa0\xad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\udc80"
)
def test_what_has_no_form_of_its_own_is_escaped(character):
    told = log.readable(f"a{character}b")
    assert told.isprintable()
    assert told[:2] + told[-1:] == "a\\b"


def test_other_letters_stay_as_they_are():
    assert log.readable("Łódź שלום 日本 🎉") == "Łódź שלום 日本 🎉"


def test_a_traceback_cannot_be_taken_for_a_line_of_the_log():
    try:
        raise ValueError("a\nWARNING forged")
    except ValueError as error:
        record = logging.LogRecord(
            "keva", logging.ERROR, "", 0, "failed", None, (ValueError, error, error.__traceback__)
        )
    first, *more = log.Lines().format(record).splitlines()
    assert first.endswith(" ERROR failed")
    assert all(line.startswith("    ") for line in more)


@contextmanager
def server_with_pipes(folder):
    """A server whose outputs are both pipes, and a client of it; it is killed if it is still there at the end."""
    with Command("--port", "0", "--api-key", FIXED, cwd=folder, stdout=PIPE, stderr=PIPE) as server:
        origin = server.stdout.readline().split()[-1]
        try:
            with httpx.Client(base_url=origin, timeout=10) as client:
                yield server, client
        finally:
            server.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_pipe_that_nobody_reads_holds_neither_a_call_nor_the_stop(tmp_path, number):
    with server_with_pipes(tmp_path) as (server, client):
        for _ in range(20):  # a pipe takes 64 KiB
            assert client.get("/" + 8000 * "x").status_code == 404
        server.send_signal(number)
        assert server.wait(20) == 0


def test_no_line_is_lost_at_a_stop(tmp_path):
    with server_with_pipes(tmp_path) as (server, client):
        for _ in range(100):
            client.get(TICKETS)
        server.terminate()
        assert len(server.stderr.read().splitlines()) == 100


def test_no_line_is_lost_at_an_end_that_comes_at_once():
    code = "from keva import log; from keva.cli.log_output import to_stderr\nwith to_stderr(verbose=False):\n"
    code += "    for number in range(2000): log.LOG.warning('line %d', number)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=True)
    assert [line.split()[-1] for line in done.stderr.splitlines()] == [str(number) for number in range(2000)]


class Pipe:
    """A pipe, a handler that writes to it, and what is read from it."""

    def __init__(self):
        self.out, self.into = os.pipe()
        self.handler = log_output.StderrHandler(self.into, "ascii")
        self.handler.setFormatter(log.Lines())

    def log(self, text):
        self.handler.handle(logging.LogRecord("keva", logging.WARNING, "", 0, text, None, None))

    def read_until(self, text):
        told = b""
        while text not in told:
            told += os.read(self.out, 65536)
        return [line.split(" ", 2)[2] for line in told.decode().splitlines()]


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.handler.drain(10)
    os.close(pipe.out)


def test_what_a_pipe_does_not_take_is_dropped_and_counted_once_it_is_read(pipe, monkeypatch):
    monkeypatch.setattr(log_output, "WAITING_BYTES", 10_000)
    for number in range(2000):
        pipe.log(f"line {number} {'.' * 100}")
    told = []
    reader = threading.Thread(target=lambda: told.extend(pipe.read_until(b"the end")), daemon=True)
    reader.start()
    pipe.handler.drain(10)
    pipe.log("the end")
    reader.join(10)

    assert told.pop() == "the end"
    counts = [int(line.split()[0]) for line in told if "missing" in line]
    numbers = [int(line.split()[1]) for line in told if "missing" not in line]
    assert numbers == sorted(numbers)
    assert counts
    assert len(numbers) + sum(counts) == 2000


def test_a_pipe_that_was_made_non_blocking_loses_no_line(pipe):
    os.set_blocking(pipe.into, False)
    told = []
    reader = threading.Thread(target=lambda: told.extend(pipe.read_until(b"the last")), daemon=True)
    for number in range(2000):
        pipe.log(f"line {number} {'.' * 100}")
    pipe.log("the last")
    reader.start()
    reader.join(10)
    assert len(told) == 2001


def test_lines_that_nobody_could_read_are_counted_when_somebody_can_again(tmp_path, pipe):
    with open("/dev/full", "wb", buffering=0) as full:
        usual = os.dup(pipe.into)
        os.dup2(full.fileno(), pipe.into)
        for number in range(3):
            pipe.log(f"lost {number}")
            pipe.handler.drain(10)
        os.dup2(usual, pipe.into)
        os.close(usual)
    pipe.log("Łódź")
    assert pipe.read_until(b"missing") == [
        "\\u0141\\xf3d\\u017a",
        "3 lines of the log are missing here: standard error could not be written in time.",
    ]


def test_the_end_of_a_thread_is_a_line_of_the_log(capfd):
    with log_output.to_stderr(verbose=False):
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
    told = capfd.readouterr().err
    assert "ERROR The thread worker ended\n" in told
    assert "ZeroDivisionError" in told
