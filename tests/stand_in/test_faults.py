"""Failures on demand, met by clients of three kinds."""

import asyncio
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException

import httpx
import pytest

from tests.stand_in.conftest import NEW, TICKETS

WAYS = ["reset", "close", "partial"]


def with_urllib(desk):
    request = urllib.request.Request(desk.url + TICKETS, httpx.Request("POST", desk.url, json=NEW).read())
    request.add_header("Authorization", f"Bearer {desk.key}")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def with_a_pool(desk):
    with httpx.Client(base_url=desk.url, headers={"Authorization": f"Bearer {desk.key}"}) as client:
        client.get("/healthz")  # the connection is an old one by now
        return client.post(TICKETS, json=NEW).status_code


def with_asyncio(desk):
    async def call():
        async with httpx.AsyncClient(base_url=desk.url, headers={"Authorization": f"Bearer {desk.key}"}) as client:
            return (await client.post(TICKETS, json=NEW)).status_code

    return asyncio.run(call())


CLIENTS = [with_urllib, with_a_pool, with_asyncio]


@pytest.mark.parametrize("call", CLIENTS)
@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
def test_a_failure_is_answered_before_or_after_the_call_takes_effect(desk, call, when, stored):
    fault = desk.fail(502, path=TICKETS, when=when)

    assert call(desk) == 502
    assert len(desk.tickets()) == stored
    assert fault.hits == 1
    assert call(desk) == 201


@pytest.mark.parametrize("call", CLIENTS)
@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("how", WAYS)
def test_a_connection_is_cut_before_or_after_the_call_takes_effect(desk, call, how, when, stored):
    desk.drop(how, path=TICKETS, when=when)

    with pytest.raises((OSError, HTTPException, httpx.TransportError)):
        call(desk)
    assert len(desk.tickets()) == stored
    assert desk.requests(method="POST")[0].status is None
    assert call(desk) == 201


@pytest.mark.parametrize("call", CLIENTS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_call_is_held_and_then_answered(desk, call, when):
    desk.delay(0.3, path=TICKETS, when=when)
    began = time.perf_counter()

    assert call(desk) == 201
    assert time.perf_counter() - began >= 0.3
    assert desk.requests(method="POST")[0].duration >= 0.3


def test_held_calls_do_not_keep_others_from_being_answered(desk, client):
    desk.delay(5, method="POST", times=None)
    held = [threading.Thread(target=with_urllib, args=(desk,)) for _ in range(10)]
    for thread in held:
        thread.start()
    while len(desk.requests(method="POST")) < 10:
        time.sleep(0.01)

    assert client.get(TICKETS).elapsed.total_seconds() < 1

    desk.reset()
    for thread in held:
        thread.join()
    assert desk.tickets() == []


def test_a_reset_lets_held_calls_go_and_they_store_nothing(desk):
    desk.delay(30)
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(with_urllib(desk)))
    thread.start()
    while not desk.requests():
        time.sleep(0.01)
    began = time.perf_counter()

    desk.reset()
    thread.join()

    assert time.perf_counter() - began < 2
    assert statuses == [503]
    assert desk.tickets() == desk.requests() == []


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (None, "application/json", '{"error":"This failure was asked for by the test."}'),
        ("<h1>Bad gateway</h1>", "text/html; charset=utf-8", "<h1>Bad gateway</h1>"),
        ({"message": "é"}, "application/json", '{"message": "é"}'),
        (b"\xff", "text/html; charset=utf-8", "\ufffd"),
    ],
)
def test_the_body_of_a_failure_may_be_text_bytes_or_json(desk, client, body, kind, text):
    desk.fail(502, body, {"Retry-After": "7"})
    answer = client.get(TICKETS)

    assert (answer.status_code, answer.headers["content-type"], answer.text) == (502, kind, text)
    assert answer.headers["retry-after"] == "7"


def test_a_fault_stands_before_everything_keys_included(desk):
    desk.fail(503)
    assert httpx.get(desk.url + TICKETS).status_code == 503
    assert httpx.get(desk.url + TICKETS).status_code == 401


def test_a_fault_meets_the_calls_it_names_and_no_others(desk, client):
    ticket = desk.seed()["id"]
    fault = desk.fail(500, method="get", path="/api/v1/tickets/*")

    assert client.get(TICKETS).status_code == 200
    assert client.get(f"{TICKETS}/{ticket}/messages").status_code == 200
    assert client.patch(f"{TICKETS}/{ticket}", json={"status": "closed"}).status_code == 200
    assert client.get(f"{TICKETS}/{ticket}").status_code == 500
    assert (fault.hits, desk.faults()) == (1, [])


def test_skip_lets_some_pass_and_times_ends_it(desk, client):
    desk.fail(503, times=2, skip=1)
    assert [client.get(TICKETS).status_code for _ in range(5)] == [200, 503, 503, 200, 200]


def test_the_oldest_fault_answers_until_it_is_spent_or_cancelled(desk, client):
    first, second = desk.fail(500, times=None), desk.fail(502)
    assert client.get(TICKETS).status_code == 500
    assert desk.faults() == [first, second]
    first.cancel()
    assert client.get(TICKETS).status_code == 502
    assert client.get(TICKETS).status_code == 200


def test_cleared_faults_meet_nothing(desk, client):
    desk.fail(times=None)
    desk.drop(times=None)
    desk.clear_faults()
    assert client.get(TICKETS).status_code == 200


@pytest.mark.parametrize(
    "arm",
    [
        lambda desk: desk.fail(path="/tickets"),
        lambda desk: desk.fail(path="/api/v1/tickets/*/notes"),
        lambda desk: desk.fail(path="/api/v1/tickets/"),
        lambda desk: desk.fail(path="/__keva__/reset"),
        lambda desk: desk.fail(method="PSOT"),
        lambda desk: desk.fail(99),
        lambda desk: desk.fail(204),
        lambda desk: desk.fail(500, headers={"X": "a\r\nb: c"}),
        lambda desk: desk.fail(500, headers={"Transfer-Encoding": "chunked"}),
        lambda desk: desk.fail(times=0),
        lambda desk: desk.fail(skip=-1),
        lambda desk: desk.fail(when="during"),
        lambda desk: desk.drop("gently"),
        lambda desk: desk.delay(-1),
        lambda desk: desk.requests(path="/tickets"),
        lambda desk: desk.wait_for(path="/tickets"),
    ],
)
def test_a_fault_that_can_meet_nothing_or_means_nothing_is_refused(desk, arm):
    with pytest.raises(ValueError, match=r"\."):
        arm(desk)
    assert desk.faults() == []


def test_a_fault_shows_what_it_does(desk):
    shown = repr(desk.fail(503, method="POST", path=TICKETS, times=2))
    assert "503" in shown
    assert "POST /api/v1/tickets" in shown
    assert "0 of 2" in shown
