"""POST /api/v1/tickets"""

import re
from datetime import UTC, datetime, timedelta

import pytest

from .client import CREATED_FIELDS, MESSAGE_FIELDS, NEW_TICKET, TICKET_FIELDS, TICKETS, TIME, Client, refused, succeeded

JANE = {"customerName": "Jane Smith", "source": "contact-form"}


def test_a_created_ticket_is_answered_with_exactly_the_eight_fields_of_the_page(client: Client) -> None:
    answer = client.post(TICKETS, NEW_TICKET | JANE)
    assert list(answer.json()) == ["data"]
    assert list(succeeded(answer, 201)) == CREATED_FIELDS


def test_a_created_ticket_is_open_of_medium_priority_and_holds_what_was_sent(client: Client) -> None:
    created = client.create(**JANE)
    expected = NEW_TICKET | JANE | {"status": "open", "priority": "medium"}
    del expected["body"]
    assert {field: created[field] for field in expected} == expected


def test_without_a_source_it_is_api(client: Client) -> None:
    assert client.create()["source"] == "api"


def test_without_a_name_it_is_null_in_all_eight_fields(client: Client) -> None:
    created = client.create()
    assert list(created) == CREATED_FIELDS
    assert created["customerName"] is None


def test_the_location_leads_to_the_ticket(client: Client) -> None:
    answer = client.post(TICKETS, NEW_TICKET)
    assert answer.headers["Location"] == f"{TICKETS}/{answer.json()['data']['id']}"
    assert client.get(answer.headers["Location"]).json()["data"]["id"] == answer.json()["data"]["id"]


def test_an_id_is_tkt_and_up_to_64_plain_characters_and_never_given_twice(client: Client) -> None:
    ids = [client.create()["id"] for _ in range(10)]
    assert all(re.fullmatch(r"tkt_[0-9A-Za-z_-]{1,64}", id) for id in ids)
    assert len(set(ids)) == 10


def test_it_is_made_now_in_utc_and_whole_seconds(client: Client) -> None:
    created = client.create()["createdAt"]
    assert TIME.fullmatch(created)
    # The clock of a desk far away may differ a little.
    assert abs(datetime.fromisoformat(created) - datetime.now(UTC)) < timedelta(minutes=2)


def test_the_ticket_is_stored_with_all_twelve_fields(client: Client) -> None:
    created = client.create(**JANE)
    unset = {"assignedTo": None, "resolutionType": None, "tags": [], "updatedAt": created["createdAt"]}
    stored = client.ticket(created["id"])
    assert stored == created | unset
    assert list(stored) == TICKET_FIELDS


def test_its_first_message_is_inbound_from_the_customer(client: Client) -> None:
    created = client.create(**JANE)
    [message] = client.messages(created["id"])
    assert message == {
        "id": message["id"],
        "ticketId": created["id"],
        "direction": "inbound",
        "senderEmail": NEW_TICKET["customerEmail"],
        "senderName": "Jane Smith",
        "body": NEW_TICKET["body"],
        "createdAt": created["createdAt"],
    }
    assert list(message) == [field for field in MESSAGE_FIELDS if field != "bodyHtml"]


def test_the_first_message_of_a_customer_without_a_name_has_no_name(client: Client) -> None:
    [message] = client.messages(client.create()["id"])
    assert "senderName" not in message


def test_the_same_body_sent_twice_makes_two_tickets(client: Client) -> None:
    assert client.create()["id"] != client.create()["id"]


def test_the_order_of_the_sent_fields_does_not_matter(client: Client) -> None:
    backwards = dict(reversed((NEW_TICKET | JANE).items()))
    assert list(succeeded(client.post(TICKETS, backwards), 201)) == CREATED_FIELDS


@pytest.mark.parametrize("field", ["subject", "customerEmail", "body"])
def test_a_missing_required_field_is_named(client: Client, field: str) -> None:
    sent = {name: value for name, value in NEW_TICKET.items() if name != field}
    assert list(refused(client.post(TICKETS, sent), 400)) == [field]


@pytest.mark.parametrize(
    "field",
    [
        *("status", "priority", "assignedTo", "resolutionType", "tags", "id", "createdAt", "updatedAt", "bodyHtml"),
        *("customer_email", "Subject", "workspace_id", "workspaceId", "direction", "senderEmail", ""),
    ],
)
def test_a_field_that_the_page_does_not_list_is_refused_and_named(client: Client, field: str) -> None:
    assert list(refused(client.post(TICKETS, NEW_TICKET | {field: "open"}), 400)) == [field]


def test_all_that_is_wrong_is_told_at_once(client: Client) -> None:
    sent = {"subject": " ", "customerEmail": "nobody", "customerName": None, "source": 1, "priority": "high"}
    assert set(refused(client.post(TICKETS, sent), 400)) == {*sent, "body"}


def test_an_empty_object_names_all_that_is_required(client: Client) -> None:
    assert set(refused(client.post(TICKETS, {}), 400)) == {"subject", "customerEmail", "body"}
