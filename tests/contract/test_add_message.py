"""POST /api/v1/tickets/:id/messages"""

import re

import pytest

from .desk import MESSAGE_FIELDS, NEW_MESSAGE, TICKETS, TIME, Desk, refused, succeeded

WHOLE = {
    "body": "Any update on this?",
    "senderEmail": "customer@example.com",
    "senderName": "Jane Smith",
    "direction": "outbound",
    "bodyHtml": "<p>Any update on <b>this</b>?</p>",
}


def added(desk: Desk, ticket: dict, sent: dict = NEW_MESSAGE) -> dict:
    return succeeded(desk.post(f"{TICKETS}/{ticket['id']}/messages", sent), 201)


def test_an_added_message_is_answered_as_it_is_listed(desk: Desk, ticket: dict) -> None:
    answer = desk.post(f"{TICKETS}/{ticket['id']}/messages", WHOLE)
    assert list(answer.json()) == ["data"]
    assert desk.messages(ticket["id"])[-1] == succeeded(answer, 201)


def test_a_whole_message_has_its_fields_in_order_and_holds_what_was_sent(desk: Desk, ticket: dict) -> None:
    message = added(desk, ticket, WHOLE)
    assert list(message) == MESSAGE_FIELDS
    assert message == WHOLE | {"id": message["id"], "ticketId": ticket["id"], "createdAt": message["createdAt"]}


def test_a_name_and_html_that_were_not_sent_are_left_out(desk: Desk, ticket: dict) -> None:
    message = added(desk, ticket)
    assert list(message) == [field for field in MESSAGE_FIELDS if field not in ("senderName", "bodyHtml")]


def test_its_sender_is_the_given_one_not_the_customer(desk: Desk, ticket: dict) -> None:
    message = added(desk, ticket, NEW_MESSAGE | {"senderEmail": "support@company.com"})
    assert message["senderEmail"] == "support@company.com"


def test_without_a_direction_it_is_inbound(desk: Desk, ticket: dict) -> None:
    assert added(desk, ticket)["direction"] == "inbound"


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_the_direction_is_kept(desk: Desk, ticket: dict, direction: str) -> None:
    assert added(desk, ticket, NEW_MESSAGE | {"direction": direction})["direction"] == direction


def test_an_id_is_msg_and_up_to_64_plain_characters_and_never_given_twice(desk: Desk, ticket: dict) -> None:
    ids = [added(desk, ticket)["id"] for _ in range(5)]
    assert all(re.fullmatch(r"msg_[0-9A-Za-z_-]{1,64}", id) for id in ids)
    assert len(set(ids)) == 5


def test_html_is_kept_as_it_is_beside_the_text(desk: Desk, ticket: dict) -> None:
    html = "<script>alert('&amp;')</script>\n<p title=\"a\">\u00e9</p>"
    message = added(desk, ticket, NEW_MESSAGE | {"bodyHtml": html})
    assert (message["body"], message["bodyHtml"]) == (NEW_MESSAGE["body"], html)


def test_it_makes_the_tickets_updated_at_now_and_changes_nothing_else(desk: Desk, aged_ticket: dict) -> None:
    message = added(desk, aged_ticket)
    assert TIME.fullmatch(message["createdAt"])
    assert message["createdAt"] > aged_ticket["updatedAt"]
    assert desk.ticket(aged_ticket["id"]) == aged_ticket | {"updatedAt": message["createdAt"]}


@pytest.mark.parametrize("status", ["pending", "solved", "closed"])
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_a_ticket_keeps_its_status_also_a_closed_one(desk: Desk, ticket: dict, status: str, direction: str) -> None:
    desk.patch(f"{TICKETS}/{ticket['id']}", {"status": status})
    added(desk, ticket, NEW_MESSAGE | {"direction": direction})
    assert desk.ticket(ticket["id"])["status"] == status


@pytest.mark.parametrize("field", ["body", "senderEmail"])
def test_a_missing_required_field_is_named_and_nothing_is_added(desk: Desk, ticket: dict, field: str) -> None:
    sent = {name: value for name, value in NEW_MESSAGE.items() if name != field}
    assert list(refused(desk.post(f"{TICKETS}/{ticket['id']}/messages", sent), 400)) == [field]
    assert len(desk.messages(ticket["id"])) == 1


@pytest.mark.parametrize(
    "direction", ["Inbound", "OUTBOUND", "in", "internal", "", " inbound", None, True, 1, ["inbound"]]
)
def test_another_direction_is_refused(desk: Desk, ticket: dict, direction: object) -> None:
    sent = NEW_MESSAGE | {"direction": direction}
    assert list(refused(desk.post(f"{TICKETS}/{ticket['id']}/messages", sent), 400)) == ["direction"]
    assert len(desk.messages(ticket["id"])) == 1


@pytest.mark.parametrize("field", ["id", "ticketId", "createdAt", "subject", "status", "body_html", "attachments"])
def test_a_field_that_the_page_does_not_list_is_refused_and_named(desk: Desk, ticket: dict, field: str) -> None:
    sent = NEW_MESSAGE | {field: "x"}
    assert list(refused(desk.post(f"{TICKETS}/{ticket['id']}/messages", sent), 400)) == [field]
    assert len(desk.messages(ticket["id"])) == 1


def test_all_that_is_wrong_is_told_at_once(desk: Desk, ticket: dict) -> None:
    sent = {"senderEmail": "nobody", "senderName": None, "direction": "in", "bodyHtml": 1, "subject": "x"}
    answer = desk.post(f"{TICKETS}/{ticket['id']}/messages", sent)
    assert set(refused(answer, 400)) == {*sent, "body"}


@pytest.mark.parametrize("id", ["tkt_doesnotexist0000000", "nope", "tkt_" + "a" * 65])
def test_an_unknown_ticket_is_not_found(desk: Desk, id: str) -> None:
    refused(desk.post(f"{TICKETS}/{id}/messages", NEW_MESSAGE), 404)
