"""Webhooks of a desk for tests: to a URL or to a function, and what no call can bring about."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic.alias_generators import to_camel

from keva import events, tickets
from keva.envelopes import Envelope, data_model
from keva.errors import Invalid
from keva.events import TYPES, Event
from keva.identity import SCOPES, Caller
from keva.models import OMITTED, Body, Email, Name, NewMessage, TicketChange, TicketId
from keva.storage.database import Database
from keva.storage.transaction import Reader
from keva.times import timestamp
from keva.transfer.records import Word
from keva.validation import validate
from keva.webhooks import outbox, registry
from keva.webhooks.client import Answer, signed
from keva.webhooks.dispatcher import Dispatcher
from keva.webhooks.failures import of_status

_KEVA = Caller("keva", SCOPES, None)


class AgentAnswer(TicketChange):
    """What an agent or the AI does in hosted Keva: says something, changes the ticket, or both."""

    ticket_id: TicketId
    body: Body = OMITTED
    name: Name = OMITTED
    email: Email = "support@company.com"
    resolution_type: Word = OMITTED
    tags: list[Word] = OMITTED


@dataclass(frozen=True)
class WebhookCall:
    """What a receiver gets: `event` is what `body` holds."""

    headers: dict[str, str]
    body: bytes
    event: Envelope


Receiver = Callable[[WebhookCall], int]


@dataclass(frozen=True)
class Delivery:
    """What came of sending an event to a webhook; `next_at` is None once it is settled."""

    event: Envelope
    webhook: str
    tries: int
    status: int | None
    error: str | None
    next_at: str | None

    def as_json(self) -> dict[str, Any]:
        return {to_camel(name): value for name, value in vars(self).items()}

    def __repr__(self) -> str:
        outcome = self.error or f"answered {self.status}"
        more = f" after {self.tries} tries" if self.tries > 1 else ""
        again = f", next at {self.next_at}" if self.next_at else ""
        return f"<{self.event['type']} {self.event['id']} to {self.webhook}: {outcome}{more}{again}>"


class _Due(NamedTuple):
    event: int
    webhook: registry.Webhook
    tries: int


class DeskWebhooks:
    """The webhooks of a desk: `dispatcher` sends to the URLs, `deliver` calls the functions."""

    def __init__(self, database: Database, dispatcher: Dispatcher) -> None:
        self._database, self._dispatcher = database, dispatcher
        self.receivers: dict[str, Receiver] = {}

    def create(self, to: str | Receiver, types: Iterable[str] | None, workspace_id: str | None) -> dict[str, Any]:
        """Gives its id and its secret."""
        if not isinstance(to, str) and not callable(to):
            raise Invalid(f"{to!r} is neither a URL nor a function: give one of them.")
        if types is not None and (isinstance(types, str) or not isinstance(types, Iterable)):
            raise Invalid(f"{types!r} is no list of events: give one such as ['ticket.closed'].")
        url = to if isinstance(to, str) else None
        with self._database.write() as tx:
            made = registry.create(tx, url, types, workspace_id)
        if isinstance(to, str):
            self._dispatcher.wake(look=True)
        else:
            self.receivers[made["id"]] = to
        return made

    def delete(self, webhook_id: str) -> None:
        with self._database.write() as tx:
            registry.delete(tx, webhook_id)
        self.receivers.pop(webhook_id, None)
        self._dispatcher.nudge()

    def answer(self, answer: AgentAnswer) -> str:
        """Does all of it in one transaction, and gives the ticket's JSON."""
        if answer.model_fields_set <= {"ticket_id", "name", "email"}:
            raise Invalid("An answer without a body changes something: give one of them.")
        said = answer.body and NewMessage.model_construct(
            body=answer.body, sender_email=answer.email, sender_name=answer.name, direction="outbound"
        )
        with self._database.write() as tx:
            if said:
                tickets.add_message(tx, _KEVA, answer.ticket_id, said)
            return tickets.update(tx, _KEVA, answer.ticket_id, answer)

    def events(self, kind: str | None) -> list[Envelope]:
        with self._database.snapshot() as reader:
            return [event.envelope for event in events.list_all(reader, _checked(kind))]

    def send(self, kind: str, data: dict[str, Any]) -> Envelope:
        """Stores a made-up event; Invalid where its data has not the shape of such an event's."""
        fitting = validate(data_model(_checked(kind)), data)
        with self._database.write() as tx:
            seq = events.record(tx, _KEVA, kind, None, details=fitting.model_dump(by_alias=True, exclude_unset=True))
            made = events.find(tx, seq)
        assert made
        return made.envelope

    def deliver(self) -> list[Delivery]:
        """Calls the functions with what is due to them now, in the order in which it happened."""
        now = self._database.clock()
        with self._database.snapshot() as reader:
            webhooks = [one for one in registry.list_all(reader, now) if one.id in self.receivers]
            due = [one for webhook in webhooks for one in _due(reader, webhook, now)]
        made = (self._call(one) for one in sorted(due, key=lambda one: (one.event, one.webhook.seq)))
        return [delivery for delivery in made if delivery]

    def deliveries(self, webhook_id: str | None = None, kind: str | None = None) -> list[Delivery]:
        """What was sent and stored, in the order in which it happened."""
        with self._database.snapshot() as reader:
            if webhook_id is not None:
                registry.get(reader, webhook_id, 0)
            rows = outbox.list_deliveries(reader, webhook_id)
            told = {event.seq: event for event in events.list_all(reader, _checked(kind))}
        found = sorted(rows, key=lambda row: (row["place"][1], row["place"][0]))
        return [_delivery(row, told[row["place"][1]]) for row in found if row["place"][1] in told]

    def settled(self, kind: str | None, webhook_id: str | None = None) -> list[Delivery]:
        return [delivery for delivery in self.deliveries(webhook_id, kind) if delivery.next_at is None]

    def forget(self) -> None:
        """What is under way ends at once, for the desk to be emptied."""
        self._dispatcher.forget()
        self.receivers.clear()

    def put_back(self, receivers: Mapping[str, Receiver]) -> None:
        """The webhooks that there were are there again, with these functions; to URLs it goes on sending."""
        self.receivers.update(receivers)
        self._dispatcher.start()

    def _call(self, due: _Due) -> Delivery | None:
        """None where the webhook has been deleted or switched off meanwhile."""
        with self._database.snapshot() as reader:
            webhook, event = registry.find(reader, due.webhook.id, 0), events.find(reader, due.event)
        receiver = self.receivers.get(due.webhook.id)
        if not (webhook and event and receiver) or webhook.off_because:
            return None
        headers = signed(event.id, event.body, due.webhook.secrets)
        status = _status(receiver(WebhookCall(headers, event.body, event.envelope)))
        answer = Answer(status, of_status(status))
        outcome = outbox.outcome(webhook, event.seq, due.tries, answer, self._database.clock())
        with self._database.write() as tx:
            outbox.store(tx, [outcome], {webhook.id: max(webhook.cursor, event.seq)})
        return Delivery(event.envelope, webhook.id, due.tries, status, answer.error, _time(outcome.next_at))


class Webhook:
    """One that a test made."""

    def __init__(self, webhooks: DeskWebhooks, id: str, secret: str) -> None:
        self._webhooks, self.id, self.secret = webhooks, id, secret

    def delete(self) -> None:
        """Ends it, and drops what is due."""
        self._webhooks.delete(self.id)

    def __repr__(self) -> str:
        return f"<Webhook {self.id}>"


def _due(reader: Reader, webhook: registry.Webhook, now: float) -> list[_Due]:
    if webhook.off_because:
        return []
    again = [_Due(event, webhook, tries + 1) for event, tries in outbox.due(reader, webhook, now, -1)]
    new = outbox.after(reader, webhook.cursor, -1)
    return again + [_Due(event, webhook, 1) for event, kind, place in new if webhook.wants(kind, place)]


def _delivery(row: dict[str, Any], event: Event) -> Delivery:
    next_at = _time(row["next_at"])
    return Delivery(event.envelope, row["webhook"], row["tries"], row["status"], row["error"], next_at)


def _checked(kind: Any) -> Any:
    if kind is not None and kind not in TYPES:
        raise Invalid(f"There is no event {kind!r}: there are {', '.join(TYPES)}.")
    return kind


def _status(status: Any) -> int:
    if type(status) is not int or not 100 <= status <= 599:
        raise Invalid(f"A webhook's function returned {status!r}: return the status that the receiver answers, as 200.")
    return status


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)
