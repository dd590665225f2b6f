"""Events, as the desk's webhook is sent them."""

import json
import re
import time

import pytest
from standardwebhooks import Webhook

from .client import NEW_MESSAGE, TICKETS, TIME, Client, Heard, succeeded

ENVELOPE = ["id", "type", "createdAt", "data"]
JANE = {"customerName": "Jané 🎉 \u2028", "source": "contact-form"}


def types(calls: list) -> list[str]:
    return [call.event["type"] for call in calls]


def test_a_new_ticket_is_told_with_exactly_the_fields_of_the_documentation(client: Client, heard: Heard) -> None:
    ticket = client.create(**JANE)
    [call] = heard.of(ticket["id"], 1)
    assert list(call.event) == ENVELOPE
    assert call.event["type"] == "ticket.created"
    assert call.event["data"] == {
        "ticketId": ticket["id"],
        "subject": ticket["subject"],
        "customerEmail": ticket["customerEmail"],
        "customerName": ticket["customerName"],
        "source": ticket["source"],
        "priority": "medium",
    }
    assert list(call.event["data"]) == [
        *("ticketId", "subject", "customerEmail", "customerName", "source", "priority"),
    ]
    assert call.event["createdAt"] == ticket["createdAt"]


def test_an_envelope_is_compact_json_with_other_letters_as_they_are_and_null_for_no_value(
    client: Client, heard: Heard
) -> None:
    named, nameless = client.create(**JANE), client.create()
    [call] = heard.of(named["id"], 1)
    assert call.body == json.dumps(call.event, ensure_ascii=False, separators=(",", ":")).encode()
    [call] = heard.of(nameless["id"], 1)
    assert call.event["data"]["customerName"] is None


def test_it_is_posted_as_json_and_signed_as_standard_webhooks_has_it(client: Client, heard: Heard) -> None:
    ticket = client.create()
    [call] = heard.of(ticket["id"], 1)
    assert call.line.startswith("POST ")
    assert call.headers["content-type"] == "application/json"
    assert re.fullmatch(r"evt_[0-9A-Za-z_-]{1,64}", call.event["id"])
    assert call.headers["webhook-id"] == call.event["id"]
    assert abs(int(call.headers["webhook-timestamp"]) - time.time()) < 120
    assert Webhook(heard.secret).verify(call.body, call.headers) == call.event


def test_a_change_tells_what_really_changed_in_the_documented_order(client: Client, heard: Heard) -> None:
    ticket = client.create()
    path = f"{TICKETS}/{ticket['id']}"
    succeeded(client.patch(path, {"assignedTo": "user_1", "priority": "high", "status": "open"}))
    succeeded(client.patch(path, {"assignedTo": "user_1"}))
    succeeded(client.patch(path, {"assignedTo": None, "status": "pending"}))
    _, first, second = heard.of(ticket["id"], 3)
    assert first.event["type"] == second.event["type"] == "ticket.updated"
    assert list(first.event["data"]) == ["ticketId", "changes"]
    changes = first.event["data"]["changes"]
    assert list(changes.items()) == [
        ("priority", {"from": "medium", "to": "high"}),
        ("assignedTo", {"from": None, "to": "user_1"}),
    ]
    assert list(second.event["data"]["changes"].items()) == [
        ("status", {"from": "open", "to": "pending"}),
        ("assignedTo", {"from": "user_1", "to": None}),
    ]


@pytest.mark.parametrize("status", ["solved", "closed"])
def test_a_ticket_that_is_solved_or_closed_is_told_after_its_change(client: Client, heard: Heard, status: str) -> None:
    ticket = client.create()
    succeeded(client.patch(f"{TICKETS}/{ticket['id']}", {"status": status}))
    _, updated, closed = heard.of(ticket["id"], 3)
    assert types([updated, closed]) == ["ticket.updated", "ticket.closed"]
    assert list(closed.event["data"].items()) == [
        ("ticketId", ticket["id"]),
        ("resolution", status),
        ("resolutionType", None),
    ]


def test_from_solved_to_closed_is_told_too_and_open_again_is_a_change_alone(client: Client, heard: Heard) -> None:
    ticket = client.create()
    for status in ("solved", "closed", "open"):
        succeeded(client.patch(f"{TICKETS}/{ticket['id']}", {"status": status}))
    told = types(heard.of(ticket["id"], 6))
    assert told == ["ticket.created", *["ticket.updated", "ticket.closed"] * 2, "ticket.updated"]


def test_an_added_message_is_told_with_its_text(client: Client, heard: Heard) -> None:
    ticket = client.create()
    sent = NEW_MESSAGE | {"body": "é 🎉\r\n<b>&</b>", "direction": "outbound", "senderName": "Jo"}
    message = succeeded(client.post(f"{TICKETS}/{ticket['id']}/messages", sent), 201)
    _, call = heard.of(ticket["id"], 2)
    assert call.event["type"] == "message.created"
    assert list(call.event["data"].items()) == [
        ("messageId", message["id"]),
        ("ticketId", ticket["id"]),
        ("direction", "outbound"),
        ("senderEmail", sent["senderEmail"]),
        ("body", sent["body"]),
    ]


def test_what_is_refused_is_not_told(client: Client, heard: Heard) -> None:
    ticket = client.create()
    path = f"{TICKETS}/{ticket['id']}"
    assert client.patch(path, {"status": "new"}).status_code == 400
    assert client.post(f"{path}/messages", {"body": "No sender"}).status_code == 400
    succeeded(client.patch(path, {"priority": "low"}))
    assert types(heard.of(ticket["id"], 2)) == ["ticket.created", "ticket.updated"]


def test_events_come_in_the_order_in_which_they_happened_and_each_has_an_id_of_its_own(
    client: Client, heard: Heard
) -> None:
    ticket = client.create()
    for number in range(20):
        succeeded(client.post(f"{TICKETS}/{ticket['id']}/messages", NEW_MESSAGE | {"body": f"Number {number}"}), 201)
    calls = heard.of(ticket["id"], 21)
    assert [call.event["data"]["body"] for call in calls[1:]] == [f"Number {number}" for number in range(20)]
    assert all(TIME.fullmatch(call.event["createdAt"]) for call in calls)
    assert len({call.id for call in calls}) == 21
