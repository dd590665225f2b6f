"""No one sees another's client: every call at every kind of ticket, with every kind of key."""

import pytest

from .client import CREATE_TICKET, ENDPOINTS, LIST_TICKETS, READS, TICKETS, Call, Client, refused

AT_A_TICKET = [call for call in ENDPOINTS if call not in (LIST_TICKETS, CREATE_TICKET)]
KEYS = {
    "no key": lambda client: None,
    "a wrong key": lambda client: "keva_live_" + "f" * 64,
    "a revoked key": lambda client: client.needs("KEVA_REVOKED_API_KEY"),
    "a read-only key": lambda client: client.needs("KEVA_READ_ONLY_API_KEY"),
    "the key": lambda client: client.key,
    "another workspace's key": lambda client: client.needs("KEVA_OTHER_WORKSPACE_API_KEY"),
}
PLACES = ["own", "other workspace", "unknown", "malformed"]


@pytest.fixture
def ticket_in(client: Client, ticket: dict):
    """A ticket's id by where it lies, seen from the desk's own key."""

    def find(place: str) -> str:
        if place == "other workspace":
            return client.create(key=client.needs("KEVA_OTHER_WORKSPACE_API_KEY"))["id"]
        return {"own": ticket["id"], "unknown": "tkt_doesnotexist0000000", "malformed": "tkt_no.such"}[place]

    return find


def wanted(call: Call, place: str, key: str) -> int:
    if key in ("no key", "a wrong key", "a revoked key"):
        return 401
    if key == "a read-only key" and call not in READS:
        return 403
    home = "other workspace" if key == "another workspace's key" else "own"
    return call.success if place == home else 404


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", AT_A_TICKET, ids=str)
def test_a_ticket_is_there_only_for_a_key_that_reaches_it(client: Client, ticket_in, call: Call, place, key) -> None:
    answer = client.make(call, ticket_in(place), key=KEYS[key](client))
    status = wanted(call, place, key)
    assert answer.status_code == status
    if status >= 400:
        refused(answer, status)


@pytest.mark.parametrize("call", AT_A_TICKET, ids=str)
def test_what_is_out_of_reach_unknown_or_malformed_is_answered_alike(client: Client, ticket_in, call: Call) -> None:
    answers = [client.make(call, ticket_in(place)) for place in PLACES if place != "own"]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}


@pytest.mark.parametrize("call", [call for call in AT_A_TICKET if call not in READS], ids=str)
def test_nothing_is_changed_out_of_reach(client: Client, ticket_in, call: Call) -> None:
    other = client.needs("KEVA_OTHER_WORKSPACE_API_KEY")
    there = ticket_in("other workspace")
    before = client.ticket(there, key=other), client.messages(there, key=other)
    client.make(call, there)
    assert (client.ticket(there, key=other), client.messages(there, key=other)) == before


def test_a_list_and_its_total_hold_nothing_of_another_workspace(client: Client, ticket_in) -> None:
    for _ in range(20):
        before = client.total()
        there = ticket_in("other workspace")
        after = client.total()
        assert there not in client.get(f"{TICKETS}?per_page=100").text
        # Others may be creating tickets here meanwhile, but hardly every time.
        if after == before:
            return
    pytest.fail("a ticket of another workspace is counted")
