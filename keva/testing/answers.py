"""What the control calls answer, for the document: a client has their types from it."""

from typing import Any

from pydantic import Field

from keva.models import Message, ResponseModel, Ticket, Time, WebhookId, WorkspaceId
from keva.testing.faults import Method, When


class Tickets(ResponseModel):
    data: list[Ticket]


class Messages(ResponseModel):
    data: list[Message]


class MadeKey(ResponseModel):
    id: str
    key: str


class OneKey(ResponseModel):
    data: MadeKey


class MadeWorkspace(ResponseModel):
    id: WorkspaceId
    name: str


class OneWorkspace(ResponseModel):
    data: MadeWorkspace


class ReceivedCall(ResponseModel):
    """A call received; `status` is null while it is not answered, and where its connection was cut."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str
    status: int | None
    error: str | None
    duration: float | None = Field(description="Seconds")


class ReceivedCalls(ResponseModel):
    data: list[ReceivedCall]


class ArmedFault(ResponseModel):
    fault: str
    method: Method | None
    path: str | None
    query: dict[str, str] | None
    request_headers: dict[str, str] | None
    times: int | None
    skip: int
    when: When
    hits: int


class OneFault(ResponseModel):
    data: ArmedFault


class ArmedFaults(ResponseModel):
    data: list[ArmedFault]


class ClockTime(ResponseModel):
    now: Time


class DeskTime(ResponseModel):
    data: ClockTime


class MadeWebhook(ResponseModel):
    id: WebhookId
    secret: str


class OneWebhook(ResponseModel):
    data: MadeWebhook


class ToldEvent(ResponseModel):
    """An event as webhooks tell it; the document's webhooks have the `data` of each type."""

    id: str
    type: str
    created_at: Time
    data: dict[str, Any]


class OneEvent(ResponseModel):
    data: ToldEvent


class ToldEvents(ResponseModel):
    data: list[ToldEvent]


class SentDelivery(ResponseModel):
    event: ToldEvent
    webhook: WebhookId
    tries: int
    status: int | None
    error: str | None
    next_at: Time | None


class SentDeliveries(ResponseModel):
    data: list[SentDelivery]
