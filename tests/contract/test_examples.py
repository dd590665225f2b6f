"""Keva's page as published: its curl lines are run by curl as they stand, but for the host, the ticket and the key."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .client import TICKETS, Client

LIST_TICKETS = r"""curl "https://app.keva.support/api/v1/tickets?status=open&per_page=10" \
-H "Authorization: Bearer keva_live_your_api_key"
"""
CREATE_TICKET = r"""curl https://app.keva.support/api/v1/tickets \
-H "Authorization: Bearer keva_live_your_api_key" \
-H "Content-Type: application/json" \
-d '{
"subject": "Order not delivered",
"customerEmail": "customer@example.com",
"customerName": "Jane Smith",
"body": "My order #12345 was supposed to arrive yesterday but I havent received it yet."
}'
"""
GET_TICKET = r"""curl https://app.keva.support/api/v1/tickets/tkt_abc123 \
-H "Authorization: Bearer keva_live_your_api_key"
"""
UPDATE_TICKET = r"""curl -X PATCH https://app.keva.support/api/v1/tickets/tkt_abc123 \
-H "Authorization: Bearer keva_live_your_api_key" \
-H "Content-Type: application/json" \
-d '{"status": "pending", "priority": "high"}'
"""
ADD_MESSAGE = r"""curl -X POST https://app.keva.support/api/v1/tickets/tkt_abc123/messages \
-H "Authorization: Bearer keva_live_your_api_key" \
-H "Content-Type: application/json" \
-d '{
"body": "Any update on this?",
"senderEmail": "customer@example.com",
"direction": "inbound"
}'
"""
# The page gives this call no curl line, only its path and its answer.
LIST_MESSAGES = GET_TICKET.replace("tkt_abc123", "tkt_abc123/messages")

LISTED = """{
"data": [
{
"id": "tkt_abc123",
"subject": "Cannot access my account",
"status": "open",
"priority": "high",
"customerEmail": "customer@example.com",
"customerName": "John Doe",
"source": "email",
"assignedTo": null,
"resolutionType": null,
"tags": ["login", "urgent"],
"createdAt": "2024-01-15T10:30:00Z",
"updatedAt": "2024-01-15T10:30:00Z"
}
],
"pagination": {
"page": 1,
"perPage": 10,
"total": 45
}
}"""
CREATED = """{
"data": {
"id": "tkt_xyz789",
"subject": "Order not delivered",
"status": "open",
"priority": "medium",
"customerEmail": "customer@example.com",
"customerName": "Jane Smith",
"source": "api",
"createdAt": "2024-01-15T14:22:00Z"
}
}"""
MESSAGES = """{
"data": [
{
"id": "msg_001",
"ticketId": "tkt_abc123",
"direction": "inbound",
"senderEmail": "customer@example.com",
"senderName": "John Doe",
"body": "I need help with my order",
"createdAt": "2024-01-15T10:30:00Z"
},
{
"id": "msg_002",
"ticketId": "tkt_abc123",
"direction": "outbound",
"senderEmail": "support@company.com",
"body": "Happy to help! Let me look into this.",
"createdAt": "2024-01-15T10:31:00Z"
}
]
}"""


class Terminal:
    """Where the page's lines are pasted; tells the status and the body of what came back."""

    def __init__(self, client: Client, folder: Path) -> None:
        if not (shutil.which("curl") and shutil.which("bash")):
            pytest.skip("needs curl and bash")
        self.client = client
        # The lines stay as they are on the page; curl's own settings have it tell the status.
        (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "\\n%{http_code}"\n')
        self.environment = {**os.environ, "CURL_HOME": str(folder)}
        if "KEVA_BASE_URL" not in os.environ:
            self.environment["NO_PROXY"] = self.environment["no_proxy"] = "127.0.0.1"

    def paste(self, line: str, ticket_id: str = "", key: str = "") -> tuple[int, Any]:
        line = line.replace("https://app.keva.support", self.client.url)
        line = line.replace("tkt_abc123", ticket_id).replace("keva_live_your_api_key", key or self.client.key)
        done = subprocess.run(["bash", "-c", line], capture_output=True, check=True, env=self.environment)
        body, status = done.stdout.decode().rsplit("\n", 1)
        return int(status), json.loads(body)


@pytest.fixture
def terminal(client: Client, tmp_path: Path) -> Terminal:
    return Terminal(client, tmp_path)


def assert_like(answered: dict[str, Any], shown: dict[str, Any]) -> None:
    """The same fields in the same order, and values of the same types."""
    assert list(answered) == list(shown)
    for field, value in shown.items():
        if value is not None and (field, answered[field]) != ("customerName", None):
            assert type(answered[field]) is type(value), field


def test_the_list_example_answers_a_page_of_ten_open_tickets(client: Client, terminal: Terminal) -> None:
    for _ in range(11):
        client.create()
    shown = json.loads(LISTED)
    status, answered = terminal.paste(LIST_TICKETS)
    assert status == 200
    assert_like(answered, shown)
    assert_like(answered["pagination"], shown["pagination"])
    assert answered["pagination"] | {"total": 45} == shown["pagination"]
    assert len(answered["data"]) == 10
    for ticket in answered["data"]:
        assert_like(ticket, shown["data"][0])
        assert ticket["status"] == "open"


def test_the_create_example_answers_what_the_page_says_but_for_the_id_and_the_time(terminal: Terminal) -> None:
    shown = json.loads(CREATED)
    status, answered = terminal.paste(CREATE_TICKET)
    assert status == 201
    assert list(answered) == ["data"]
    assert_like(answered["data"], shown["data"])
    assert answered["data"] | {"id": "tkt_xyz789", "createdAt": "2024-01-15T14:22:00Z"} == shown["data"]


def test_the_create_example_stores_the_message_of_the_page(client: Client, terminal: Terminal) -> None:
    _, answered = terminal.paste(CREATE_TICKET)
    [message] = client.messages(answered["data"]["id"])
    assert message["body"] == "My order #12345 was supposed to arrive yesterday but I havent received it yet."


def test_the_get_example_answers_a_ticket_as_the_list_shows_it(terminal: Terminal, ticket: dict) -> None:
    status, answered = terminal.paste(GET_TICKET, ticket["id"])
    assert status == 200
    assert answered == {"data": ticket}
    assert_like(answered["data"], json.loads(LISTED)["data"][0])


def test_the_update_example_answers_the_changed_ticket(client: Client, terminal: Terminal, ticket: dict) -> None:
    status, answered = terminal.paste(UPDATE_TICKET, ticket["id"])
    assert status == 200
    assert (answered["data"]["status"], answered["data"]["priority"]) == ("pending", "high")
    assert answered == {"data": client.ticket(ticket["id"])}
    assert_like(answered["data"], json.loads(LISTED)["data"][0])


def test_the_add_message_example_answers_the_message(client: Client, terminal: Terminal, ticket: dict) -> None:
    status, answered = terminal.paste(ADD_MESSAGE, ticket["id"])
    assert status == 201
    assert list(answered) == ["data"]
    # As the second message of the page: its sender has no name.
    assert_like(answered["data"], json.loads(MESSAGES)["data"][1])
    assert answered["data"]["body"] == "Any update on this?"
    assert answered["data"] == client.messages(ticket["id"])[-1]


def test_the_messages_of_a_ticket_look_as_on_the_page(client: Client, terminal: Terminal) -> None:
    inbound, outbound = json.loads(MESSAGES)["data"]
    ticket = client.create(customerName=inbound["senderName"], body=inbound["body"])
    sent = {field: outbound[field] for field in ("direction", "senderEmail", "body")}
    client.post(f"{TICKETS}/{ticket['id']}/messages", sent)
    status, answered = terminal.paste(LIST_MESSAGES, ticket["id"])
    assert status == 200
    assert list(answered) == ["data"]
    for message, shown in zip(answered["data"], [inbound, outbound], strict=True):
        assert_like(message, shown)
        made = {field: message[field] for field in ("id", "ticketId", "createdAt")}
        assert message == shown | made


@pytest.mark.parametrize("line", [LIST_TICKETS, CREATE_TICKET], ids=["list", "create"])
def test_the_key_of_the_page_may_be_the_desks_fixed_key(client: Client, terminal: Terminal, line: str) -> None:
    if client.needs("KEVA_ALL_WORKSPACES_API_KEY") != "keva_live_your_api_key":
        pytest.skip("needs keva_live_your_api_key as KEVA_ALL_WORKSPACES_API_KEY")
    status, _ = terminal.paste(line, key="keva_live_your_api_key")
    assert status in (200, 201)
