"""Webhooks and events in a test: what the fixture offers, and the same by control calls."""

import socket
import threading
import time

import pytest
from standardwebhooks import Webhook

from keva.testing import Keva
from tests.receiver import Receiver, status, unused_port
from tests.testing.conftest import NEW, TICKETS


class App:
    """Stands for the program under test: keeps the events that it was sent."""

    def __init__(self, *statuses):
        self.calls, self._statuses = [], list(statuses)

    def __call__(self, call):
        self.calls.append(call)
        return self._statuses.pop(0) if self._statuses else 200


# To a function


def test_an_answer_reaches_a_function_by_deliver(keva):
    app = App()
    keva.webhook(app)
    ticket = keva.seed()

    answered = keva.answer(
        ticket["id"], "It is on its way.", status="solved", resolution_type="ai_autonomous", tags=["a"]
    )
    assert app.calls == []
    said, updated, closed = keva.deliver()

    assert [one.event["type"] for one in (said, updated, closed)] == [
        "message.created",
        "ticket.updated",
        "ticket.closed",
    ]
    assert (closed.status, closed.tries, closed.error, closed.next_at) == (200, 1, None, None)
    assert closed.event["data"]["resolutionType"] == "ai_autonomous"
    assert said.event["data"]["direction"] == "outbound"
    assert answered == keva.ticket(ticket["id"])
    assert (answered["status"], answered["resolutionType"], answered["tags"]) == ("solved", "ai_autonomous", ["a"])
    assert keva.messages(ticket["id"])[-1]["senderEmail"] == "support@company.com"
    assert keva.deliver() == []
    assert threading.current_thread() is threading.main_thread()


def test_a_function_is_called_in_the_thread_of_the_test_with_what_the_standards_library_takes(keva, client):
    seen = []

    def receive(call):
        seen.append((threading.current_thread(), Webhook(webhook.secret).verify(call.body, call.headers), call.event))
        return 204

    webhook = keva.webhook(receive)
    client.post(TICKETS, json=NEW)
    keva.deliver()
    [(thread, verified, event)] = seen
    assert thread is threading.current_thread()
    assert verified == event == keva.events()[0]


def test_the_signature_follows_the_machines_clock_and_the_schedule_the_desks(keva, client):
    app = App(500, 500)
    webhook = keva.webhook(app)
    keva.freeze("2024-01-15T10:30:00Z")
    client.post(TICKETS, json=NEW)

    [first] = keva.deliver()
    assert (first.status, first.error, first.tries) == (500, "answered 500", 1)
    assert "2024-01-15T10:30:05Z" <= first.next_at <= "2024-01-15T10:30:06Z"
    assert keva.deliver() == []
    keva.advance(60)
    [second] = keva.deliver()
    assert (second.tries, second.event) == (2, first.event)
    keva.advance(60 * 60)
    [third] = keva.deliver()
    assert (third.status, third.next_at) == (200, None)

    assert {call.body for call in app.calls} == {app.calls[0].body}
    for call in app.calls:
        Webhook(webhook.secret).verify(call.body, call.headers)


def test_deliver_gives_up_like_the_real_thing(keva, client):
    keva.webhook(App(*[500] * 20))
    keva.freeze("2024-01-15T10:30:00Z")
    client.post(TICKETS, json=NEW)
    for _ in range(11):
        [last] = keva.deliver()
        keva.advance(30 * 60 * 60)
    assert (last.tries, last.next_at) == (11, None)
    assert keva.deliver() == []


def test_functions_are_called_in_the_order_of_what_happened_and_get_what_they_want(keva, client):
    first, second = App(), App()
    keva.webhook(first, events=["ticket.closed"])
    keva.webhook(second)
    client.post(TICKETS, json=NEW)
    client.patch(f"{TICKETS}/tkt_000001", json={"status": "closed"})
    made = keva.deliver()
    assert [(one.event["type"], one.webhook) for one in made] == [
        ("ticket.created", "hook_000002"),
        ("ticket.updated", "hook_000002"),
        ("ticket.closed", "hook_000001"),
        ("ticket.closed", "hook_000002"),
    ]
    assert [call.event["type"] for call in first.calls] == ["ticket.closed"]


def test_a_function_of_one_workspace_hears_of_no_other(keva):
    other = keva.create_workspace("Other")
    app = App()
    keva.webhook(app, workspace=other)
    here, there = keva.seed(), keva.seed(workspaceId=other)
    for ticket in (here, there):
        keva.answer(ticket["id"], "Hello.")
    [delivery] = keva.deliver()
    assert delivery.event["data"]["ticketId"] == there["id"]


def test_a_function_may_call_the_desk_and_what_that_brings_about_is_for_the_next_deliver(keva, client):
    def reply(call):
        if call.event["type"] == "ticket.created":
            path = f"{TICKETS}/{call.event['data']['ticketId']}/messages"
            client.post(path, json={"body": "Thank you.", "senderEmail": "bot@example.com"})
        return 200

    keva.webhook(reply)
    client.post(TICKETS, json=NEW)
    assert [one.event["type"] for one in keva.deliver()] == ["ticket.created"]
    assert [one.event["type"] for one in keva.deliver()] == ["message.created"]


def test_what_a_function_raises_reaches_the_test_and_the_event_stays_due(keva, client):
    calls = []

    def receive(call):
        calls.append(call)
        assert len(calls) > 1, "not the first time"
        return 200

    keva.webhook(receive)
    client.post(TICKETS, json=NEW)
    with pytest.raises(AssertionError, match="not the first time"):
        keva.deliver()
    [delivery] = keva.deliver()
    assert (delivery.status, delivery.tries) == (200, 1)


@pytest.mark.parametrize("returned", [None, "200", True, 2000])
def test_a_function_that_returns_no_status_is_told_so(keva, client, returned):
    keva.webhook(lambda _: returned)
    client.post(TICKETS, json=NEW)
    with pytest.raises(ValueError, match="return the status"):
        keva.deliver()


def test_410_switches_a_function_off(keva, client):
    app = App(410)
    keva.webhook(app)
    client.post(TICKETS, json=NEW)
    client.post(TICKETS, json=NEW)
    assert [one.status for one in keva.deliver()] == [410]
    keva.advance(60)
    assert keva.deliver() == []


def test_a_deleted_webhook_is_called_no_more(keva, client):
    app = App()
    webhook = keva.webhook(app)
    client.post(TICKETS, json=NEW)
    webhook.delete()
    assert keva.deliver() == []
    assert webhook.id == "hook_000001"


# To a URL


def test_a_url_is_sent_to_by_itself(keva, client):
    with Receiver() as receiver:
        webhook = keva.webhook(receiver.url)
        client.post(TICKETS, json=NEW)
        [delivery] = keva.wait_for_delivery("ticket.created")
        [call] = receiver.calls
    assert (delivery.status, delivery.tries, delivery.webhook) == (200, 1, webhook.id)
    assert call.event == delivery.event
    Webhook(webhook.secret).verify(call.body, call.headers)
    assert keva.deliver() == []
    assert keva.deliveries() == keva.deliveries(webhook) == [delivery]


def test_advance_makes_a_retry_due(keva, client):
    answers = [status(503)]
    with Receiver(lambda *_: answers.pop() if answers else status(200)) as receiver:
        keva.webhook(receiver.url)
        keva.freeze("2024-01-15T10:30:00Z")
        client.post(TICKETS, json=NEW)
        receiver.wait_for(1)
        while not keva.deliveries():
            time.sleep(0.01)
        keva.advance(60)
        [delivery] = keva.wait_for_delivery()
    assert (delivery.tries, delivery.status) == (2, 200)


def test_what_does_not_come_is_told_with_calls_and_deliveries(keva, client):
    keva.webhook(f"http://127.0.0.1:{unused_port()}/")
    client.post(TICKETS, json=NEW)
    while not keva.deliveries():
        time.sleep(0.01)
    with pytest.raises(AssertionError, match="refused the connection") as told:
        keva.wait_for_delivery("ticket.created", timeout=0.05)
    assert "1 x settled delivery of ticket.created did not come within 0.05 s" in str(told.value)
    assert f"POST {TICKETS} 201" in str(told.value)
    with pytest.raises(AssertionError, match=r"2 x ticket\.created did not come"):
        keva.wait_for_event("ticket.created", count=2, timeout=0.05)


def test_faults_and_webhooks_do_not_touch_each_other(keva, client):
    with Receiver() as receiver:
        keva.webhook(receiver.url)
        keva.fail(status=503, times=2)
        assert [client.post(TICKETS, json=NEW).status_code for _ in range(3)] == [503, 503, 201]
        keva.wait_for_delivery()
        assert len(receiver.calls) == 1
        keva.fail(status=500, when="after")
        assert client.post(TICKETS, json=NEW).status_code == 500
        keva.wait_for_delivery(count=2)
    assert [request.method for request in keva.requests()] == ["POST"] * 4


# Reset


def test_reset_forgets_webhooks_events_and_deliveries(keva, client):
    app = App()
    keva.webhook(app)
    client.post(TICKETS, json=NEW)
    keva.deliver()
    client.post(TICKETS, json=NEW)
    keva.reset()
    assert keva.events() == keva.deliveries() == keva.deliver() == []
    client.post(TICKETS, json=NEW)
    assert keva.deliver() == []
    assert len(app.calls) == 1
    assert keva.webhook(app).id == "hook_000001"
    assert keva.events()[0]["id"] == "evt_000001"


def test_nothing_of_the_old_test_arrives_in_the_next_one(keva, client):
    letting_go = threading.Event()
    with Receiver(lambda *_: letting_go.wait(30) and status(200)) as receiver:
        keva.webhook(receiver.url)
        for _ in range(5):
            client.post(TICKETS, json=NEW)
        receiver.wait_for(1)
        began = time.monotonic()
        keva.reset()
        assert time.monotonic() - began < 10
        letting_go.set()
        keva.advance(60 * 60)
        client.post(TICKETS, json=NEW)
        keva.webhook(receiver.url)
        client.post(TICKETS, json=NEW)
        [delivery] = keva.wait_for_delivery()
        assert delivery.event["data"]["ticketId"] == "tkt_000002"
    assert len(receiver.calls) == 2


def test_many_resets_leave_no_thread_and_no_connection_behind(keva, client):
    with Receiver() as receiver:
        for _ in range(3):
            keva.webhook(receiver.url)
            client.post(TICKETS, json=NEW)
            keva.wait_for_delivery()
            keva.reset()
    assert not [thread.name for thread in threading.enumerate() if "hook" in thread.name]


def test_a_keva_that_stops_while_a_receiver_hangs_stops_at_once():
    with socket.create_server(("127.0.0.1", 0)) as hanging, Keva() as keva:
        keva.webhook(f"http://127.0.0.1:{hanging.getsockname()[1]}/")
        keva.answer(keva.seed()["id"], "Hello.")
        connection, _ = hanging.accept()
        began = time.monotonic()
        keva.stop()
        assert time.monotonic() - began < 10
        connection.close()
        keva.start()


# Events


def test_events_are_waited_for_and_listed_by_their_type(keva, client):
    assert keva.events() == []
    client.post(TICKETS, json=NEW)
    client.patch(f"{TICKETS}/tkt_000001", json={"priority": "high"})
    assert [event["type"] for event in keva.wait_for_event(count=2)] == ["ticket.created", "ticket.updated"]
    assert keva.wait_for_event("ticket.updated") == keva.events("ticket.updated") == keva.events()[1:]
    with pytest.raises(ValueError, match=r"ticket\.created, ticket\.updated"):
        keva.events("ticket.lost")


def test_a_made_up_event_is_sent_like_any_other(keva):
    app = App()
    keva.webhook(app, events=["ticket.closed"])
    sent = keva.send("ticket.closed", ticketId="tkt_elsewhere", resolution="closed", resolutionType="ai_autonomous")
    [delivery] = keva.deliver()
    assert delivery.event == sent == app.calls[0].event
    assert list(sent["data"]) == ["ticketId", "resolution", "resolutionType"]


@pytest.mark.parametrize(
    ("kind", "data", "sentence"),
    [
        ("ticket.lost", {}, "There is no event"),
        ("ticket.closed", {"ticketId": "tkt_1", "resolution": "open", "resolutionType": None}, "resolution must be"),
        ("ticket.closed", {"ticketId": "tkt_1", "resolution": "solved"}, "resolutionType is required"),
        ("ticket.closed", {"ticketId": "1", "resolution": "solved", "resolutionType": None}, "ticketId must be tkt_"),
        ("ticket.updated", {"ticketId": "tkt_1", "changes": {"subject": {}}}, "changes.subject is not a field"),
        ("ticket.updated", {"ticketId": "tkt_1", "changes": {}}, "changes"),
        (
            "ticket.updated",
            {"ticketId": "tkt_1", "changes": {"status": {"from": "open"}}},
            "changes.status.to is required",
        ),
    ],
)
def test_a_made_up_event_of_another_shape_is_refused(keva, kind, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        keva.send(kind, **data)
    assert keva.events() == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"to": "ftp://example.com"}, "give one such as"),
        ({"to": 7}, "neither a URL nor a function"),
        ({"to": App(), "events": ["ticket.lost"]}, "There is no event ticket.lost"),
    ],
)
def test_a_webhook_that_means_nothing_is_refused(keva, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        keva.webhook(**given)


def test_an_answer_may_be_changes_alone_or_words_alone(keva):
    ticket = keva.seed(assignedTo="user_1")
    keva.freeze("2031-01-15T10:30:00Z")
    keva.answer(ticket["id"], assigned_to=None)
    assert keva.ticket(ticket["id"])["assignedTo"] is None
    keva.answer(ticket["id"], "Hello.", name="Jo", email="jo@example.com")
    assert keva.messages(ticket["id"])[-1].items() >= {"senderName": "Jo", "senderEmail": "jo@example.com"}.items()
    keva.answer(ticket["id"], tags=["a", "b"])
    keva.answer(ticket["id"], tags=["a", "b"])
    assert keva.ticket(ticket["id"])["tags"] == ["a", "b"]
    assert keva.ticket(ticket["id"])["updatedAt"] == "2031-01-15T10:30:00Z"
    assert [event["type"] for event in keva.events()] == ["ticket.updated", "message.created"]


def test_an_answer_that_cannot_be_is_refused(keva):
    ticket = keva.seed()
    with pytest.raises(ValueError, match="changes something"):
        keva.answer(ticket["id"])
    with pytest.raises(ValueError, match="priority must be"):
        keva.answer(ticket["id"], priority="huge")
    with pytest.raises(KeyError, match="tkt_000001"):
        keva.answer("tkt_nowhere", "Hello.")


# In a report


def test_the_journal_of_a_failing_test_shows_deliveries_beside_calls(keva, client):
    keva.webhook(App(500))
    client.post(TICKETS, json=NEW)
    keva.freeze("2024-01-15T10:30:00Z")
    keva.deliver()
    call, delivery = keva.journal().splitlines()
    assert call == f"<POST {TICKETS} 201>"
    assert delivery.startswith("<ticket.created evt_000001 to hook_000001: answered 500, next at 2024-01-15T10:30:0")
