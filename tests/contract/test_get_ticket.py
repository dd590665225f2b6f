"""GET /api/v1/tickets/:id"""

import pytest

from .client import TICKET_FIELDS, TICKETS, TIME, Client, refused

STRANGE_IDS = [
    *("tkt_", "tkt", "nope", "1", "0", "-1", "null", "abc123", "tkt-abc123", "TKT_abc123", "ws_abc123", "msg_abc123"),
    *("tkt_" + "a" * 65, "tkt_" + "a" * 5000, "tkt_abc.123", "tkt_abc%20123", "%20tkt_abc123", "tkt_abc123%20"),
    *("tkt_abc123%0A", "tkt_abc123%00", "tkt_%C3%A9", "tkt_%D9%A3", "tkt_%FF", "tkt_%ED%A0%80", "tkt_%F0%9F%98%80"),
    *("tkt_abc123;x", "tkt_abc123'", "tkt_abc123%27--", "tkt_abc%25", "tkt_%zz", "tkt_*", "tkt_abc123,tkt_abc124"),
]


def test_a_ticket_has_its_twelve_fields_in_the_order_of_the_page(client: Client, ticket: dict) -> None:
    answer = client.get(f"{TICKETS}/{ticket['id']}")
    assert answer.status_code == 200
    assert list(answer.json()) == ["data"]
    assert list(answer.json()["data"]) == TICKET_FIELDS


def test_a_ticket_has_the_id_it_was_created_with(client: Client) -> None:
    created = client.create()
    assert client.ticket(created["id"])["id"] == created["id"]


def test_what_has_no_value_is_null_and_the_tags_are_empty(ticket: dict) -> None:
    unset = {"customerName": None, "assignedTo": None, "resolutionType": None, "tags": []}
    assert {field: ticket[field] for field in unset} == unset


def test_its_times_are_utc_in_whole_seconds(ticket: dict) -> None:
    assert TIME.fullmatch(ticket["createdAt"])
    assert TIME.fullmatch(ticket["updatedAt"])


def test_getting_a_ticket_changes_nothing(client: Client, aged_ticket: dict) -> None:
    assert client.ticket(aged_ticket["id"]) == aged_ticket
    assert client.ticket(aged_ticket["id"]) == aged_ticket


def test_an_unknown_ticket_is_not_found(client: Client) -> None:
    refused(client.get(f"{TICKETS}/tkt_doesnotexist0000000"), 404)


def test_an_id_is_matched_whole(client: Client, ticket: dict) -> None:
    for id in (ticket["id"][:-1], ticket["id"] + "0", ticket["id"].replace("tkt_", "tkt_0")):
        refused(client.get(f"{TICKETS}/{id}"), 404)


def test_an_id_keeps_its_case(client: Client, ticket: dict) -> None:
    assert ticket["id"] != ticket["id"].swapcase()
    refused(client.get(f"{TICKETS}/{ticket['id'].swapcase()}"), 404)


@pytest.mark.parametrize("id", STRANGE_IDS, ids=lambda id: id[:20])
@pytest.mark.parametrize("ending", ["", "/messages"])
def test_an_id_that_cannot_be_one_is_not_found(client: Client, id: str, ending: str) -> None:
    refused(client.raw(f"GET {TICKETS}/{id}{ending} HTTP/1.1"), 404)


def test_an_id_that_ends_in_white_space_is_not_that_ticket(client: Client, ticket: dict) -> None:
    for ending in ("%20", "%09", "%0A", "%00", "%C2%A0"):
        refused(client.get(f"{TICKETS}/{ticket['id']}{ending}"), 404)
