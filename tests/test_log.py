"""What whoever watches the terminal reads, and what nobody does."""

import hashlib
import logging
import socket

import httpx
import pytest

from keva import log

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
    assert line.endswith(f" WARNING 127.0.0.1 POST {TICKETS} 400 {told}")


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
    say(running.origin, f"{FIXED} /api/v1/tickets HTTP/1.1\r\nHost: desk\r\n\r\n".encode())
    for header in (f"Bearer {FIXED}{FIXED}\x1b[2J", f"Bearer {FIXED}{FIXED}\u2028\x85", f"Basic {FIXED}"):
        say(running.origin, f"GET {TICKETS} HTTP/1.1\r\nHost: desk\r\nAuthorization: {header}\r\n\r\n".encode())
    httpx.get(running.origin + TICKETS, headers=headers | {"X-Workspace-Id": FIXED})
    httpx.get(f"{running.origin}{TICKETS}?workspace_id=ws_x", headers=headers | {"X-Workspace-Id": FIXED})
    running.stop()

    told = running.log.read_text() + running.output
    assert told.count(" 401 ") == 2  # a header with an escape is no HTTP at all
    assert "0123456789" not in told
    assert hashlib.sha256(FIXED.encode()).hexdigest() not in told
    assert "secret" not in told
    assert "\x1b" not in told
    assert not [line for line in told.splitlines() if "FORGED" in line and " 127.0.0.1 " not in line]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"key {FIXED} here", "key keva_live_...END1 here"),
        ("keva_live_short", "keva_live_..."),
        ("KEVA%5flive%255F0123456789abcdefghij", "keva_live_...ghij"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_a_key_is_masked_wherever_it_stands(text, masked):
    assert log.mask(text) == masked


def test_a_traceback_cannot_be_taken_for_a_line_of_the_log():
    formatter = log._Lines("%(levelname)s %(message)s")
    try:
        raise ValueError("a\nWARNING forged")
    except ValueError as error:
        record = logging.LogRecord(
            "keva", logging.ERROR, "", 0, "failed", None, (ValueError, error, error.__traceback__)
        )
    first, *more = formatter.format(record).splitlines()
    assert first == "ERROR failed"
    assert all(line.startswith("    ") for line in more)
