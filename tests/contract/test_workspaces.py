"""Workspaces: how one is picked, on each of the six calls."""

import pytest

from .client import ENDPOINTS, TICKETS, Call, Client, refused

UNKNOWN = "ws_doesnotexist0000000"
PICKS = [
    lambda workspace: {"query": f"?workspace_id={workspace}"},
    lambda workspace: {"headers": {"X-Workspace-Id": workspace}},
    lambda workspace: {"query": f"?workspace_id={workspace}", "headers": {"X-Workspace-Id": workspace}},
]
HOW = pytest.mark.parametrize("pick", PICKS, ids=["parameter", "header", "both"])


@HOW
@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_a_key_may_name_the_workspace_it_acts_in(client: Client, ticket: dict, call: Call, pick) -> None:
    answer = client.make(call, ticket["id"], **pick(client.needs("KEVA_WORKSPACE_ID")))
    assert answer.status_code == call.success


@HOW
@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_a_workspace_out_of_reach_is_answered_as_one_that_is_not_there(
    client: Client, ticket: dict, call: Call, pick
) -> None:
    there = client.make(call, ticket["id"], **pick(client.needs("KEVA_OTHER_WORKSPACE_ID")))
    nowhere = client.make(call, ticket["id"], **pick(UNKNOWN))
    refused(there, 404)
    assert (there.status_code, there.text) == (nowhere.status_code, nowhere.text)


@pytest.mark.parametrize("workspace", ["ws_", "nope", "ws_a.b", "%00", "ws_" + "a" * 65, "tkt_abc123"])
def test_a_workspace_that_cannot_be_one_is_not_found(client: Client, workspace: str) -> None:
    refused(client.get(f"{TICKETS}?workspace_id={workspace}"), 404)


@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_two_workspaces_at_once_are_refused(client: Client, ticket: dict, call: Call) -> None:
    own, other = client.needs("KEVA_WORKSPACE_ID"), client.needs("KEVA_OTHER_WORKSPACE_ID")
    key = client.needs("KEVA_ALL_WORKSPACES_API_KEY")
    answer = client.make(call, ticket["id"], f"?workspace_id={own}", key=key, headers={"X-Workspace-Id": other})
    refused(answer, 400)


def test_two_that_differ_are_refused_whether_or_not_they_are_there(client: Client, ticket: dict) -> None:
    for header, parameter in (("ws_nope", "ws_none"), (client.needs("KEVA_WORKSPACE_ID"), UNKNOWN)):
        answer = client.get(f"{TICKETS}?workspace_id={parameter}", headers={"X-Workspace-Id": header})
        refused(answer, 400)
    refused(client.get(f"{TICKETS}?workspace_id=ws_nope&workspace_id=ws_none"), 400)


@pytest.mark.parametrize("pick", PICKS, ids=["parameter", "header", "both"])
def test_a_key_of_all_creates_and_lists_in_the_one_it_picks(client: Client, pick) -> None:
    key, other = client.needs("KEVA_ALL_WORKSPACES_API_KEY"), client.needs("KEVA_OTHER_WORKSPACE_ID")
    how = pick(other)
    query, headers = how.get("query", ""), how.get("headers", {})
    answer = client.post(
        TICKETS + query,
        {"subject": "There", "customerEmail": "customer@example.com", "body": "Hello"},
        key=key,
        headers=headers,
    )
    made = answer.json()["data"]["id"]

    listed = client.get(TICKETS + query, key=key, headers=headers).json()["data"]
    assert made in [ticket["id"] for ticket in listed]
    refused(client.get(f"{TICKETS}/{made}"), 404)
    assert client.ticket(made, key=client.needs("KEVA_OTHER_WORKSPACE_API_KEY"))["id"] == made


def test_a_key_of_all_that_picks_none_lists_all_and_creates_in_the_first(client: Client) -> None:
    key = client.needs("KEVA_ALL_WORKSPACES_API_KEY")
    first = client.create(key=key)["id"]
    other = client.create(key=client.needs("KEVA_OTHER_WORKSPACE_API_KEY"))["id"]

    assert {first, other} <= {ticket["id"] for ticket in client.newest(key=key)}
    assert client.ticket(first)["id"] == first
    assert client.ticket(other, key=key)["id"] == other


def test_a_key_of_one_workspace_acts_there(client: Client) -> None:
    key = client.needs("KEVA_OTHER_WORKSPACE_API_KEY")
    made = client.create(key=key)["id"]
    assert made in [ticket["id"] for ticket in client.newest(key=key)]
    assert made not in [ticket["id"] for ticket in client.newest()]
