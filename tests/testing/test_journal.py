"""What the desk was asked, in order."""

import asyncio
import json
import threading
import time
import tracemalloc

import httpx
import pytest

from keva.testing import journal
from tests.testing.conftest import NEW, TICKETS


def test_each_call_is_kept_with_what_was_sent_and_what_was_answered(keva, client):
    client.post(f"{TICKETS}?workspace_id=ws_000001", json=NEW, headers={"X-Trace": "a"})
    [request] = keva.requests()

    assert (request.method, request.path, request.query) == ("POST", TICKETS, {"workspace_id": "ws_000001"})
    assert request.json == NEW
    assert json.loads(request.body) == NEW
    assert request.headers["x-trace"] == "a"
    assert request.headers["AUTHORIZATION"] == f"Bearer {keva.key}"
    assert (request.status, request.error) == (201, None)
    assert 0 < request.duration < 5


def test_a_refused_call_says_why_and_shows_no_key(keva, client):
    client.post(TICKETS, json={})
    httpx.get(f"{keva.url}/api/v1/tickets/keva_live_0123456789abcdef0123456789abcdef")

    refused, unknown = keva.requests()
    assert "subject is required" in repr(refused)
    assert refused.status == 400
    assert "0123456789" not in repr(unknown)


def test_a_call_to_a_path_that_is_not_there_is_kept_too(keva, client):
    client.get("/v1/tickets")
    assert [request.path for request in keva.requests()] == ["/v1/tickets"]
    assert "no such path" in keva.requests()[0].error


def test_calls_are_found_by_method_and_path(keva, client):
    ticket = keva.seed()["id"]
    client.get(TICKETS)
    client.get(f"{TICKETS}/{ticket}")
    client.patch(f"{TICKETS}/{ticket}", json={"status": "open"})

    assert len(keva.requests()) == 3
    assert len(keva.requests(method="GET")) == 2
    assert [request.method for request in keva.requests(path=f"{TICKETS}/*")] == ["GET", "PATCH"]


def test_waiting_ends_when_the_calls_have_been_answered(keva):
    def later():
        time.sleep(0.1)
        httpx.post(keva.url + TICKETS, json=NEW, headers={"Authorization": f"Bearer {keva.key}"})

    thread = threading.Thread(target=later)
    thread.start()
    [request] = keva.wait_for(method="POST")
    thread.join()

    assert request.status == 201
    assert len(keva.tickets()) == 1


def test_waiting_in_vain_is_an_assertion_error_that_shows_the_calls_there_were(keva, client):
    client.get(TICKETS)
    with pytest.raises(AssertionError, match="GET /api/v1/tickets 200"):
        keva.wait_for(method="POST", timeout=0.05)


def test_waiting_for_many_calls_looks_at_each_of_them_once_or_twice():
    kept, looked = journal.Journal(), []
    waiting = threading.Thread(target=kept.wait_for, args=(lambda request: looked.append(request) or True, 200, 10))
    waiting.start()
    while not kept._watches:
        time.sleep(0.001)
    for _ in range(200):
        request = journal.Request.of(environ(), b"")
        kept.begin(request)
        kept.end(request, 200, None)
    waiting.join()
    assert 200 <= len(looked) <= 400


def test_what_the_test_itself_does_is_not_in_it(keva):
    keva.seed()
    keva.tickets()
    assert keva.requests() == []


def test_the_journal_is_bounded(keva, client, monkeypatch):
    monkeypatch.setattr(journal, "KEPT", 3)
    for page in range(1, 6):
        client.get(TICKETS, params={"page": page})
    assert [request.query["page"] for request in keva.requests()] == ["3", "4", "5"]

    monkeypatch.setattr(journal, "KEPT_BYTES", 100_000)
    for _ in range(3):
        client.post(TICKETS, json=NEW | {"body": "x" * 70_000})
    assert len(keva.requests(method="POST")) == 1


def environ(**more):
    return {"REQUEST_METHOD": "GET", "PATH_INFO": TICKETS, "QUERY_STRING": "", **more}


@pytest.mark.parametrize(
    ("asked", "calls"),
    [
        (lambda n: environ(QUERY_STRING=f"a{n}=" + "&a=1" * 8000), 100),
        (lambda n: environ(QUERY_STRING=f"a{n}=" + "x" * 31_000), 100),
        (lambda n: environ(PATH_INFO=f"/{n}/" + "\xf0\x9f\x8e\x89" * 8000), 100),
        (lambda n: environ(**{f"HTTP_X{number}": "" for number in range(n, n + 5000)}), 20),
        (lambda n: environ(HTTP_X=f"{n}" + "x" * 31_000), 100),
    ],
    ids=["parameters", "query", "path", "headers", "header"],
)
def test_all_that_a_call_holds_is_counted(monkeypatch, asked, calls):
    monkeypatch.setattr(journal, "KEPT_BYTES", 2_000_000)
    kept = journal.Journal()
    tracemalloc.start()
    for number in range(calls):
        request = journal.Request.of(asked(number), b"")
        kept.begin(request)
        kept.end(request, 401, "\U0001f389" * 100_000)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept.requests(lambda _: True)
    assert held < 3_500_000


def test_what_is_forgotten_while_it_is_in_progress_is_not_counted_twice(monkeypatch):
    monkeypatch.setattr(journal, "KEPT", 1)
    kept = journal.Journal()
    first, second = (journal.Request.of(environ(), b"") for _ in range(2))
    kept.begin(first)
    kept.begin(second)
    kept.end(first, 400, "x" * 1000)
    kept.end(second, 400, "x" * 1000)
    kept.clear()
    assert kept._bytes == 0


def test_a_long_query_is_whole_in_the_journal_and_short_in_a_report(keva, client):
    client.get(f"{TICKETS}?page={'1' * 20_000}")
    [request] = keva.requests()
    assert request.query == {"page": "1" * 20_000}
    assert len(repr(request)) < 1000


def test_an_undisturbed_call_is_answered_as_without_a_stage(keva, client):
    head = client.head(TICKETS)
    get = client.get(TICKETS)
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (head.content, get.json()["data"]) == (b"", [])


def test_a_call_that_is_too_large_is_in_it_too(keva, client):
    client.post(TICKETS, content=b"x" * 5 * 1024 * 1024)
    [request] = keva.requests()
    assert (request.method, request.path, request.status) == ("POST", TICKETS, 413)
    assert "4 MiB" in request.error


def test_headers_show_no_key(keva, client):
    client.get(TICKETS, headers={"Authorization": "Bearer keva_live_0123456789abcdef0123"})
    headers = keva.requests()[0].headers
    assert headers["Authorization"].endswith("0123456789abcdef0123")
    assert "0123456789" not in repr(headers) + str(headers)


@pytest.mark.parametrize(
    ("wait", "told"),
    [
        (lambda keva: keva.wait_for(), "keva.wait_for, "),
        (lambda keva: keva.wait_for_event(), "keva.wait_for_event, "),
        (lambda keva: keva.wait_for_delivery(), "keva.wait_for_delivery, "),
    ],
)
def test_a_wait_in_an_event_loop_says_how_to_wait_beside_it(keva, wait, told):
    async def test():
        wait(keva)

    with pytest.raises(RuntimeError, match=r"await asyncio\.to_thread\(" + told):
        asyncio.run(test())


def test_waiting_beside_an_event_loop_lets_its_calls_come(keva):
    async def test():
        waiting = asyncio.create_task(asyncio.to_thread(keva.wait_for, timeout=10))
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {keva.key}"}) as client:
            await client.get(keva.url + TICKETS)
        return await waiting

    assert [request.status for request in asyncio.run(test())] == [200]
