"""The members of a Keva for what other programs are told: webhooks, events, deliveries."""

import json
from collections.abc import Iterable
from typing import Any

from keva.envelopes import Envelope, EventType
from keva.errors import Invalid, NotFound
from keva.models import Priority, Status
from keva.testing.sandbox import Sandbox
from keva.testing.types import Ticket
from keva.testing.waiting import check_wait, wait_for
from keva.testing.webhooks import AgentAnswer, Delivery, Receiver, Webhook
from keva.validation import validate

_UNCHANGED: Any = object()


class WebhookMembers:
    """Part of `Keva`."""

    @property
    def _sandbox(self) -> Sandbox:
        raise NotImplementedError

    def journal(self) -> str:
        """What was received and sent since the reset, for a report."""
        raise NotImplementedError

    def _no_such_ticket(self, id: str) -> KeyError:
        raise NotImplementedError

    def webhook(
        self, to: str | Receiver, events: Iterable[EventType] | None = None, workspace: str | None = None
    ) -> "Webhook":
        """A webhook for what happens from now on, by default all of it.

        To a URL it is sent by itself; a function of a call, which has `headers`, `body` and `event` and returns the
        status, is called by `deliver` alone.
        """
        try:
            made = self._sandbox.webhooks.create(to, events, workspace)
        except NotFound:
            raise KeyError(f"There is no workspace {workspace}") from None
        return Webhook(self._sandbox.webhooks, **made)

    def answer(
        self,
        ticket: str,
        body: str | None = None,
        *,
        status: Status | None = None,
        priority: Priority | None = None,
        assigned_to: str | None = _UNCHANGED,
        resolution_type: str | None = None,
        tags: Iterable[str] | None = None,
        name: str | None = None,
        email: str | None = None,
    ) -> Ticket:
        """What an agent or the AI does in hosted Keva: an outbound message and changes, in one transaction.

        `name` and `email` are of who says it; an `assigned_to` of None unassigns. Gives the ticket as GET would.
        """
        given: dict[str, Any] = {
            "body": body,
            "status": status,
            "priority": priority,
            "resolutionType": resolution_type,
        }
        given |= {
            "name": name,
            "email": email,
            "tags": list(tags) if isinstance(tags, Iterable) and not isinstance(tags, str) else tags,
        }
        sent = {field: value for field, value in given.items() if value is not None}
        if assigned_to is not _UNCHANGED:
            sent["assignedTo"] = assigned_to
        try:
            answer = validate(AgentAnswer, {"ticketId": ticket, **sent})
            answered: Ticket = json.loads(self._sandbox.webhooks.answer(answer))
        except NotFound:
            raise self._no_such_ticket(ticket) from None
        return answered

    def events(self, type: EventType | None = None) -> list[Envelope]:
        """What happened since the reset, oldest first, as webhooks tell it."""
        return self._sandbox.webhooks.events(type)

    def wait_for_event(self, type: EventType | None = None, count: int = 1, timeout: float = 5) -> list[Envelope]:
        """Waits until there are `count` such events and gives them; AssertionError when they don't come in time."""
        check_wait(count, timeout, "events", "events")
        found = wait_for(lambda: self.events(type), count, timeout)
        return self._enough(found, count, f"{type or 'any event'}", timeout)

    def send(self, type: EventType, **data: Any) -> Envelope:
        """A made-up event, for what the desk cannot be brought to do, and what webhooks tell of it.

        ValueError where the data has not the shape of such an event's.
        """
        return self._sandbox.webhooks.send(type, data)

    def deliver(self) -> list[Delivery]:
        """Calls the functions with what is due to them now, and gives what came of it."""
        return self._sandbox.webhooks.deliver()

    def deliveries(self, webhook: "Webhook | None" = None) -> list[Delivery]:
        """What was sent since the reset, delivered or not, in the order in which it happened."""
        if webhook is not None and not isinstance(webhook, Webhook):
            raise Invalid(f"{webhook!r} is not a webhook: give what webhook() returned.")
        return self._sandbox.webhooks.deliveries(webhook.id if webhook else None)

    def wait_for_delivery(self, type: EventType | None = None, count: int = 1, timeout: float = 5) -> list[Delivery]:
        """Waits for `count` deliveries that are settled and gives them; AssertionError when they don't come in time."""
        check_wait(count, timeout, "deliveries", "deliveries")
        found = wait_for(lambda: self._sandbox.webhooks.settled(type), count, timeout)
        return self._enough(found, count, f"settled delivery of {type or 'any event'}", timeout)

    def _enough(self, found: list[Any], count: int, wanted: str, timeout: float) -> list[Any]:
        if len(found) < count:
            raise AssertionError(f"{count} x {wanted} did not come within {timeout} s, but {self.journal()}")
        return found
