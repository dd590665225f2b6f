"""The control endpoints for webhooks and events, for a test in any language."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from flask import request
from pydantic import Field

from keva.api.registry import Answer, Call, Endpoint
from keva.envelopes import EventType
from keva.http import hooks
from keva.models import OMITTED, Number, OneTicket, Query, RequestModel, WebhookId, WorkspaceId
from keva.testing import answers
from keva.testing.control import LONGEST_WAIT, control, data, too_late
from keva.testing.waiting import wait_for
from keva.testing.webhooks import AgentAnswer

if TYPE_CHECKING:
    from keva.testing.sandbox import Sandbox


class NewWebhook(RequestModel):
    url: str
    events: Annotated[list[EventType], Field(min_length=1)] = OMITTED
    workspace_id: WorkspaceId = OMITTED


class MadeUpEvent(RequestModel):
    """What the desk cannot be brought to do; `data` has the shape of such an event's."""

    type: EventType
    data: dict[str, Any]


class EventsQuery(Query):
    type: EventType = OMITTED
    count: Number = Field(default=0, ge=0, description="Wait for that many")
    wait: Number = Field(default=5, ge=0, le=LONGEST_WAIT, description="Seconds to wait at most")


class DeliveriesQuery(EventsQuery):
    """With `count` it waits for so many that are settled."""

    webhook_id: WebhookId = OMITTED


def webhook_endpoints(sandbox: "Sandbox") -> list[Endpoint]:
    """The endpoints under /__keva__/ for what other programs are told."""
    registry: list[Endpoint] = []

    @control(registry, "POST", "webhooks", body=NewWebhook, answer=answers.OneWebhook, status=201)
    def make_webhook(call: Call) -> Answer:
        """Make a webhook."""
        return data(sandbox.webhooks.create(call.body.url, call.body.events, call.body.workspace_id), 201)

    @control(registry, "DELETE", "webhooks/<webhook_id>", answer=None, status=204)
    def delete_webhook(call: Call) -> Answer:
        """Delete a webhook."""
        sandbox.webhooks.delete(call.path["webhook_id"])
        return Answer("", 204)

    @control(registry, "POST", "answer", body=AgentAnswer, answer=OneTicket)
    def answer_ticket(call: Call) -> Answer:
        """Do what an agent or the AI does in hosted Keva."""
        return Answer(f'{{"data":{sandbox.webhooks.answer(call.body)}}}')

    @control(registry, "GET", "events", query=EventsQuery, answer=answers.ToldEvents)
    def list_events(call: Call) -> Answer:
        """List what happened since the reset."""
        query = call.query
        found = _waited(query, lambda: sandbox.webhooks.events(query.type))
        if len(found) < query.count:
            raise too_late(sandbox, query, query.type or "any event")
        return data(found)

    @control(registry, "POST", "events", body=MadeUpEvent, answer=answers.OneEvent, status=201)
    def make_up_event(call: Call) -> Answer:
        """Send a made-up event."""
        return data(sandbox.webhooks.send(call.body.type, call.body.data), 201)

    @control(registry, "GET", "deliveries", query=DeliveriesQuery, answer=answers.SentDeliveries)
    def list_deliveries(call: Call) -> Answer:
        """List what was sent."""
        query, webhooks = call.query, sandbox.webhooks
        settled = _waited(query, lambda: webhooks.settled(query.type, query.webhook_id))
        if len(settled) < query.count:
            raise too_late(sandbox, query, f"settled delivery of {query.type or 'any event'}")
        return data([delivery.as_json() for delivery in webhooks.deliveries(query.webhook_id, query.type)])

    return registry


def _waited(query: EventsQuery, found: Callable[[], list[Any]]) -> list[Any]:
    """What is found, after waiting for the number that the query names."""
    if not query.count:
        return found()
    with hooks.waiting(request.environ):
        return wait_for(found, query.count, query.wait)
