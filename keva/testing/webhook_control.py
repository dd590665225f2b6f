"""The control endpoints for webhooks and events, for a test in any language."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from flask import request
from pydantic import Field

from keva.api.registry import Answer, Call, Endpoint
from keva.http import hooks
from keva.models import OMITTED, Number, Query, RequestModel, WebhookId, WorkspaceId
from keva.testing.control import LONGEST_WAIT, control, data
from keva.testing.waiting import wait_for
from keva.testing.webhooks import AgentAnswer

if TYPE_CHECKING:
    from keva.testing.sandbox import Sandbox

EventType = Literal["ticket.created", "ticket.updated", "ticket.closed", "message.created"]


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

    @control(registry, "POST", "webhooks", body=NewWebhook, status=201)
    def make_webhook(call: Call) -> Answer:
        """Make a webhook."""
        return data(sandbox.webhooks.create(call.body.url, call.body.events, call.body.workspace_id), 201)

    @control(registry, "DELETE", "webhooks/<webhook_id>", answer=None, status=204)
    def delete_webhook(call: Call) -> Answer:
        """Delete a webhook."""
        sandbox.webhooks.delete(call.path["webhook_id"])
        return Answer("", 204)

    @control(registry, "POST", "answer", body=AgentAnswer)
    def answer_ticket(call: Call) -> Answer:
        """Do what an agent or the AI does in hosted Keva."""
        return Answer(f'{{"data":{sandbox.webhooks.answer(call.body)}}}')

    @control(registry, "GET", "events", query=EventsQuery)
    def list_events(call: Call) -> Answer:
        """List what happened since the reset."""
        query = call.query
        return data(_waited(query, lambda: sandbox.webhooks.events(query.type)))

    @control(registry, "POST", "events", body=MadeUpEvent, status=201)
    def make_up_event(call: Call) -> Answer:
        """Send a made-up event."""
        return data(sandbox.webhooks.send(call.body.type, call.body.data), 201)

    @control(registry, "GET", "deliveries", query=DeliveriesQuery)
    def list_deliveries(call: Call) -> Answer:
        """List what was sent."""
        query, webhooks = call.query, sandbox.webhooks
        _waited(query, lambda: webhooks.settled(query.type, query.webhook_id))
        return data([delivery.as_json() for delivery in webhooks.deliveries(query.webhook_id, query.type)])

    return registry


def _waited(query: EventsQuery, found: Callable[[], list[Any]]) -> list[Any]:
    """What is found, after waiting for the number that the query names."""
    if not query.count:
        return found()
    with hooks.waiting(request.environ):
        return wait_for(found, query.count, query.wait)
