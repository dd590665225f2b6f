"""States to which a desk goes back: a long set-up is made once, and is there again before each test."""

import json

import httpx
import pytest

from keva.testing import Keva
from tests.receiver import Receiver, status
from tests.testing.conftest import NEW, TICKETS
from tests.testing.test_control import client as control  # noqa: F401
from tests.testing.test_control import origin, start  # noqa: F401


def test_a_desk_goes_back_to_a_state_as_often_as_wanted(keva, client):
    other = keva.create_workspace("Second desk")
    key = keva.create_key(workspace=other)
    first = keva.seed(subject="Long prepared", workspaceId=other)
    prepared = keva.snapshot()
    for _ in range(3):
        assert client.post(TICKETS, json=NEW).json()["data"]["id"] == "tkt_000002"
        client.patch(f"{TICKETS}/{first['id']}", json={"status": "closed"})
        keva.revoke_key(key)
        keva.restore(prepared)
        assert keva.tickets() == [first]
        assert client.get(TICKETS, headers={"Authorization": f"Bearer {key}"}).json()["pagination"]["total"] == 1
    keva.reset()
    assert keva.tickets() == []
    keva.restore(prepared)
    assert keva.tickets() == [first]


def test_the_clock_belongs_to_a_state_and_faults_and_the_journal_do_not(keva, client):
    keva.freeze("2024-01-15T10:30:00Z")
    prepared = keva.snapshot()
    keva.unfreeze()
    keva.fail()
    client.get(TICKETS)
    keva.fail()
    keva.restore(prepared)
    assert (keva.now, keva.faults(), keva.requests()) == ("2024-01-15T10:30:00Z", [], [])
    keva.unfreeze()
    keva.advance(-3600)
    ago = keva.now
    prepared = keva.snapshot()
    keva.unfreeze()
    keva.restore(prepared)
    assert ago <= keva.now < ago[:11] + "99"


def test_webhooks_belong_to_a_state_with_their_functions_and_what_is_due(keva):
    heard = []
    keva.webhook(lambda call: heard.append(call.event["type"]) or 204, events=["message.created"])
    with Receiver() as receiver:
        keva.webhook(receiver.url, events=["ticket.closed"])
        ticket = keva.seed()["id"]
        keva.answer(ticket, "On its way.")
        prepared = keva.snapshot()
        for _ in range(2):
            keva.deliver()
            keva.restore(prepared)
            keva.answer(ticket, status="closed")
            assert [call.event["type"] for call in receiver.wait_for(1)] == ["ticket.closed"]
            receiver.calls.clear()
        keva.reset()
    assert heard == ["message.created", "message.created"]
    assert keva.deliver() == []


def test_what_was_due_to_a_url_is_due_again_without_another_event(keva):
    with Receiver(lambda *_: status(500)) as receiver:
        keva.freeze()
        keva.webhook(receiver.url)
        keva.answer(keva.seed()["id"], "On its way.")
        receiver.wait_for(1)
        prepared = keva.snapshot()
        keva.reset()
        receiver.calls.clear()
        keva.restore(prepared)
        keva.advance(10)
        receiver.wait_for(1)


def test_what_is_no_snapshot_is_refused(keva):
    with pytest.raises(ValueError, match="give what snapshot"):
        keva.restore("prepared")


def test_a_snapshot_fits_another_desk(keva):
    keva.seed(subject="Long prepared")
    with Keva() as other:
        other.restore(keva.snapshot())
        assert other.tickets() == keva.tickets()
        assert httpx.get(other.url + TICKETS, headers={"Authorization": f"Bearer {other.key}"}).status_code == 200


def test_over_http_states_have_names_that_outlive_a_reset(control):  # noqa: F811
    control.post("/__keva__/seed", json={"tickets": [{"subject": "Long prepared"}]})
    taken = control.post("/__keva__/snapshots", json={"name": "prepared"})
    assert (taken.status_code, taken.json()) == (201, {"data": {"name": "prepared"}})
    for _ in range(2):
        assert control.post("/__keva__/reset").status_code == 204
        assert control.get(TICKETS).json()["pagination"]["total"] == 0
        assert control.post("/__keva__/snapshots/prepared/restore").status_code == 204
        assert [ticket["subject"] for ticket in control.get(TICKETS).json()["data"]] == ["Long prepared"]
        assert len(control.get("/__keva__/requests").json()["data"]) == 1
    control.post(TICKETS, json=NEW)
    assert control.post("/__keva__/snapshots", json={"name": "prepared"}).status_code == 201
    control.post("/__keva__/reset")
    control.post("/__keva__/snapshots/prepared/restore")
    assert control.get(TICKETS).json()["pagination"]["total"] == 2


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("snapshots", {}, 400),
        ("snapshots", {"name": ""}, 400),
        ("snapshots", {"name": "a/b"}, 400),
        ("snapshots", {"name": 1}, 400),
        ("snapshots", {"name": "a", "colour": "red"}, 400),
        ("snapshots/nope/restore", None, 404),
    ],
)
def test_a_name_that_none_can_have_or_none_has_is_refused(control, path, body, status):  # noqa: F811
    answer = control.post(f"/__keva__/{path}", json=body)
    assert answer.status_code == status
    assert json.loads(answer.text)["error"].endswith(".")
