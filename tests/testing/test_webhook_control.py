"""The control calls for webhooks and events: the same desk, for a test in any language."""

import json

import pytest
from standardwebhooks import Webhook

from tests.receiver import Receiver, status
from tests.testing.conftest import NEW, TICKETS
from tests.testing.test_control import client, origin, start  # noqa: F401


def data(answer, expected=200):
    assert answer.status_code == expected, answer.text
    return answer.json()["data"]


def test_a_webhook_is_sent_what_happens_and_what_is_made_up(client):  # noqa: F811
    with Receiver() as receiver:
        webhook = data(client.post("/__keva__/webhooks", json={"url": receiver.url}), 201)
        client.post(TICKETS, json=NEW)
        closed = {"ticketId": "tkt_9", "resolution": "solved", "resolutionType": "ai_autonomous"}
        made_up = data(client.post("/__keva__/events", json={"type": "ticket.closed", "data": closed}), 201)
        delivered = data(client.get("/__keva__/deliveries", params={"count": 2}))
        calls = receiver.wait_for(2)
    assert [one["event"] for one in delivered] == [call.event for call in calls]
    assert calls[1].event == made_up
    assert list(delivered[0]) == ["event", "webhook", "tries", "status", "error", "nextAt"]
    assert (delivered[0]["webhook"], delivered[0]["status"], delivered[0]["nextAt"]) == (webhook["id"], 200, None)
    for call in calls:
        Webhook(webhook["secret"]).verify(call.body, call.headers)
    assert [event["type"] for event in data(client.get("/__keva__/events"))] == ["ticket.created", "ticket.closed"]


def test_an_answer_is_what_an_agent_does(client):  # noqa: F811
    [ticket] = data(client.post("/__keva__/seed", json={"tickets": [{}]}), 201)
    sent = {
        "ticketId": ticket["id"],
        "body": "It is on its way.",
        "status": "solved",
        "resolutionType": "ai_autonomous",
    }
    answered = data(
        client.post("/__keva__/answer", json=sent | {"status": "solved", "assignedTo": "user_1", "tags": ["a"]})
    )
    assert answered == client.get(f"{TICKETS}/{ticket['id']}").json()["data"]
    found = data(client.get("/__keva__/events", params={"type": "ticket.closed", "count": 1}))
    assert found[0]["data"]["resolutionType"] == "ai_autonomous"


def test_the_clock_makes_a_retry_due_and_a_deleted_webhook_gets_none(client):  # noqa: F811
    answers = [status(500)]
    with Receiver(lambda *_: answers.pop() if answers else status(200)) as receiver:
        webhook = data(client.post("/__keva__/webhooks", json={"url": receiver.url, "events": ["ticket.created"]}), 201)
        client.put("/__keva__/clock", json={"now": "2024-01-15T10:30:00Z"})
        client.post(TICKETS, json=NEW)
        receiver.wait_for(1)
        while not data(client.get("/__keva__/deliveries")):
            pass
        client.post("/__keva__/clock/advance", json={"seconds": 60})
        found = data(client.get("/__keva__/deliveries", params={"count": 1, "webhook_id": webhook["id"]}))
        assert [one["tries"] for one in found] == [2]
        assert client.delete(f"/__keva__/webhooks/{webhook['id']}").status_code == 204
        assert client.delete(f"/__keva__/webhooks/{webhook['id']}").status_code == 404
        client.post(TICKETS, json=NEW)
        assert data(client.get("/__keva__/deliveries")) == []
    assert len(receiver.calls) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("webhooks", {"url": "ftp://example.com"}),
        ("webhooks", {"url": "http://example.com", "events": []}),
        ("webhooks", {"url": "http://example.com", "events": ["ticket.lost"]}),
        ("webhooks", {}),
        ("answer", {"ticketId": "tkt_000001"}),
        ("answer", {"ticketId": "tkt_000001", "status": "new"}),
        ("events", {"type": "ticket.lost", "data": {}}),
        ("events", {"type": "ticket.closed", "data": {"ticketId": "tkt_1"}}),
    ],
)
def test_what_means_nothing_is_refused_in_the_one_shape(client, path, body):  # noqa: F811
    answer = client.post(f"/__keva__/{path}", json=body)
    assert answer.status_code == 400, answer.text
    assert json.loads(answer.text)["error"].endswith(".")
