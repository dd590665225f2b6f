"""POST /api/v1/tickets/:id/messages"""

import re

import pytest

from .client import MESSAGE_FIELDS, NEW_MESSAGE, TICKETS, TIME, Client, refused, succeeded

WHOLE = {
    "body": "Any update on this?",
    "senderEmail": "customer@example.com",
    "senderName": "Jane Smith",
    "direction": "outbound",
    "bodyHtml": "<p>Any update on <b>this</b>?</p>",
}


def added(client: Client, ticket: dict, sent: dict = NEW_MESSAGE) -> dict:
    return succeeded(client.post(f"{TICKETS}/{ticket['id']}/messages", sent), 201)


def test_an_added_message_is_answered_as_it_is_listed(client: Client, ticket: dict) -> None:
    answer = client.post(f"{TICKETS}/{ticket['id']}/messages", WHOLE)
    assert list(answer.json()) == ["data"]
    assert client.messages(ticket["id"])[-1] == succeeded(answer, 201)


def test_a_whole_message_has_its_fields_in_order_and_holds_what_was_sent(client: Client, ticket: dict) -> None:
    message = added(client, ticket, WHOLE)
    assert list(message) == MESSAGE_FIELDS
    assert message == WHOLE | {"id": message["id"], "ticketId": ticket["id"], "createdAt": message["createdAt"]}


def test_a_name_and_html_that_were_not_sent_are_left_out(client: Client, ticket: dict) -> None:
    message = added(client, ticket)
    assert list(message) == [field for field in MESSAGE_FIELDS if field not in ("senderName", "bodyHtml")]


def test_its_sender_is_the_given_one_not_the_customer(client: Client, ticket: dict) -> None:
    message = added(client, ticket, NEW_MESSAGE | {"senderEmail": "support@company.com"})
    assert message["senderEmail"] == "support@company.com"


def test_without_a_direction_it_is_inbound(client: Client, ticket: dict) -> None:
    assert added(client, ticket)["direction"] == "inbound"


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_the_direction_is_kept(client: Client, ticket: dict, direction: str) -> None:
    assert added(client, ticket, NEW_MESSAGE | {"direction": direction})["direction"] == direction


def test_an_id_is_msg_and_up_to_64_plain_characters_and_never_given_twice(client: Client, ticket: dict) -> None:
    ids = [added(client, ticket)["id"] for _ in range(5)]
    assert all(re.fullmatch(r"msg_[0-9A-Za-z_-]{1,64}", id) for id in ids)
    assert len(set(ids)) == 5


def test_html_is_kept_as_it_is_beside_the_text(client: Client, ticket: dict) -> None:
    html = "<script>alert('&amp;')</script>\n<p title=\"a\">\u00e9</p>"
    message = added(client, ticket, NEW_MESSAGE | {"bodyHtml": html})
    assert (message["body"], message["bodyHtml"]) == (NEW_MESSAGE["body"], html)


def test_it_makes_the_tickets_updated_at_now_and_changes_nothing_else(client: Client, aged_ticket: dict) -> None:
    message = added(client, aged_ticket)
    assert TIME.fullmatch(message["createdAt"])
    assert message["createdAt"] > aged_ticket["updatedAt"]
    assert client.ticket(aged_ticket["id"]) == aged_ticket | {"updatedAt": message["createdAt"]}


@pytest.mark.parametrize("status", ["pending", "solved", "closed"])
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_a_ticket_keeps_its_status_also_a_closed_one(client: Client, ticket: dict, status: str, direction: str) -> None:
    client.patch(f"{TICKETS}/{ticket['id']}", {"status": status})
    added(client, ticket, NEW_MESSAGE | {"direction": direction})
    assert client.ticket(ticket["id"])["status"] == status


@pytest.mark.parametrize("field", ["body", "senderEmail"])
def test_a_missing_required_field_is_named_and_nothing_is_added(client: Client, ticket: dict, field: str) -> None:
    sent = {name: value for name, value in NEW_MESSAGE.items() if name != field}
    assert list(refused(client.post(f"{TICKETS}/{ticket['id']}/messages", sent), 400)) == [field]
    assert len(client.messages(ticket["id"])) == 1


@pytest.mark.parametrize(
    "direction", ["Inbound", "OUTBOUND", "in", "internal", "", " inbound", None, True, 1, ["inbound"]]
)
def test_another_direction_is_refused(client: Client, ticket: dict, direction: object) -> None:
    sent = NEW_MESSAGE | {"direction": direction}
    assert list(refused(client.post(f"{TICKETS}/{ticket['id']}/messages", sent), 400)) == ["direction"]
    assert len(client.messages(ticket["id"])) == 1


@pytest.mark.parametrize("field", ["id", "ticketId", "createdAt", "subject", "status", "body_html", "attachments"])
def test_a_field_that_the_page_does_not_list_is_refused_and_named(client: Client, ticket: dict, field: str) -> None:
    sent = NEW_MESSAGE | {field: "x"}
    assert list(refused(client.post(f"{TICKETS}/{ticket['id']}/messages", sent), 400)) == [field]
    assert len(client.messages(ticket["id"])) == 1


def test_all_that_is_wrong_is_told_at_once(client: Client, ticket: dict) -> None:
    sent = {"senderEmail": "nobody", "senderName": None, "direction": "in", "bodyHtml": 1, "subject": "x"}
    answer = client.post(f"{TICKETS}/{ticket['id']}/messages", sent)
    assert set(refused(answer, 400)) == {*sent, "body"}


@pytest.mark.parametrize("id", ["tkt_doesnotexist0000000", "nope", "tkt_" + "a" * 65])
def test_an_unknown_ticket_is_not_found(client: Client, id: str) -> None:
    refused(client.post(f"{TICKETS}/{id}/messages", NEW_MESSAGE), 404)
