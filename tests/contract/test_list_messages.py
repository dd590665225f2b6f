"""GET /api/v1/tickets/:id/messages"""

import pytest

from .client import MESSAGE_FIELDS, NEW_MESSAGE, TICKETS, Client, refused


def test_a_new_ticket_has_its_first_message(client: Client, ticket: dict) -> None:
    answer = client.get(f"{TICKETS}/{ticket['id']}/messages")
    assert answer.status_code == 200
    assert list(answer.json()) == ["data"]
    assert len(answer.json()["data"]) == 1


def test_all_messages_are_listed_oldest_first_also_within_a_second(client: Client, ticket: dict) -> None:
    path = f"{TICKETS}/{ticket['id']}/messages"
    added = [client.post(path, NEW_MESSAGE | {"body": f"Message {number}"}).json()["data"] for number in range(105)]
    assert client.messages(ticket["id"])[1:] == added


def test_a_message_has_its_fields_in_the_order_of_the_page(client: Client, ticket: dict) -> None:
    whole = NEW_MESSAGE | {"senderName": "Jane Smith", "direction": "outbound", "bodyHtml": "<p>Any update?</p>"}
    client.post(f"{TICKETS}/{ticket['id']}/messages", whole)
    assert list(client.messages(ticket["id"])[-1]) == MESSAGE_FIELDS


def test_a_name_or_html_that_there_is_not_is_left_out(client: Client, ticket: dict) -> None:
    client.post(f"{TICKETS}/{ticket['id']}/messages", NEW_MESSAGE)
    for message in client.messages(ticket["id"]):
        assert list(message) == [field for field in MESSAGE_FIELDS if field not in ("senderName", "bodyHtml")]


def test_a_ticket_shows_only_its_own_messages(client: Client, ticket: dict) -> None:
    other = client.create()
    client.post(f"{TICKETS}/{other['id']}/messages", NEW_MESSAGE)
    assert [message["ticketId"] for message in client.messages(ticket["id"])] == [ticket["id"]]
    assert [message["ticketId"] for message in client.messages(other["id"])] == [other["id"]] * 2


@pytest.mark.parametrize("id", ["tkt_doesnotexist0000000", "nope", "tkt_" + "a" * 65])
def test_an_unknown_ticket_is_not_found(client: Client, id: str) -> None:
    refused(client.get(f"{TICKETS}/{id}/messages"), 404)


@pytest.mark.parametrize("query", ["page=1", "per_page=10", "status=open"])
def test_messages_are_not_paged_and_say_so(client: Client, ticket: dict, query: str) -> None:
    answer = client.get(f"{TICKETS}/{ticket['id']}/messages?{query}")
    refused(answer, 400)
    assert query.partition("=")[0] in answer.text
