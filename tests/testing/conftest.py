"""A desk for tests, reached as a client would: the real socket, and the key that it gives."""

import httpx
import pytest

from keva.testing import Keva

NEW = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."}
TICKETS = "/api/v1/tickets"


@pytest.fixture(scope="module")
def server():
    with Keva() as server:
        yield server


@pytest.fixture
def keva(server):
    server.reset()
    return server


@pytest.fixture
def client(keva):
    with httpx.Client(base_url=keva.url, headers={"Authorization": f"Bearer {keva.key}"}, timeout=10) as client:
        yield client
