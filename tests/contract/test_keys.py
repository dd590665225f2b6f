"""API keys: what is told of one that is missing, wrong, revoked or lacks a scope, on each of the six calls."""

import pytest

from .desk import CALLS, READS, TICKETS, WRITES, Call, Desk, Write, refused

WRONG = "keva_live_" + "0" * 64


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_without_a_key_every_call_is_refused_and_told_how_to_send_one(desk: Desk, ticket: dict, call: Call) -> None:
    answer = desk.make(call, ticket["id"], key=None)
    refused(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"] != "Invalid API key"


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_wrong_key_is_invalid(desk: Desk, ticket: dict, call: Call) -> None:
    answer = desk.make(call, ticket["id"], key=WRONG)
    refused(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {"error": "Invalid API key"}


@pytest.mark.parametrize("key", [None, WRONG], ids=["no key", "a wrong key"])
def test_nothing_is_stored_for_who_has_no_key(write: Write, key: str | None) -> None:
    write.refuses(write.good, 401, key=key)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_revoked_key_is_invalid(desk: Desk, ticket: dict, call: Call) -> None:
    answer = desk.make(call, ticket["id"], key=desk.needs("KEVA_REVOKED_API_KEY"))
    refused(answer, 401)
    assert answer.json() == {"error": "Invalid API key"}


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_a_key_that_may_only_read_is_told_the_scope_it_lacks(desk: Desk, ticket: dict, call: Call) -> None:
    answer = desk.make(call, ticket["id"], key=desk.needs("KEVA_READ_ONLY_API_KEY"))
    refused(answer, 403)
    assert "tickets:write" in answer.json()["error"]
    assert desk.ticket(ticket["id"]) == ticket
    assert len(desk.messages(ticket["id"])) == 1


@pytest.mark.parametrize("call", READS, ids=str)
def test_a_key_that_may_only_write_is_told_the_scope_it_lacks(desk: Desk, ticket: dict, call: Call) -> None:
    answer = desk.make(call, ticket["id"], key=desk.needs("KEVA_WRITE_ONLY_API_KEY"))
    refused(answer, 403)
    assert "tickets:read" in answer.json()["error"]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_key_with_the_scope_is_let_in(desk: Desk, ticket: dict, call: Call) -> None:
    name = "KEVA_READ_ONLY_API_KEY" if call in READS else "KEVA_WRITE_ONLY_API_KEY"
    assert desk.make(call, ticket["id"], key=desk.needs(name)).status_code == call.success


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_taken_in_any_case(desk: Desk, scheme: str) -> None:
    answer = desk.get(TICKETS, key=None, headers={"Authorization": f"{scheme} {desk.key}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    ["{key}", "Basic {key}", "Bearer", "Bearer{key}", "Token {key}", "Bearer: {key}"],
)
def test_a_header_without_a_bearers_key_is_as_none(desk: Desk, header: str) -> None:
    answer = desk.get(TICKETS, key=None, headers={"Authorization": header.format(key=desk.key)})
    refused(answer, 401)


@pytest.mark.parametrize("spoil", [str.upper, str.swapcase, lambda key: key[:-1], lambda key: key + "0"])
def test_a_key_is_matched_whole_and_in_its_case(desk: Desk, spoil) -> None:
    refused(desk.get(TICKETS, key=spoil(desk.key)), 401)


def test_two_keys_at_once_are_none_that_is_known(desk: Desk) -> None:
    refused(desk.raw(f"GET {TICKETS} HTTP/1.1", f"Authorization: Bearer {desk.key}"), 401)


@pytest.mark.parametrize("parameter", ["api_key", "key", "access_token"])
def test_a_key_in_the_query_opens_nothing(desk: Desk, parameter: str) -> None:
    refused(desk.get(f"{TICKETS}?{parameter}={desk.key}", key=None), 401)
