"""No one sees another's desk: the table of every route, every kind of key and every kind of ticket.

It is made from the routes, so that a new one cannot be forgotten.
"""

import json
import sqlite3

import httpx
import pytest

from keva import identity
from keva.api import endpoints
from keva.api.app import create_app
from keva.identity import READ, WRITE, Keyring
from keva.storage.database import Database
from keva.testing import Keva

BODIES = {
    "create_ticket": {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."},
    "update_ticket": {"status": "pending"},
    "add_message": {"body": "Any update on this?", "senderEmail": "customer@example.com"},
}
KEYS = ["none", "wrong", "revoked", "read-only", "write-only", "of the other workspace", "of all", "own"]
PLACES = ["own", "other", "unknown", "malformed"]


@pytest.fixture(scope="module")
def keva():
    with Keva() as keva, httpx.Client(base_url=keva.url) as keva.client:
        keva.home, keva.away = "ws_000001", keva.create_workspace("Second desk")
        keva.keys = {
            "none": None,
            "wrong": "keva_live_" + "0" * 64,
            "revoked": keva.create_key(workspace=keva.home),
            "read-only": keva.create_key(scopes=[READ], workspace=keva.home),
            "write-only": keva.create_key(scopes=[WRITE], workspace=keva.home),
            "of the other workspace": keva.create_key(workspace=keva.away),
            "of all": keva.key,
            "own": keva.create_key(workspace=keva.home),
        }
        keva.revoke_key(keva.keys["revoked"])
        keva.places = {
            "own": keva.seed(workspaceId=keva.home)["id"],
            "other": keva.seed(workspaceId=keva.away)["id"],
            "unknown": "tkt_doesnotexist0000000",
            "malformed": "tkt_no.such",
        }
        yield keva


def make(keva, call, place, key):
    headers = {"Authorization": f"Bearer {keva.keys[key]}"} if keva.keys[key] else {}
    path = call.path.replace("<ticket_id>", keva.places[place])
    return keva.client.request(call.method, path, headers=headers, json=BODIES.get(call.view.__name__))


def wanted(call, place, key):
    if key in ("none", "wrong", "revoked"):
        return 401
    if (key, call.scope) in (("read-only", WRITE), ("write-only", READ)):
        return 403
    reached = {"of the other workspace": ["other"], "of all": ["own", "other"]}.get(key, ["own"])
    return call.status if "<ticket_id>" not in call.path or place in reached else 404


def contents(keva):
    """All that is stored."""
    with sqlite3.connect(keva._sandbox.database.path) as connection:
        dump = list(connection.iterdump())
    connection.close()
    return dump


def test_the_calls_are_all_the_routes_under_api(tmp_path):
    keva = Database(tmp_path / "keva.db", identity.mint)
    rules = create_app(keva, Keyring()).url_map.iter_rules()
    routes = {
        (method, rule.rule) for rule in rules for method in rule.methods - {"HEAD"} if rule.rule.startswith("/api")
    }
    keva.close()
    assert routes == {(call.method, call.path) for call in endpoints.ENDPOINTS}
    assert {call.view.__name__ for call in endpoints.ENDPOINTS if call.method != "GET"} == BODIES.keys()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", endpoints.ENDPOINTS, ids=lambda call: call.view.__name__)
def test_each_key_reaches_what_it_should_and_a_refusal_stores_nothing(keva, call, place, key):
    before = contents(keva)
    answer = make(keva, call, place, key)

    assert answer.status_code == wanted(call, place, key)
    if answer.status_code >= 400:
        assert list(answer.json()) == ["error"]
        assert contents(keva) == before


@pytest.mark.parametrize(
    "call", [call for call in endpoints.ENDPOINTS if "<" in call.path], ids=lambda call: call.view.__name__
)
def test_what_is_out_of_reach_looks_like_what_is_not_there(keva, call):
    answers = {make(keva, call, place, "own").content for place in ("other", "unknown", "malformed")}
    assert len(answers) == 1


def test_a_list_holds_only_what_is_within_reach(keva):
    [call] = [call for call in endpoints.ENDPOINTS if call.view.__name__ == "list_tickets"]
    for key, reached in (
        ("own", {keva.home}),
        ("of the other workspace", {keva.away}),
        ("of all", {keva.home, keva.away}),
    ):
        ids = {ticket["id"] for workspace in reached for ticket in keva.tickets(workspace_id=workspace)}
        listed = json.loads(make(keva, call, "own", key).content)
        assert {ticket["id"] for ticket in listed["data"]} == ids
        assert listed["pagination"]["total"] == len(ids)
