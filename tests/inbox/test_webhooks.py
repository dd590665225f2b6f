"""Webhooks in the settings: what they delivered, within one's reach, and a delivery tried again by a click."""

import pytest

from keva.webhooks import outbox, registry
from keva.webhooks.client import Answer

NEW = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "A secret of the customer's"}


@pytest.fixture
def hook(desk):
    """Makes a webhook whose deliveries have all failed, with the text of the receiver's answer."""

    def make(workspace=None):
        with desk.database.write() as tx:
            made = registry.create(tx, "https://ann:hunter2@receiver.example/hook", None, workspace)
        path = "/api/v1/tickets" + (f"?workspace_id={workspace}" if workspace else "")
        assert desk.api("POST", path, json=NEW).status_code == 201
        with desk.database.write() as tx:
            webhook = registry.get(tx, made["id"], desk.database.clock())
            [(seq, *_)] = outbox.after(tx, webhook.cursor, 1)
            answer = Answer(status=500, error="answered 500", text="the receiver's own words")
            outcome = outbox.outcome(webhook, seq, 1, answer, desk.database.clock())
            outbox.store(tx, [outcome], {webhook.id: seq})
        return made

    return make


def deliveries(desk, hook):
    with desk.database.snapshot() as reader:
        return outbox.list_deliveries(reader, hook["id"])


def test_they_show_what_came_back_and_no_secret(desk, client, hook):
    made = hook()
    page = client.get("/inbox/settings").text
    [delivery] = deliveries(desk, made)
    assert delivery["event"] in page
    assert "answered 500" in page
    for secret in (made["secret"], "hunter2", "the receiver&#39;s own words", "secret of the customer"):
        assert secret not in page


def test_a_click_makes_a_delivery_due_now(desk, client, hook):
    made = hook()
    [before] = deliveries(desk, made)
    fields = {"webhook": made["id"], "event": before["event"]}
    answer = client.post("/inbox/settings/webhooks/retry", data=fields)
    assert answer.headers["Location"].startswith("/inbox/settings?saved=retry")
    [after] = deliveries(desk, made)
    assert after["next_at"] < before["next_at"]
    assert "It is sent again now" in client.get(answer.headers["Location"]).text


@pytest.mark.parametrize("fields", [{}, {"webhook": "hook_none", "event": "x"}, {"event": "evt_none"}])
def test_what_is_not_there_cannot_be_tried_again(client, hook, fields):
    fields = {"webhook": hook()["id"]} | fields
    assert client.post("/inbox/settings/webhooks/retry", data=fields).status_code == 404


def test_a_user_of_one_workspace_reaches_its_webhooks_alone(desk, hook):
    home, away = desk.workspace("Home"), desk.workspace("Away")
    own, others = hook(home), [hook(away), hook()]
    with desk.client(desk.user("Ann", home)) as client:
        page = client.get("/inbox/settings").text
        assert own["id"] in page
        for other in others:
            assert other["id"] not in page
            [before] = [one for one in deliveries(desk, other) if one["tries"]]
            fields = {"webhook": other["id"], "event": before["event"]}
            assert client.post("/inbox/settings/webhooks/retry", data=fields).status_code == 404
            assert before in deliveries(desk, other)
