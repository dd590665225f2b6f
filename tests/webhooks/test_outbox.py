"""What is due and what came of it: the schedule, the cursor, what is kept and what is forgotten."""

import pytest

from keva import events, identity, tickets, workspaces
from keva.errors import Invalid, NotFound
from keva.identity import SCOPES, Caller
from keva.models import NewTicket, TicketChange
from keva.storage.database import Database
from keva.webhooks import outbox, registry, schedule
from keva.webhooks.client import Answer

EVERYTHING = Caller(None, SCOPES, None)
NEW = NewTicket.model_validate({"subject": "It broke", "customerEmail": "customer@example.com", "body": "Really."})
URL = "http://127.0.0.1:1/keva"
DAY = 86400.0
FAILED = Answer(500, "answered 500", "")
DELIVERED = Answer(200, None, "ok")


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "keva.db", identity.mint)
    yield database
    database.close()


def happen(database, number=1, workspace=None):
    with database.write() as tx:
        caller = EVERYTHING if workspace is None else EVERYTHING.within(tx, workspace)
        return [tickets.create(tx, caller, NEW)[0] for _ in range(number)]


def made(database, **options):
    with database.write() as tx:
        return registry.create(tx, URL, **options)["id"]


def found(database, webhook_id, now=0.0):
    with database.snapshot() as reader:
        return registry.get(reader, webhook_id, now)


def store(database, webhook_id, *tries):
    """Each is an event, how often it was tried, what came back and when."""
    webhook = found(database, webhook_id)
    outcomes = [outbox.outcome(webhook, event, number, answer, now) for event, number, answer, now in tries]
    with database.write() as tx:
        outbox.store(tx, outcomes, {webhook_id: max(event for event, *_ in tries)})
    return outcomes


def due(database, webhook_id, now):
    with database.snapshot() as reader:
        return outbox.due(reader, registry.get(reader, webhook_id, now), now, 1000)


def listed(database, **options):
    with database.snapshot() as reader:
        return outbox.list_deliveries(reader, **options)


# The schedule


def test_the_schedule_is_the_contracts_each_up_to_a_tenth_longer():
    minute, hour = 60, 3600
    expected = (5, minute, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour)
    for tries, delay in enumerate(expected, 1):
        waits = {schedule.next_try(tries, 1000.0) - 1000.0 for _ in range(50)}
        assert delay <= min(waits) < max(waits) <= delay * 1.1
    assert schedule.next_try(11, 1000.0) is None
    assert schedule.next_try(12, 1000.0, 5.0) is None


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        ("3", 5, 5.5),
        ("120", 120, 120),
        (" 120 ", 120, 120),
        ("999999", DAY, DAY),
        ("-1", 5, 5.5),
        ("soon", 5, 5.5),
        ("٣", 5, 5.5),
        ("", 5, 5.5),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200, 200),  # when it is 00:16:40
        ("Thu, 01 Jan 1970 00:00:00 GMT", 5, 5.5),
        ("Wed, 21 Oct 2065 07:28:00 GMT", DAY, DAY),
        ("Wed, 32 Oct 99999 07:28:00 GMT", 5, 5.5),
        (None, 5, 5.5),
    ],
)
def test_retry_after_makes_it_later_and_never_sooner_and_at_most_a_day(retry_after, least, most):
    asked_for = schedule.seconds_asked_for(retry_after, now=1000.0)
    assert least <= schedule.next_try(1, 0.0, asked_for) <= most


# Who wants what


def test_a_webhook_begins_with_what_happens_after_it_was_made(database):
    happen(database, 3)
    webhook = found(database, made(database))
    happen(database)
    with database.snapshot() as reader:
        assert [seq for seq, *_ in outbox.after(reader, webhook.cursor, 10)] == [4]


def test_it_is_sent_the_events_of_its_types_and_of_its_workspace(database):
    with database.write() as tx:
        other = workspaces.create(tx, "Other")["id"]
    both = found(database, made(database))
    closed = found(database, made(database, types=["ticket.closed", "message.created"]))
    elsewhere = found(database, made(database, workspace_id=other))
    [here], [there] = happen(database), happen(database, workspace=other)
    with database.write() as tx:
        for ticket in (here, there):
            tickets.update(tx, EVERYTHING, ticket, TicketChange(status="closed"))
        rows = outbox.after(tx, 0, 100)
    assert [both.wants(kind, place) for _, kind, place in rows] == [True] * 6
    assert [seq for seq, kind, place in rows if closed.wants(kind, place)] == [4, 6]
    assert [seq for seq, kind, place in rows if elsewhere.wants(kind, place)] == [2, 5, 6]


@pytest.mark.parametrize(
    "wrong", [{"types": ["ticket.lost"]}, {"workspace_id": "ws_nowhere"}, {"url": "ftp://example.com"}]
)
def test_a_webhook_for_what_there_is_not_is_refused(database, wrong):
    with pytest.raises((Invalid, NotFound)), database.write() as tx:
        registry.create(tx, **{"url": URL} | wrong)
    with database.snapshot() as reader:
        assert registry.list_all(reader, 0) == []


def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(database):
    webhook_id = made(database)
    [old] = found(database, webhook_id).secrets
    with database.write() as tx:
        registry.rotate(tx, webhook_id, now=1000.0)
    new, also_old = found(database, webhook_id, 1000.0 + DAY - 1).secrets
    assert (also_old, new != old) == (old, True)
    assert found(database, webhook_id, 1000.0 + DAY).secrets == (new,)


def test_a_deleted_webhook_takes_what_is_due_with_it_and_nothing_comes_back(database):
    webhook_id = made(database)
    happen(database)
    webhook = found(database, webhook_id)
    store(database, webhook_id, (1, 1, FAILED, 0.0))
    with database.write() as tx:
        registry.delete(tx, webhook_id)
    assert listed(database) == []
    other = made(database)
    late = outbox.outcome(webhook, 1, 2, FAILED, 9.0)  # of a try that was under way
    with database.write() as tx:
        outbox.store(tx, [late], {webhook_id: 1})
    assert listed(database) == []
    assert found(database, other).cursor == 1
    with pytest.raises(NotFound), database.write() as tx:
        registry.delete(tx, webhook_id)


# What came of it


def test_what_failed_is_due_again_at_its_time_and_what_was_delivered_is_not(database):
    webhook_id = made(database)
    happen(database, 2)
    failed, delivered = store(database, webhook_id, (1, 1, FAILED, 100.0), (2, 1, DELIVERED, 100.0))
    assert delivered.next_at is None
    assert due(database, webhook_id, failed.next_at - 0.01) == []
    assert due(database, webhook_id, failed.next_at) == [(1, 1)]
    store(database, webhook_id, (1, 2, DELIVERED, 106.0))
    assert due(database, webhook_id, 1e9) == []
    assert [(row["tries"], row["status"], row["error"]) for row in listed(database)] == [(2, 200, None), (1, 200, None)]


def test_after_the_last_try_it_is_given_up_and_sent_again_when_asked(database):
    webhook_id = made(database)
    happen(database)
    store(database, webhook_id, (1, 11, FAILED, 100.0))
    assert due(database, webhook_id, 1e12) == []
    [given_up] = listed(database, failed=True)
    assert given_up["next_at"] is None
    with database.write() as tx:
        event_id = events.find(tx, 1).id
        assert outbox.retry(tx, [event_id], 200.0) == 1
    assert due(database, webhook_id, 200.0) == [(1, 11)]
    with pytest.raises(NotFound, match="webhooks deliveries"), database.write() as tx:
        outbox.retry(tx, ["evt_nowhere"], 0.0)


def test_all_that_failed_since_a_time_is_due_when_asked_in_the_order_in_which_it_happened(database):
    webhook_id = made(database)
    happen(database, 5)
    tries = [(1, 11, FAILED, 50.0), (3, 2, FAILED, 120.0), (2, 1, FAILED, 130.0)]
    store(database, webhook_id, *tries, (4, 1, DELIVERED, 130.0))
    with database.write() as tx:
        assert outbox.retry_failed(tx, 100.0, 140.0) == 2
    assert due(database, webhook_id, 140.0) == [(2, 1), (3, 2)]


def test_since_when_a_webhook_fails_is_known_until_it_works(database):
    webhook_id = made(database)
    happen(database, 6)

    def failing_since():
        with database.snapshot() as reader:
            return outbox.overview(reader, registry.get(reader, webhook_id, 0))["failing_since"]

    store(database, webhook_id, (1, 1, FAILED, 10.0), (2, 1, FAILED, 11.0))
    assert failing_since() == 10.0
    store(database, webhook_id, (3, 1, FAILED, 12.0))
    assert failing_since() == 10.0
    store(database, webhook_id, (4, 1, DELIVERED, 13.0), (5, 1, FAILED, 14.0))
    assert failing_since() == 14.0
    store(database, webhook_id, (5, 2, FAILED, 19.0), (6, 1, DELIVERED, 20.0))
    assert failing_since() is None


def test_what_is_due_is_what_was_not_tried_yet_and_what_waits(database):
    webhook_id = made(database, types=["ticket.created"])
    happen(database, 5)
    store(database, webhook_id, (1, 1, FAILED, 0.0), (2, 1, DELIVERED, 0.0))
    with database.snapshot() as reader:
        assert outbox.overview(reader, registry.get(reader, webhook_id, 0))["due"] == 4


def test_410_switches_a_webhook_off_with_its_reason_until_it_is_switched_on(database):
    webhook_id = made(database)
    happen(database, 2)
    store(database, webhook_id, (1, 1, Answer(410, "answered 410"), 0.0))
    assert "answered 410" in found(database, webhook_id).off_because
    with database.write() as tx:
        registry.switch_on(tx, webhook_id)
    webhook = found(database, webhook_id)
    assert (webhook.off_because, webhook.cursor) == (None, 1)


def test_what_is_settled_is_forgotten_after_thirty_days_and_what_waits_is_not(database):
    webhook_id = made(database)
    happen(database, 4)
    store(
        database,
        webhook_id,
        (1, 1, DELIVERED, 0.0),
        (2, 11, FAILED, 0.0),
        (3, 1, FAILED, 0.0),
        (4, 1, DELIVERED, 10.0),
    )
    with database.write() as tx:
        assert outbox.forget_settled(tx, 30 * DAY) == 0
        assert outbox.forget_settled(tx, 30 * DAY + 1) == 2
    assert [row["place"][1] for row in listed(database)] == [3, 4]


def test_after_the_clock_was_set_back_what_waits_goes_on_from_there(database):
    webhook_id = made(database)
    happen(database, 3)
    [waits, _, _] = store(
        database, webhook_id, (1, 1, FAILED, 5000.0), (2, 1, DELIVERED, 5000.0), (3, 1, FAILED, 100.0)
    )
    with database.write() as tx:
        outbox.set_clock_back(tx, registry.get(tx, webhook_id, 0), 1000.0)
    first, delivered, earlier = listed(database)
    assert first["next_at"] == pytest.approx(1000.0 + waits.next_at - 5000.0)
    assert (delivered["next_at"], delivered["tried_at"]) == (None, 5000.0)
    assert earlier["tried_at"] == 100.0


def test_what_is_due_is_found_by_its_index(database):
    with database.snapshot() as reader:
        plan = reader.all(
            "EXPLAIN QUERY PLAN SELECT event, tries FROM deliveries WHERE webhook = ? AND next_at <= ? "
            "ORDER BY next_at LIMIT ?",
            (1, 0.0, 5),
        )
    assert [row[3] for row in plan] == ["SEARCH deliveries USING INDEX deliveries_due (webhook=? AND next_at<?)"]
