"""PATCH /api/v1/tickets/:id"""

from datetime import UTC, datetime, timedelta

import pytest

from .client import TICKET_FIELDS, TICKETS, Client, refused, succeeded

STATUSES = ["open", "pending", "solved", "closed"]
PRIORITIES = ["low", "medium", "high", "urgent"]
WRONG = [
    ({"status": "Open"}, {"status"}),
    ({"status": "new"}, {"status"}),
    ({"status": ""}, {"status"}),
    ({"status": None}, {"status"}),
    ({"status": ["open"]}, {"status"}),
    ({"status": 1}, {"status"}),
    ({"status": "open "}, {"status"}),
    ({"priority": "normal"}, {"priority"}),
    ({"priority": "HIGH"}, {"priority"}),
    ({"priority": None}, {"priority"}),
    ({"priority": True}, {"priority"}),
    ({"assignedTo": ""}, {"assignedTo"}),
    ({"assignedTo": 7}, {"assignedTo"}),
    ({"assignedTo": {"id": "usr_1"}}, {"assignedTo"}),
    ({"assigned_to": "usr_1"}, {"assigned_to"}),
    ({"subject": "Another"}, {"subject"}),
    ({"tags": []}, {"tags"}),
    ({"resolutionType": None}, {"resolutionType"}),
    ({"id": "tkt_abc123"}, {"id"}),
    ({"updatedAt": "2024-01-15T10:30:00Z"}, {"updatedAt"}),
    (
        {"status": "new", "priority": None, "assignedTo": 7, "source": "api"},
        {"status", "priority", "assignedTo", "source"},
    ),
]


def changed(client: Client, ticket: dict, **fields: str | None) -> dict:
    return succeeded(client.patch(f"{TICKETS}/{ticket['id']}", fields))


def test_an_update_answers_the_whole_ticket_as_it_is_now(client: Client, ticket: dict) -> None:
    answer = client.patch(f"{TICKETS}/{ticket['id']}", {"status": "pending", "priority": "high"})
    assert list(answer.json()) == ["data"]
    assert list(succeeded(answer)) == TICKET_FIELDS
    assert answer.json()["data"] == client.ticket(ticket["id"])


@pytest.mark.parametrize(
    ("field", "value"),
    [*(("status", status) for status in STATUSES), *(("priority", priority) for priority in PRIORITIES)],
)
def test_only_what_was_sent_changes(client: Client, ticket: dict, field: str, value: str) -> None:
    now = changed(client, ticket, **{field: value})
    assert now == ticket | {field: value, "updatedAt": now["updatedAt"]}
    assert client.ticket(ticket["id"]) == now


@pytest.mark.parametrize("first", STATUSES)
@pytest.mark.parametrize("then", STATUSES)
def test_any_status_may_follow_any_other(client: Client, ticket: dict, first: str, then: str) -> None:
    changed(client, ticket, status=first)
    assert changed(client, ticket, status=then)["status"] == then


def test_several_fields_change_at_once(client: Client, ticket: dict) -> None:
    fields = {"status": "solved", "priority": "low", "assignedTo": "usr_1"}
    now = changed(client, ticket, **fields)
    assert now == ticket | fields | {"updatedAt": now["updatedAt"]}


def test_a_ticket_is_assigned_reassigned_and_unassigned(client: Client, ticket: dict) -> None:
    for assignee in ("usr_1", "usr_2", None):
        assert changed(client, ticket, assignedTo=assignee)["assignedTo"] == assignee
        assert client.ticket(ticket["id"])["assignedTo"] == assignee


def test_an_assignee_who_was_not_sent_stays(client: Client, ticket: dict) -> None:
    changed(client, ticket, assignedTo="usr_1")
    assert changed(client, ticket, priority="low")["assignedTo"] == "usr_1"


def test_updates_leave_the_messages_and_other_tickets_as_they_are(client: Client, ticket: dict) -> None:
    other = client.ticket(client.create()["id"])
    messages = client.messages(ticket["id"])
    changed(client, ticket, status="closed", priority="urgent", assignedTo="usr_1")
    assert client.messages(ticket["id"]) == messages
    assert client.ticket(other["id"]) == other


@pytest.mark.parametrize("fields", [{"status": "solved"}, {"priority": "low"}, {"assignedTo": "usr_1"}], ids=str)
def test_a_real_change_makes_updated_at_now(client: Client, aged_ticket: dict, fields: dict) -> None:
    now = changed(client, aged_ticket, **fields)
    assert now["createdAt"] == aged_ticket["createdAt"]
    assert now["updatedAt"] > aged_ticket["updatedAt"]
    assert abs(datetime.fromisoformat(now["updatedAt"]) - datetime.now(UTC)) < timedelta(minutes=2)


@pytest.mark.parametrize(
    "fields",
    [{"status": "open"}, {"priority": "medium"}, {"assignedTo": None}, {"status": "open", "priority": "medium"}],
    ids=str,
)
def test_what_changes_nothing_leaves_updated_at(client: Client, aged_ticket: dict, fields: dict) -> None:
    assert changed(client, aged_ticket, **fields) == aged_ticket
    assert client.ticket(aged_ticket["id"]) == aged_ticket


def test_one_real_change_among_several_fields_is_a_change(client: Client, aged_ticket: dict) -> None:
    now = changed(client, aged_ticket, status="open", priority="urgent")
    assert now["updatedAt"] > aged_ticket["updatedAt"]


def test_an_empty_update_is_refused(client: Client, aged_ticket: dict) -> None:
    refused(client.patch(f"{TICKETS}/{aged_ticket['id']}", {}), 400)
    assert client.ticket(aged_ticket["id"]) == aged_ticket


@pytest.mark.parametrize(("fields", "blamed"), WRONG, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_a_wrong_update_names_its_fields_and_changes_nothing(
    client: Client, ticket: dict, fields: dict, blamed: set
) -> None:
    assert set(refused(client.patch(f"{TICKETS}/{ticket['id']}", fields), 400)) == blamed
    assert client.ticket(ticket["id"]) == ticket


def test_one_wrong_field_spoils_the_right_ones(client: Client, ticket: dict) -> None:
    refused(client.patch(f"{TICKETS}/{ticket['id']}", {"status": "closed", "priority": "highest"}), 400)
    assert client.ticket(ticket["id"]) == ticket


@pytest.mark.parametrize("id", ["tkt_doesnotexist0000000", "nope", "tkt_" + "a" * 65])
def test_an_unknown_ticket_is_not_found(client: Client, id: str) -> None:
    refused(client.patch(f"{TICKETS}/{id}", {"status": "closed"}), 404)
