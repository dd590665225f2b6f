"""A desk somewhere, as its callers see it: the six calls, what they send, and the shapes of what comes back."""

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, Self
from uuid import uuid4

import httpx
import pytest

from tests.receiver import Call as Delivered
from tests.receiver import Receiver

TICKETS = "/api/v1/tickets"
TICKET_FIELDS = [
    *("id", "subject", "status", "priority", "customerEmail", "customerName", "source"),
    *("assignedTo", "resolutionType", "tags", "createdAt", "updatedAt"),
]
CREATED_FIELDS = ["id", "subject", "status", "priority", "customerEmail", "customerName", "source", "createdAt"]
MESSAGE_FIELDS = ["id", "ticketId", "direction", "senderEmail", "senderName", "body", "bodyHtml", "createdAt"]
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
INTERNALS = re.compile(
    r"(?i:traceback|pydantic|werkzeug|flask|waitress|sqlite|\w\.py\b|<class|input_value|<html)|SELECT |INSERT |UPDATE "
)
OWN = "the desk's own key"


@dataclass(frozen=True, eq=False)
class Call:
    method: str
    path: str
    scope: str
    success: int
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


NEW_TICKET = {"subject": "Order not delivered", "customerEmail": "customer@example.com", "body": "Where is it?"}
NEW_MESSAGE = {"body": "Any update on this?", "senderEmail": "customer@example.com"}

LIST_TICKETS = Call("GET", "/api/v1/tickets", "tickets:read", 200)
CREATE_TICKET = Call("POST", "/api/v1/tickets", "tickets:write", 201, NEW_TICKET)
GET_TICKET = Call("GET", "/api/v1/tickets/:id", "tickets:read", 200)
UPDATE_TICKET = Call("PATCH", "/api/v1/tickets/:id", "tickets:write", 200, {"status": "pending"})
LIST_MESSAGES = Call("GET", "/api/v1/tickets/:id/messages", "tickets:read", 200)
ADD_MESSAGE = Call("POST", "/api/v1/tickets/:id/messages", "tickets:write", 201, NEW_MESSAGE)
READS = [LIST_TICKETS, GET_TICKET, LIST_MESSAGES]
WRITES = [CREATE_TICKET, UPDATE_TICKET, ADD_MESSAGE]
ENDPOINTS = READS + WRITES


class Client:
    def __init__(self, settings: Mapping[str, str]) -> None:
        self.url = settings["KEVA_BASE_URL"].rstrip("/")
        self.key = settings["KEVA_API_KEY"]
        self._settings = settings
        # A proxy of the environment's is not for the server of our own.
        self._client = httpx.Client(base_url=self.url, timeout=60, trust_env=settings is os.environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def needs(self, name: str) -> str:
        """A key or workspace that not every desk has to offer; the test is skipped without it."""
        return self._settings.get(name) or pytest.skip(f"needs {name}, which is not set")

    def call(self, method: str, path: str, key: str | None = OWN, **how: Any) -> httpx.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {self.key if key is OWN else key}"}
        headers |= how.pop("headers", {})
        return _patiently(lambda: self._client.request(method, path, headers=headers, **how))

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self.call("GET", path, **how)

    def post(self, path: str, sent: Any, **how: Any) -> httpx.Response:
        return self.call("POST", path, json=sent, **how)

    def patch(self, path: str, sent: Any, **how: Any) -> httpx.Response:
        return self.call("PATCH", path, json=sent, **how)

    def make(self, call: Call, ticket_id: str, query: str = "", **how: Any) -> httpx.Response:
        """Makes one of the six calls, with a good body unless another is given."""
        if call.body and not how.keys() & {"json", "content"}:
            how["json"] = call.body
        return self.call(call.method, call.path.replace(":id", ticket_id) + query, **how)

    def wire(self, sent: bytes) -> httpx.Response:
        """Sends these very bytes on a connection of its own, and reads one answer."""
        return _patiently(lambda: self._wire(sent))

    def raw(self, line: str, *headers: str, body: bytes = b"", key: str | None = OWN) -> httpx.Response:
        """Sends a request that a client would have mended: its first line and headers go out as they are."""
        host = f"Host: {httpx.URL(self.url).netloc.decode()}"
        keys = [] if key is None else [f"Authorization: Bearer {self.key if key is OWN else key}"]
        return self.wire("\r\n".join([line, host, *keys, *headers, "", ""]).encode("latin-1") + body)

    def create(self, key: str = OWN, **fields: Any) -> dict[str, Any]:
        return succeeded(self.post(TICKETS, NEW_TICKET | fields, key=key), 201)

    def ticket(self, id: str, key: str = OWN) -> dict[str, Any]:
        return succeeded(self.get(f"{TICKETS}/{id}", key=key))

    def messages(self, id: str, key: str = OWN) -> list[dict[str, Any]]:
        return succeeded(self.get(f"{TICKETS}/{id}/messages", key=key))

    def newest(self, query: str = "?per_page=100", key: str = OWN) -> list[dict[str, Any]]:
        return succeeded(self.get(TICKETS + query, key=key))

    def total(self, query: str = "", key: str = OWN) -> int:
        return self.get(TICKETS + query, key=key).json()["pagination"]["total"]

    def _wire(self, sent: bytes) -> httpx.Response:
        url = httpx.URL(self.url)
        kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
        with closing(kind(url.netloc.decode(), timeout=60)) as connection:
            connection.connect()
            connection.sock.sendall(sent)
            answer = HTTPResponse(connection.sock, method=sent.split(b" ")[0].decode("latin-1"))
            answer.begin()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


class Write:
    """One of the three calls that store something, at a ticket of its own, and able to tell whether it did."""

    def __init__(self, client: Client, call: Call) -> None:
        self.client, self.call = client, call
        self.mark = uuid4().hex
        self.ticket_id = client.create()["id"]
        self.good = {
            CREATE_TICKET: {"subject": self.mark, "customerEmail": f"{self.mark}@example.com", "body": self.mark},
            UPDATE_TICKET: {"assignedTo": self.mark, "status": "pending"},
            ADD_MESSAGE: {"body": self.mark, "senderEmail": f"{self.mark}@example.com"},
        }[call]
        self.text_field = next(iter(self.good))

    def spoiled(self, value: str) -> str:
        """The good body with this JSON as the value of its first field."""
        return json.dumps(self.good).replace(f'"{self.mark}"', value, 1)

    def send(self, sent: dict[str, Any] | str | bytes, **how: Any) -> httpx.Response:
        content = json.dumps(sent) if isinstance(sent, dict) else sent
        how.setdefault("headers", {"Content-Type": "application/json"})
        return self.client.make(self.call, self.ticket_id, content=content, **how)

    def refuses(self, sent: dict[str, Any] | str | bytes, status: int = 400, **how: Any) -> dict[str, str]:
        """Asserts that this is refused and that nothing was stored; returns what is told of each field."""
        before = self._stored()
        details = refused(self.send(sent, **how), status)
        assert self._stored() == before
        return details

    def keeps(self, sent: dict[str, Any] | str | bytes, **how: Any) -> dict[str, Any]:
        """Asserts that this is taken; returns the fields of the ticket and of its last message, as stored."""
        answered = succeeded(self.send(sent, **how), self.call.success)
        ticket_id = answered["id"] if self.call is CREATE_TICKET else self.ticket_id
        stored = self.client.ticket(ticket_id) | self.client.messages(ticket_id)[-1]
        shown = answered.keys() - {"id", "createdAt"}
        assert {field: answered[field] for field in shown} == {field: stored[field] for field in shown}
        return stored

    def _stored(self) -> Any:
        # Others may be creating tickets meanwhile: only what bears the mark can have come from here.
        made = [ticket["id"] for ticket in self.client.newest("?per_page=20") if self.mark in json.dumps(ticket)]
        return made, self.client.ticket(self.ticket_id), self.client.messages(self.ticket_id)


class Heard:
    """What the desk's webhook was sent; other tests' events among it."""

    def __init__(self, receiver: Receiver, secret: str) -> None:
        self.secret = secret
        self._receiver = receiver

    def of(self, ticket_id: str, count: int) -> list[Delivered]:
        """The first deliveries of the events of that ticket, once there are so many."""
        calls = self._receiver.wait_until(lambda calls: len(self._first(calls, ticket_id)) >= count, 60)
        return self._first(calls, ticket_id)

    def _first(self, calls: list[Delivered], ticket_id: str) -> list[Delivered]:
        first = {call.id: call for call in reversed(calls)}  # the earliest of each id stays
        return [call for call in calls if first[call.id] is call and call.event["data"]["ticketId"] == ticket_id]


def succeeded(answer: httpx.Response, status: int = 200) -> Any:
    """Asserts a success; returns its data."""
    assert answer.status_code == status, answer.text[:1000]
    return answer.json()["data"]


def refused(answer: httpx.Response, status: int) -> dict[str, str]:
    """Asserts a refusal in the one shape; returns what is told of each field."""
    assert answer.status_code == status, answer.text[:1000]
    assert answer.headers["Content-Type"].startswith("application/json")
    told = answer.json()
    assert list(told) in (["error"], ["error", "details"])
    assert told["error"].strip()
    assert not INTERNALS.search(answer.text)
    return _details(told.get("details", []))


def _details(details: list[dict[str, str]]) -> dict[str, str]:
    assert all(list(detail) == ["field", "message"] and detail["message"].strip() for detail in details)
    told = {detail["field"]: detail["message"] for detail in details}
    assert len(told) == len(details), "a field is told of once"
    return told


def _patiently(send: Callable[[], httpx.Response]) -> httpx.Response:
    """A desk with a rate limit is waited for, once: its windows are a minute long."""
    answer = send()
    if answer.status_code == 429:
        time.sleep(float(answer.headers["Retry-After"]))
        answer = send()
    return answer
