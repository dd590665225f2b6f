"""From a change to its delivery, in one process: order, failures, other receivers, the clock, stop and start."""

import json
import threading
import time
from contextlib import closing

import pytest

from keva import events, identity, tickets
from keva.errors import NotFound
from keva.identity import SCOPES, Caller
from keva.models import NewTicket
from keva.storage.database import Database
from keva.testing.clock import Clock
from keva.webhooks import outbox, registry, schedule
from keva.webhooks.dispatcher import Dispatcher
from keva.webhooks.outbox import Outcome
from keva.webhooks.recorder import Recorder
from tests.receiver import Receiver, status, unused_port
from tests.reliability.served import until

EVERYTHING = Caller(None, SCOPES, None)
NEW = NewTicket.model_validate({"subject": "It broke", "customerEmail": "customer@example.com", "body": "Really."})
HOUR = 3600


class Desk:
    """A database and, while it runs, its dispatcher; `stop` and `start` it as a server would."""

    def __init__(self, path):
        self.clock = Clock()
        self.path = path
        self.start()

    def start(self):
        self.database = Database(self.path, identity.mint, self.clock)
        self.dispatcher = Dispatcher(self.database)
        self.clock.on_change = self.dispatcher.nudge
        self.dispatcher.start()

    def stop(self):
        self.dispatcher.close()
        self.database.close()

    def webhook(self, url, **options):
        with self.database.write() as tx:
            made = registry.create(tx, url, **options)["id"]
        self.dispatcher.wake(look=True)
        return made

    def happen(self, number=1):
        """So many tickets are created, each in a transaction of its own; gives the ids of the events."""
        for _ in range(number):
            with self.database.write() as tx:
                tickets.create(tx, EVERYTHING, NEW)
        with self.database.snapshot() as reader:
            return [event.id for event in events.list_all(reader)][-number:]

    def deliveries(self, **which):
        with self.database.snapshot() as reader:
            return outbox.list_deliveries(reader, **which)

    def settled(self, number):
        until(lambda: sum(row["next_at"] is None for row in self.deliveries()) >= number, 20)
        return self.deliveries()

    def failed(self, tries=1):
        until(lambda: any(row["error"] and row["tries"] >= tries for row in self.deliveries()), 20)
        return self.deliveries()


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path / "keva.db")
    yield desk
    desk.stop()


def threads():
    """Those that a dispatcher starts."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(("keva-webhooks", "keva-hook_"))}


def _create_and_fail(tx):
    tickets.create(tx, EVERYTHING, NEW)
    tickets.get(tx, EVERYTHING, "tkt_nowhere")


def ids(calls):
    return [call.id for call in calls]


# As long as all goes well


def test_every_event_arrives_once_and_in_order(desk):
    with Receiver() as receiver:
        desk.webhook(receiver.url)
        happened = desk.happen(250)
        receiver.wait_for(250)
        desk.settled(250)
    assert ids(receiver.calls) == happened


def test_each_of_two_webhooks_is_sent_what_it_wants(desk):
    with Receiver() as one, Receiver() as other:
        desk.webhook(one.url)
        desk.webhook(other.url, types=["ticket.closed"])
        [event] = desk.happen()
        assert ids(one.wait_for(1)) == [event]
        desk.settled(1)
        assert other.calls == []


def test_without_a_webhook_there_is_no_thread_and_after_the_last_one_is_deleted_none_either(desk):
    desk.happen(3)
    assert threads() == set()
    with Receiver() as receiver:
        webhook = desk.webhook(receiver.url)
        desk.happen()
        receiver.wait_for(1)
        assert threads() == {"keva-webhooks", f"keva-{webhook}"}
        with desk.database.write() as tx:
            registry.delete(tx, webhook)
        until(lambda: threads() == set())
        desk.happen()
        other = desk.webhook(receiver.url)
        [event] = desk.happen()
        assert receiver.wait_for(2)[-1].id == event
        assert f"keva-{other}" in threads()


def test_a_webhook_that_a_command_made_meanwhile_is_noticed_by_the_next_event(desk):
    with Receiver() as receiver, closing(Database(desk.path, identity.mint)) as command:
        with command.write() as tx:
            registry.create(tx, receiver.url)
        [event] = desk.happen()
        assert ids(receiver.wait_for(1)) == [event]


def test_nothing_is_sent_before_its_commit_and_nothing_of_what_was_rolled_back(desk):
    with Receiver() as receiver:
        desk.webhook(receiver.url)
        with pytest.raises(NotFound), desk.database.write() as tx:
            _create_and_fail(tx)
        with desk.database.write() as tx:
            tickets.create(tx, EVERYTHING, NEW)
            desk.dispatcher.wake(look=True)
            time.sleep(0.1)
            assert receiver.calls == []
        assert len(receiver.wait_for(1)) == 1
        desk.settled(1)
    assert len(receiver.calls) == 1


def test_three_hundred_deliveries_cost_far_fewer_commits(desk, monkeypatch):
    with Receiver() as receiver:
        webhook = desk.webhook(receiver.url)
        commits = []
        store = outbox.store
        monkeypatch.setattr(outbox, "store", lambda *all: commits.append(1) or store(*all))
        with desk.database.write() as tx:
            for _ in range(300):
                tickets.create(tx, EVERYTHING, NEW)
        receiver.wait_for(300)
        desk.settled(300)
    assert 3 <= len(commits) <= 100
    with desk.database.snapshot() as reader:
        assert registry.get(reader, webhook, 0).cursor == 300


# When it does not


def test_one_that_failed_comes_later_with_the_same_id_and_bytes_and_another_timestamp(desk):
    refused = threading.Event()

    def answer(call, _):
        if refused.is_set():
            return status(200)
        refused.set()
        return status(500, body="not now")

    with Receiver(answer) as receiver:
        desk.clock.freeze("2024-01-15T10:30:00Z")
        desk.webhook(receiver.url)
        first, second = desk.happen(2)
        receiver.wait_for(2)
        [failed, _] = desk.settled(1)
        assert (failed["status"], failed["error"], failed["answer"], failed["tries"]) == (
            500,
            "answered 500",
            "not now",
            1,
        )
        desk.clock.advance(4)
        assert [row["tries"] for row in desk.deliveries()] == [1, 1]
        desk.clock.advance(2)
        receiver.wait_for(3)
        desk.settled(2)
    assert ids(receiver.calls) == [first, second, first]
    assert receiver.calls[0].body == receiver.calls[2].body
    assert receiver.calls[0].headers["webhook-timestamp"] >= str(int(time.time()) - 60)


def test_it_is_tried_eleven_times_over_three_days_and_then_given_up(desk, monkeypatch):
    monkeypatch.setattr("keva.webhooks.sender._LONGEST_PAUSE", 0.01)
    with Receiver(lambda *_: status(503)) as receiver:
        desk.clock.freeze("2024-01-15T10:30:00Z")
        desk.webhook(receiver.url)
        desk.happen()
        for tries, delay in enumerate(schedule.DELAYS, 1):
            desk.failed(tries)
            desk.clock.advance(delay * 1.1)
        [given_up] = desk.settled(1)
    assert (given_up["tries"], given_up["error"]) == (11, "answered 503")
    assert len(receiver.calls) == 11


def test_retry_after_is_waited_for(desk):
    with Receiver(lambda *_: status(429, "Retry-After: 600")) as receiver:
        desk.clock.freeze("2024-01-15T10:30:00Z")
        desk.webhook(receiver.url)
        desk.happen()
        [row] = desk.failed()
        assert row["next_at"] - row["tried_at"] == 600


def test_410_switches_it_off_and_what_comes_then_waits_until_it_is_on(desk):
    gone = threading.Event()
    gone.set()
    with Receiver(lambda *_: status(410 if gone.is_set() else 200)) as receiver:
        webhook = desk.webhook(receiver.url)
        happened = desk.happen(3)
        desk.failed()
        desk.dispatcher.wake(look=True)
        assert ids(receiver.calls) == happened[:1]
        gone.clear()
        with desk.database.write() as tx:
            registry.switch_on(tx, webhook)
            outbox.retry_failed(tx, 0, desk.clock())
        receiver.wait_for(4)
        desk.settled(3)
    assert sorted(ids(receiver.calls)[1:]) == sorted(happened)


def test_a_receiver_that_hangs_delays_neither_a_write_nor_another_webhook(desk):
    letting_go = threading.Event()
    with Receiver(lambda *_: letting_go.wait(60) and None) as hanging, Receiver() as other:
        desk.webhook(hanging.url)
        desk.webhook(other.url)
        happened = desk.happen(100)
        assert ids(other.wait_for(100)) == happened
        assert len(hanging.calls) == 1
        letting_go.set()


def test_a_dead_receiver_gets_all_of_it_in_order_once_it_lives_again(desk):
    port = unused_port()
    desk.clock.freeze("2024-01-15T10:30:00Z")
    desk.webhook(f"http://127.0.0.1:{port}/keva")
    happened = desk.happen(20)
    desk.failed()
    with Receiver(port=port) as receiver:
        until(lambda: len(desk.deliveries()) == 20)
        failed = [row["event"] for row in desk.deliveries() if row["error"]]
        assert ids(receiver.calls) == [event for event in happened if event not in failed]
        desk.settled(20 - len(failed))
        desk.clock.advance(6)
        receiver.wait_for(20)
        desk.settled(20)
    assert set(ids(receiver.calls)) == set(happened)


def test_the_outcome_of_a_retry_that_comes_while_another_is_stored_is_stored_next(desk, monkeypatch):
    """Both have the same cursor, since a retry moves none."""
    webhook = desk.webhook(f"http://127.0.0.1:{unused_port()}/keva")
    desk.happen(2)
    until(lambda: len(desk.failed()) == 2)
    desk.dispatcher.close()
    recorder, store = Recorder(desk.database), outbox.store

    def delivered(event):
        recorder.add(Outcome(webhook, event, 2, 200, None, "ok", desk.clock(), None), cursor=2)

    def store_while_another_comes(tx, outcomes, cursors):
        monkeypatch.undo()
        store(tx, outcomes, cursors)
        delivered(2)

    monkeypatch.setattr(outbox, "store", store_while_another_comes)
    delivered(1)
    recorder.store()
    recorder.store()
    assert [row["error"] for row in desk.deliveries()] == [None, None]
    assert recorder.events_of(webhook) == set()


def test_a_url_with_a_password_is_not_logged(desk, caplog):
    caplog.set_level("WARNING", "keva")  # a desk for tests in this process lets errors through alone
    desk.webhook(f"http://user:secret-word@127.0.0.1:{unused_port()}/secret-path")
    desk.happen()
    until(lambda: "refused the connection" in caplog.text)
    assert "secret" not in caplog.text


def test_outcomes_that_cannot_be_stored_now_are_stored_later_and_nothing_more_is_sent_meanwhile(desk):
    """As while another command imports."""
    with Receiver() as receiver, closing(Database(desk.path, identity.mint)) as command:
        desk.webhook(receiver.url)
        with desk.database.write() as tx:
            for _ in range(300):
                tickets.create(tx, EVERYTHING, NEW)
        receiver.wait_for(1)
        with command.write():
            time.sleep(1.5)
            sent = len(receiver.calls)
            time.sleep(0.2)
            assert len(receiver.calls) == sent <= 300
        receiver.wait_for(300)
        desk.settled(300)
    assert len(set(ids(receiver.calls))) == 300


# Stop and start


def test_a_restart_goes_on_where_it_was_and_sends_nothing_twice(desk):
    with Receiver() as receiver:
        desk.webhook(receiver.url)
        before = desk.happen(50)
        receiver.wait_for(50)
        desk.stop()
        desk.start()
        after = desk.happen(50)
        receiver.wait_for(100)
        desk.settled(100)
    assert ids(receiver.calls) == before + after


def test_what_happened_while_nobody_sent_is_sent_at_the_next_start(desk):
    with Receiver() as receiver:
        desk.webhook(receiver.url)
        desk.dispatcher.close()
        happened = desk.happen(30)
        assert receiver.calls == []
        desk.database.close()
        desk.start()
        assert ids(receiver.wait_for(30)) == happened


def test_a_restart_in_the_middle_of_the_schedule_continues_it(desk):
    with Receiver(lambda *_: status(500)) as receiver:
        desk.clock.freeze("2024-01-15T10:30:00Z")
        desk.webhook(receiver.url)
        desk.happen()
        desk.failed()
        desk.clock.advance(6)
        [row] = desk.failed(2)
        desk.stop()
        desk.start()
        desk.clock.advance(50)
        assert desk.deliveries() == [row]
        desk.clock.advance(20)
        assert desk.failed(3)[0]["tries"] == 3
    assert len(receiver.calls) == 3


def test_a_try_under_way_is_let_finish_at_a_stop_and_is_not_made_again(desk):
    begun = threading.Event()

    def answer(*_):
        begun.set()
        time.sleep(0.5)
        return status(200)

    with Receiver(answer) as receiver:
        desk.webhook(receiver.url)
        happened = desk.happen(2)
        assert begun.wait(10)
        desk.stop()
        assert ids(receiver.calls) == happened[:1]
        desk.start()
        receiver.wait_for(2)
        desk.settled(2)
    assert ids(receiver.calls) == happened


def test_from_the_signal_to_stop_on_no_try_begins(desk):
    """Requests may be answered for seconds after it."""
    letting_go = threading.Event()
    with Receiver(lambda *_: letting_go.wait(20) and status(200)) as receiver:
        desk.webhook(receiver.url)
        happened = desk.happen(3)
        receiver.wait_for(1)
        desk.dispatcher.stop_soon()
        letting_go.set()
        desk.settled(1)
        desk.happen()
        assert ids(receiver.calls) == happened[:1]
        desk.stop()
        desk.start()
        receiver.wait_for(4)
        desk.settled(4)


def test_nothing_spins_while_a_stop_waits_for_a_try(desk, monkeypatch):
    waits, wait = [], Recorder.wait
    monkeypatch.setattr(Recorder, "wait", lambda recorder, seconds: waits.append(seconds) or wait(recorder, seconds))
    monkeypatch.setattr("keva.webhooks.dispatcher._LOOK_SECONDS", 0.1)
    letting_go = threading.Event()
    with Receiver(lambda *_: letting_go.wait(20) and status(200)) as receiver:
        desk.webhook(receiver.url)
        desk.happen()
        receiver.wait_for(1)
        desk.dispatcher.stop_soon()
        waits.clear()
        until(lambda: len(waits) >= 4)
        assert max(waits[1:]) > 0
        letting_go.set()
        desk.stop()
    desk.start()


def test_a_try_that_is_cut_off_by_a_stop_counts_as_not_tried(desk, monkeypatch):
    monkeypatch.setattr("keva.webhooks.dispatcher.STOP_SECONDS", 0.2)
    letting_go = threading.Event()

    def answer(*_):
        if letting_go.is_set():
            return status(200)
        letting_go.wait(20)
        return None

    with Receiver(answer) as receiver:
        desk.webhook(receiver.url)
        [event] = desk.happen()
        receiver.wait_for(1)
        desk.stop()
        letting_go.set()
        desk.start()
        assert ids(receiver.wait_for(2)) == [event, event]
        assert desk.settled(1)[0]["tries"] == 1


def test_a_clock_set_back_sends_nothing_anew_and_holds_nothing_up(desk):
    fails = threading.Event()
    fails.set()
    with Receiver(lambda *_: status(500 if fails.is_set() else 200)) as receiver:
        desk.clock.freeze("2024-06-15T10:30:00Z")
        desk.webhook(receiver.url)
        desk.happen()
        desk.failed()
        fails.clear()
        delivered = desk.happen(3)
        receiver.wait_for(4)
        desk.settled(3)
        desk.clock.freeze("2024-01-15T10:30:00Z")
        until(lambda: desk.deliveries()[0]["tried_at"] < 1.71e9)  # which is in March
        assert len(receiver.calls) == 4
        desk.clock.advance(6)
        receiver.wait_for(5)
        desk.settled(4)
    assert ids(receiver.calls)[1:4] == delivered


def test_a_clock_set_back_while_nothing_ran_does_not_either(desk):
    with Receiver(lambda *_: status(500)) as receiver:
        desk.clock.freeze("2024-06-15T10:30:00Z")
        desk.webhook(receiver.url)
        desk.happen()
        desk.failed()
        desk.stop()
        desk.clock.freeze("2024-01-15T10:30:00Z")
        desk.start()
        until(lambda: desk.deliveries()[0]["tried_at"] < 1.71e9)
        desk.clock.advance(6)
        desk.failed(2)
    assert len(receiver.calls) == 2


@pytest.mark.parametrize("number", [500, pytest.param(100_000, marks=pytest.mark.slow)])
def test_all_that_is_due_after_an_outage_goes_out_in_order_and_in_bounded_memory(desk, number):
    with Receiver() as receiver:
        webhook = desk.webhook(receiver.url)
        with desk.database.write() as tx:
            tx.all("UPDATE webhooks SET off_because = 'an outage'")
        with desk.database.write() as tx:
            for _ in range(number):
                tickets.create(tx, EVERYTHING, NEW)
        with desk.database.write() as tx:
            registry.switch_on(tx, webhook)
        desk.dispatcher.wake(look=True)
        sender = next(iter(desk.dispatcher._running._senders.values()))
        most = 0
        over = time.monotonic() + 600
        while len(receiver.calls) < number:
            assert time.monotonic() < over
            with desk.database.snapshot() as reader:
                due = outbox.overview(reader, registry.get(reader, webhook, 0))["due"]
            most = max(most, len(sender._recorder._outcomes))
            assert due <= number
            time.sleep(0.02 if number < 10_000 else 1)
        desk.settled(number) if number < 10_000 else None
    events_told = [json.loads(call.body)["data"]["ticketId"] for call in receiver.calls]
    assert len(set(events_told)) == number
    assert most <= 101
    assert ids(receiver.calls) == list(dict.fromkeys(ids(receiver.calls)))
