"""Calls that are held, and what goes on meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from keva.http.server import Server
from keva.testing.sandbox import KEY, Sandbox
from tests.http.serving import wait_until
from tests.testing.conftest import TICKETS

HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def sandbox(tmp_path):
    sandbox = Sandbox(tmp_path / "keva.db", control=True)
    yield sandbox
    sandbox.database.close()


@pytest.fixture
def origin(sandbox):
    """A server of one thread: whatever keeps it, keeps everybody else out."""
    server = Server(sandbox.middleware, threads=1)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.url
    sandbox.middleware.close()
    server.stop()
    thread.join(10)


@pytest.fixture
def ask(origin):
    with httpx.Client(base_url=origin, headers=HEADERS, timeout=30, limits=httpx.Limits(max_connections=200)) as client:
        yield client.request


def test_control_calls_and_the_health_do_not_wait_behind_a_hundred_held_ones(ask):
    assert ask("POST", "/__keva__/faults", json={"delay": 600, "times": None}).is_success
    with ThreadPoolExecutor(100) as callers:
        held = [callers.submit(ask, "GET", TICKETS) for _ in range(100)]
        wait_until(lambda: ask("GET", "/__keva__/faults").json()["data"][0]["hits"] == 100, 30)
        assert ask("DELETE", "/__keva__/faults").status_code == 204
        assert ask("GET", "/healthz").status_code == 200
        assert ask("POST", "/__keva__/reset").status_code == 204
        assert {call.result().status_code for call in held} == {503}


def test_a_control_call_that_waits_for_others_lets_them_come(ask):
    with ThreadPoolExecutor(10) as callers:
        waiting = [callers.submit(ask, "GET", "/__keva__/requests?count=1&wait=20") for _ in range(10)]
        assert ask("GET", TICKETS).status_code == 200
        assert [len(call.result().json()["data"]) for call in waiting] == [1] * 10
