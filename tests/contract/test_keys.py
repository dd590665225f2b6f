"""API keys: what is told of one that is missing, wrong, revoked or lacks a scope, on each of the six calls."""

import pytest

from .client import ENDPOINTS, READS, TICKETS, WRITES, Call, Client, Write, refused

WRONG = "keva_live_" + "0" * 64


@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_without_a_key_every_call_is_refused_and_told_how_to_send_one(client: Client, ticket: dict, call: Call) -> None:
    answer = client.make(call, ticket["id"], key=None)
    refused(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"] != "Invalid API key"


@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_a_wrong_key_is_invalid(client: Client, ticket: dict, call: Call) -> None:
    answer = client.make(call, ticket["id"], key=WRONG)
    refused(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {"error": "Invalid API key"}


@pytest.mark.parametrize("key", [None, WRONG], ids=["no key", "a wrong key"])
def test_nothing_is_stored_for_who_has_no_key(write: Write, key: str | None) -> None:
    write.refuses(write.good, 401, key=key)


@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_a_revoked_key_is_invalid(client: Client, ticket: dict, call: Call) -> None:
    answer = client.make(call, ticket["id"], key=client.needs("KEVA_REVOKED_API_KEY"))
    refused(answer, 401)
    assert answer.json() == {"error": "Invalid API key"}


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_a_key_that_may_only_read_is_told_the_scope_it_lacks(client: Client, ticket: dict, call: Call) -> None:
    answer = client.make(call, ticket["id"], key=client.needs("KEVA_READ_ONLY_API_KEY"))
    refused(answer, 403)
    assert "tickets:write" in answer.json()["error"]
    assert client.ticket(ticket["id"]) == ticket
    assert len(client.messages(ticket["id"])) == 1


@pytest.mark.parametrize("call", READS, ids=str)
def test_a_key_that_may_only_write_is_told_the_scope_it_lacks(client: Client, ticket: dict, call: Call) -> None:
    answer = client.make(call, ticket["id"], key=client.needs("KEVA_WRITE_ONLY_API_KEY"))
    refused(answer, 403)
    assert "tickets:read" in answer.json()["error"]


@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_a_key_with_the_scope_is_let_in(client: Client, ticket: dict, call: Call) -> None:
    name = "KEVA_READ_ONLY_API_KEY" if call in READS else "KEVA_WRITE_ONLY_API_KEY"
    assert client.make(call, ticket["id"], key=client.needs(name)).status_code == call.success


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_taken_in_any_case(client: Client, scheme: str) -> None:
    answer = client.get(TICKETS, key=None, headers={"Authorization": f"{scheme} {client.key}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    ["{key}", "Basic {key}", "Bearer", "Bearer{key}", "Token {key}", "Bearer: {key}"],
)
def test_a_header_without_a_bearers_key_is_as_none(client: Client, header: str) -> None:
    answer = client.get(TICKETS, key=None, headers={"Authorization": header.format(key=client.key)})
    refused(answer, 401)


@pytest.mark.parametrize("spoil", [str.upper, str.swapcase, lambda key: key[:-1], lambda key: key + "0"])
def test_a_key_is_matched_whole_and_in_its_case(client: Client, spoil) -> None:
    refused(client.get(TICKETS, key=spoil(client.key)), 401)


def test_two_keys_at_once_are_none_that_is_known(client: Client) -> None:
    refused(client.raw(f"GET {TICKETS} HTTP/1.1", f"Authorization: Bearer {client.key}"), 401)


@pytest.mark.parametrize("parameter", ["api_key", "key", "access_token"])
def test_a_key_in_the_query_opens_nothing(client: Client, parameter: str) -> None:
    refused(client.get(f"{TICKETS}?{parameter}={client.key}", key=None), 401)
