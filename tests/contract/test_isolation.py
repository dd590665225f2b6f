"""No one sees another's desk: every call at every kind of ticket, with every kind of key."""

import pytest

from .desk import CALLS, CREATE_TICKET, LIST_TICKETS, READS, TICKETS, Call, Desk, refused

AT_A_TICKET = [call for call in CALLS if call not in (LIST_TICKETS, CREATE_TICKET)]
KEYS = {
    "no key": lambda desk: None,
    "a wrong key": lambda desk: "keva_live_" + "f" * 64,
    "a revoked key": lambda desk: desk.needs("KEVA_REVOKED_API_KEY"),
    "a read-only key": lambda desk: desk.needs("KEVA_READ_ONLY_API_KEY"),
    "the key": lambda desk: desk.key,
    "another workspace's key": lambda desk: desk.needs("KEVA_OTHER_WORKSPACE_API_KEY"),
}
PLACES = ["own", "other workspace", "unknown", "malformed"]


@pytest.fixture
def ticket_in(desk: Desk, ticket: dict):
    """A ticket's id by where it lies, seen from the desk's own key."""

    def find(place: str) -> str:
        if place == "other workspace":
            return desk.create(key=desk.needs("KEVA_OTHER_WORKSPACE_API_KEY"))["id"]
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
def test_a_ticket_is_there_only_for_a_key_that_reaches_it(desk: Desk, ticket_in, call: Call, place, key) -> None:
    answer = desk.make(call, ticket_in(place), key=KEYS[key](desk))
    status = wanted(call, place, key)
    assert answer.status_code == status
    if status >= 400:
        refused(answer, status)


@pytest.mark.parametrize("call", AT_A_TICKET, ids=str)
def test_what_is_out_of_reach_unknown_or_malformed_is_answered_alike(desk: Desk, ticket_in, call: Call) -> None:
    answers = [desk.make(call, ticket_in(place)) for place in PLACES if place != "own"]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}


@pytest.mark.parametrize("call", [call for call in AT_A_TICKET if call not in READS], ids=str)
def test_nothing_is_changed_out_of_reach(desk: Desk, ticket_in, call: Call) -> None:
    other = desk.needs("KEVA_OTHER_WORKSPACE_API_KEY")
    there = ticket_in("other workspace")
    before = desk.ticket(there, key=other), desk.messages(there, key=other)
    desk.make(call, there)
    assert (desk.ticket(there, key=other), desk.messages(there, key=other)) == before


def test_a_list_and_its_total_hold_nothing_of_another_workspace(desk: Desk, ticket_in) -> None:
    for _ in range(20):
        before = desk.total()
        there = ticket_in("other workspace")
        after = desk.total()
        assert there not in desk.get(f"{TICKETS}?per_page=100").text
        # Others may be creating tickets here meanwhile, but hardly every time.
        if after == before:
            return
    pytest.fail("a ticket of another workspace is counted")
