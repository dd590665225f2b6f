"""What the desk was asked, in order."""

import json
import threading
import time

import httpx
import pytest

from keva import journal
from tests.stand_in.conftest import NEW, TICKETS


def test_each_call_is_kept_with_what_was_sent_and_what_was_answered(desk, client):
    client.post(f"{TICKETS}?workspace_id=ws_000001", json=NEW, headers={"X-Trace": "a"})
    [request] = desk.requests()

    assert (request.method, request.path, request.query) == ("POST", TICKETS, {"workspace_id": "ws_000001"})
    assert request.json == NEW
    assert json.loads(request.body) == NEW
    assert request.headers["x-trace"] == "a"
    assert request.headers["AUTHORIZATION"] == f"Bearer {desk.key}"
    assert (request.status, request.error) == (201, None)
    assert 0 < request.duration < 5


def test_a_refused_call_says_why_and_shows_no_key(desk, client):
    client.post(TICKETS, json={})
    httpx.get(f"{desk.url}/api/v1/tickets/keva_live_0123456789abcdef0123456789abcdef")

    refused, unknown = desk.requests()
    assert "subject is required" in repr(refused)
    assert refused.status == 400
    assert "0123456789" not in repr(unknown)


def test_a_call_to_a_path_that_is_not_there_is_kept_too(desk, client):
    client.get("/v1/tickets")
    assert [request.path for request in desk.requests()] == ["/v1/tickets"]
    assert "no such path" in desk.requests()[0].error


def test_calls_are_found_by_method_and_path(desk, client):
    ticket = desk.seed()["id"]
    client.get(TICKETS)
    client.get(f"{TICKETS}/{ticket}")
    client.patch(f"{TICKETS}/{ticket}", json={"status": "open"})

    assert len(desk.requests()) == 3
    assert len(desk.requests(method="GET")) == 2
    assert [request.method for request in desk.requests(path=f"{TICKETS}/*")] == ["GET", "PATCH"]


def test_waiting_ends_when_the_calls_have_been_answered(desk):
    def later():
        time.sleep(0.1)
        httpx.post(desk.url + TICKETS, json=NEW, headers={"Authorization": f"Bearer {desk.key}"})

    thread = threading.Thread(target=later)
    thread.start()
    [request] = desk.wait_for(method="POST")
    thread.join()

    assert request.status == 201
    assert len(desk.tickets()) == 1


def test_waiting_in_vain_is_an_assertion_error_that_shows_the_calls_there_were(desk, client):
    client.get(TICKETS)
    with pytest.raises(AssertionError, match="GET /api/v1/tickets 200"):
        desk.wait_for(method="POST", timeout=0.05)


def test_what_the_test_itself_does_is_not_in_it(desk):
    desk.seed()
    desk.tickets()
    assert desk.requests() == []


def test_the_journal_is_bounded(desk, client, monkeypatch):
    monkeypatch.setattr(journal, "KEPT", 3)
    for page in range(1, 6):
        client.get(TICKETS, params={"page": page})
    assert [request.query["page"] for request in desk.requests()] == ["3", "4", "5"]

    monkeypatch.setattr(journal, "KEPT_BYTES", 1000)
    for _ in range(3):
        client.post(TICKETS, json=NEW | {"body": "x" * 700})
    assert len(desk.requests(method="POST")) == 1


def test_an_undisturbed_call_is_answered_as_without_a_stage(desk, client):
    head = client.head(TICKETS)
    get = client.get(TICKETS)
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (head.content, get.json()["data"]) == (b"", [])


def test_a_call_that_is_too_large_is_in_it_too(desk, client):
    client.post(TICKETS, content=b"x" * 5 * 1024 * 1024)
    [request] = desk.requests()
    assert (request.method, request.path, request.status) == ("POST", TICKETS, 413)
    assert "4 MiB" in request.error


def test_headers_show_no_key(desk, client):
    client.get(TICKETS, headers={"Authorization": "Bearer keva_live_0123456789abcdef0123"})
    headers = desk.requests()[0].headers
    assert headers["Authorization"].endswith("0123456789abcdef0123")
    assert "0123456789" not in repr(headers) + str(headers)
