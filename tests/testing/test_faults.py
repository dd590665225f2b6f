"""Failures on demand, met by clients of three kinds."""

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

import httpx
import pytest

from keva.testing.faults import RequestMatcher
from keva.testing.journal import Headers, Request
from tests.testing.conftest import NEW, TICKETS

WAYS = ["reset", "close", "partial"]


def with_urllib(keva):
    request = urllib.request.Request(keva.url + TICKETS, httpx.Request("POST", keva.url, json=NEW).read())
    request.add_header("Authorization", f"Bearer {keva.key}")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def with_a_pool(keva):
    with httpx.Client(base_url=keva.url, headers={"Authorization": f"Bearer {keva.key}"}) as client:
        client.get("/healthz")  # the connection is an old one by now
        return client.post(TICKETS, json=NEW).status_code


def with_asyncio(keva):
    async def call():
        async with httpx.AsyncClient(base_url=keva.url, headers={"Authorization": f"Bearer {keva.key}"}) as client:
            return (await client.post(TICKETS, json=NEW)).status_code

    return asyncio.run(call())


CLIENTS = [with_urllib, with_a_pool, with_asyncio]


@pytest.mark.parametrize("call", CLIENTS)
@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
def test_a_failure_is_answered_before_or_after_the_call_takes_effect(keva, call, when, stored):
    fault = keva.fail(502, path=TICKETS, when=when)

    assert call(keva) == 502
    assert len(keva.tickets()) == stored
    assert fault.hits == 1
    assert call(keva) == 201


@pytest.mark.parametrize("call", CLIENTS)
@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("how", WAYS)
def test_a_connection_is_cut_before_or_after_the_call_takes_effect(keva, call, how, when, stored):
    keva.drop(how, path=TICKETS, when=when)

    with pytest.raises((OSError, HTTPException, httpx.TransportError)):
        call(keva)
    assert len(keva.tickets()) == stored
    assert keva.requests(method="POST")[0].status is None
    assert call(keva) == 201


@pytest.mark.parametrize("call", CLIENTS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_call_is_held_and_then_answered(keva, call, when):
    keva.delay(0.3, path=TICKETS, when=when)
    began = time.perf_counter()

    assert call(keva) == 201
    assert time.perf_counter() - began >= 0.3
    assert keva.requests(method="POST")[0].duration >= 0.3


def test_held_calls_do_not_keep_others_from_being_answered(keva, client):
    keva.delay(5, method="POST", times=None)
    held = [threading.Thread(target=with_urllib, args=(keva,)) for _ in range(10)]
    for thread in held:
        thread.start()
    while len(keva.requests(method="POST")) < 10:
        time.sleep(0.01)

    assert client.get(TICKETS).elapsed.total_seconds() < 1

    keva.reset()
    for thread in held:
        thread.join()
    assert keva.tickets() == []


def test_a_reset_lets_held_calls_go_and_they_store_nothing(keva):
    keva.delay(30)
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(with_urllib(keva)))
    thread.start()
    while not keva.requests():
        time.sleep(0.01)
    began = time.perf_counter()

    keva.reset()
    thread.join()

    assert time.perf_counter() - began < 2
    assert statuses == [503]
    assert keva.tickets() == keva.requests() == []


def test_a_call_whose_body_ends_after_a_reset_is_of_the_test_in_which_it_began(keva, client):
    body = json.dumps(NEW).encode()
    head = f"POST {TICKETS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {keva.key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(keva.url).port), timeout=10) as late:
        late.sendall(head.encode())
        assert b" 100 " in late.recv(1000)  # which the server says once it has the head

        keva.reset()
        fault = keva.fail(500)
        late.sendall(body)
        assert b" 503 " in late.recv(1000).partition(b"\r\n")[0]

    assert keva.tickets() == keva.requests() == []
    assert (fault.hits, client.get(TICKETS).status_code) == (0, 500)


def test_a_call_that_is_refused_after_a_reset_for_its_size_is_of_the_test_in_which_it_began(keva):
    with socket.create_connection(("127.0.0.1", urlsplit(keva.url).port), timeout=10) as late:
        late.sendall(
            f"POST {TICKETS} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert b" 100 " in late.recv(1000)
        keva.reset()
        late.sendall(b"ffffffff\r\n")
        assert b" 413 " in late.recv(1000).partition(b"\r\n")[0]
    assert keva.requests() == []


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (None, "application/json", '{"error":"This failure was asked for by the test."}'),
        ("<h1>Bad gateway</h1>", "text/html; charset=utf-8", "<h1>Bad gateway</h1>"),
        ({"message": "é"}, "application/json", '{"message": "é"}'),
        (b"\xff", "text/html; charset=utf-8", "\ufffd"),
    ],
)
def test_the_body_of_a_failure_may_be_text_bytes_or_json(keva, client, body, kind, text):
    keva.fail(502, body, {"Retry-After": "7"})
    answer = client.get(TICKETS)

    assert (answer.status_code, answer.headers["content-type"], answer.text) == (502, kind, text)
    assert answer.headers["retry-after"] == "7"


def test_a_fault_stands_before_everything_keys_included(keva):
    keva.fail(503)
    assert httpx.get(keva.url + TICKETS).status_code == 503
    assert httpx.get(keva.url + TICKETS).status_code == 401


def test_a_fault_meets_the_calls_it_names_and_no_others(keva, client):
    ticket = keva.seed()["id"]
    fault = keva.fail(500, method="get", path="/api/v1/tickets/*")

    assert client.get(TICKETS).status_code == 200
    assert client.get(f"{TICKETS}/{ticket}/messages").status_code == 200
    assert client.patch(f"{TICKETS}/{ticket}", json={"status": "closed"}).status_code == 200
    assert client.get(f"{TICKETS}/{ticket}").status_code == 500
    assert (fault.hits, keva.faults()) == (1, [])


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/", True),
        ("/a/*", "/a/b/c", False),
        ("/a/*", "/a", False),
        ("/a/b", "/a/b", True),
        ("/a/b", "/a/bc", False),
        ("/a/t_*", "/a/t_1", True),
        ("/a/t_*", "/a/x_1", False),
        ("/a/*b*c", "/a/abxbc", True),
        ("/a/*b*c", "/a/acb", False),
        ("/a/b*b", "/a/b", False),
        ("/a/ab*bc", "/a/abc", False),
        ("/a/**", "/a/b", True),
        ("/a/.", "/a/b", False),
    ],
)
def test_a_star_stands_for_any_text_without_a_slash(pattern, path, fits):
    assert RequestMatcher([path], None, pattern)(_asked(path)) if fits else not _meets(pattern, path)


def _meets(pattern, path):
    return RequestMatcher([pattern.replace("*", "")], None, pattern)(_asked(path))


def _asked(path):
    return Request("GET", path, "", Headers(), b"")


def test_skip_lets_some_pass_and_times_ends_it(keva, client):
    keva.fail(503, times=2, skip=1)
    assert [client.get(TICKETS).status_code for _ in range(5)] == [200, 503, 503, 200, 200]


def test_the_oldest_fault_answers_until_it_is_spent_or_cancelled(keva, client):
    first, second = keva.fail(500, times=None), keva.fail(502)
    assert client.get(TICKETS).status_code == 500
    assert keva.faults() == [first, second]
    first.cancel()
    assert client.get(TICKETS).status_code == 502
    assert client.get(TICKETS).status_code == 200


def test_cleared_faults_meet_nothing(keva, client):
    keva.fail(times=None)
    keva.drop(times=None)
    keva.clear_faults()
    assert client.get(TICKETS).status_code == 200


@pytest.mark.parametrize(
    "arm",
    [
        lambda keva: keva.fail(path="/tickets"),
        lambda keva: keva.fail(path="/api/v1/tickets/*/notes"),
        lambda keva: keva.fail(path="/api/v1/tickets/"),
        lambda keva: keva.fail(path="/__keva__/reset"),
        lambda keva: keva.fail(method="PSOT"),
        lambda keva: keva.fail(99),
        lambda keva: keva.fail(204),
        lambda keva: keva.fail(500, headers={"X": "a\r\nb: c"}),
        lambda keva: keva.fail(500, headers={"Transfer-Encoding": "chunked"}),
        lambda keva: keva.fail(500, object()),
        lambda keva: keva.fail(500, "\ud800"),
        lambda keva: keva.fail(500, {"a": float("nan")}),
        lambda keva: keva.fail(times=0),
        lambda keva: keva.fail(skip=-1),
        lambda keva: keva.fail(when="during"),
        lambda keva: keva.drop("gently"),
        lambda keva: keva.delay(-1),
        lambda keva: keva.requests(path="/tickets"),
        lambda keva: keva.wait_for(path="/tickets"),
    ],
)
def test_a_fault_that_can_meet_nothing_or_means_nothing_is_refused(keva, arm):
    with pytest.raises(ValueError, match=r"\."):
        arm(keva)
    assert keva.faults() == []


def test_a_fault_shows_what_it_does(keva):
    shown = repr(keva.fail(503, method="POST", path=TICKETS, times=2))
    assert "503" in shown
    assert "POST /api/v1/tickets" in shown
    assert "0 of 2" in shown


def test_a_fault_meets_only_calls_with_its_query_and_headers(keva, client):
    key = keva.create_key()
    keva.fail(query={"page": "2", "status": "*"}, times=None)
    keva.drop(request_headers={"authorization": f"*{key[-4:]}"}, times=None)
    queries = {"page=2&status=open": 500, "page=2": 200, "status=open": 200}
    assert {query: client.get(f"{TICKETS}?{query}").status_code for query in queries} == queries
    with pytest.raises(httpx.TransportError):
        client.get(TICKETS, headers={"Authorization": f"Bearer {key}"})
    assert client.get(TICKETS).status_code == 200
    assert "with page=2 with status=*" in repr(keva.faults()[0])
