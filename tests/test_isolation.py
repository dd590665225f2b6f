"""No one sees another's desk: the table of every route, every kind of key and every kind of ticket.

It is made from the routes, so that a new one cannot be forgotten.
"""

import json
import sqlite3

import httpx
import pytest

from keva import api, identity
from keva.db import Desk
from keva.identity import READ, WRITE, Keyring
from keva.testing import Keva
from keva.web import create_app

BODIES = {
    "create_ticket": {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."},
    "update_ticket": {"status": "pending"},
    "add_message": {"body": "Any update on this?", "senderEmail": "customer@example.com"},
}
KEYS = ["none", "wrong", "revoked", "read-only", "write-only", "of the other workspace", "of all", "own"]
PLACES = ["own", "other", "unknown", "malformed"]


@pytest.fixture(scope="module")
def desk():
    with Keva() as desk, httpx.Client(base_url=desk.url) as desk.client:
        desk.home, desk.away = "ws_000001", desk.create_workspace("Second desk")
        desk.keys = {
            "none": None,
            "wrong": "keva_live_" + "0" * 64,
            "revoked": desk.create_key(workspace=desk.home),
            "read-only": desk.create_key(scopes=[READ], workspace=desk.home),
            "write-only": desk.create_key(scopes=[WRITE], workspace=desk.home),
            "of the other workspace": desk.create_key(workspace=desk.away),
            "of all": desk.key,
            "own": desk.create_key(workspace=desk.home),
        }
        desk.revoke_key(desk.keys["revoked"])
        desk.places = {
            "own": desk.seed(workspaceId=desk.home)["id"],
            "other": desk.seed(workspaceId=desk.away)["id"],
            "unknown": "tkt_doesnotexist0000000",
            "malformed": "tkt_no.such",
        }
        yield desk


def make(desk, call, place, key):
    headers = {"Authorization": f"Bearer {desk.keys[key]}"} if desk.keys[key] else {}
    path = call.path.replace("<ticket_id>", desk.places[place])
    return desk.client.request(call.method, path, headers=headers, json=BODIES.get(call.view.__name__))


def wanted(call, place, key):
    if key in ("none", "wrong", "revoked"):
        return 401
    if (key, call.scope) in (("read-only", WRITE), ("write-only", READ)):
        return 403
    reached = {"of the other workspace": ["other"], "of all": ["own", "other"]}.get(key, ["own"])
    return call.status if "<ticket_id>" not in call.path or place in reached else 404


def contents(desk):
    """All that is stored."""
    with sqlite3.connect(desk._rehearsal.desk.path) as connection:
        dump = list(connection.iterdump())
    connection.close()
    return dump


def test_the_calls_are_all_the_routes_under_api(tmp_path):
    desk = Desk(tmp_path / "keva.db", identity.mint)
    rules = create_app(desk, Keyring()).url_map.iter_rules()
    routes = {
        (method, rule.rule) for rule in rules for method in rule.methods - {"HEAD"} if rule.rule.startswith("/api")
    }
    desk.close()
    assert routes == {(call.method, call.path) for call in api.CALLS}
    assert {call.view.__name__ for call in api.CALLS if call.method != "GET"} == BODIES.keys()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", api.CALLS, ids=lambda call: call.view.__name__)
def test_each_key_reaches_what_it_should_and_a_refusal_stores_nothing(desk, call, place, key):
    before = contents(desk)
    answer = make(desk, call, place, key)

    assert answer.status_code == wanted(call, place, key)
    if answer.status_code >= 400:
        assert list(answer.json()) == ["error"]
        assert contents(desk) == before


@pytest.mark.parametrize("call", [call for call in api.CALLS if "<" in call.path], ids=lambda call: call.view.__name__)
def test_what_is_out_of_reach_looks_like_what_is_not_there(desk, call):
    answers = {make(desk, call, place, "own").content for place in ("other", "unknown", "malformed")}
    assert len(answers) == 1


def test_a_list_holds_only_what_is_within_reach(desk):
    [call] = [call for call in api.CALLS if call.view.__name__ == "list_tickets"]
    for key, reached in (
        ("own", {desk.home}),
        ("of the other workspace", {desk.away}),
        ("of all", {desk.home, desk.away}),
    ):
        ids = {ticket["id"] for workspace in reached for ticket in desk.tickets(workspace_id=workspace)}
        listed = json.loads(make(desk, call, "own", key).content)
        assert {ticket["id"] for ticket in listed["data"]} == ids
        assert listed["pagination"]["total"] == len(ids)
