"""What each event tells of itself: its envelope and its data, field by field."""

from typing import Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field, model_validator

from keva.models import (
    OMITTED,
    Assignee,
    Body,
    Direction,
    Email,
    EventId,
    MessageId,
    Name,
    Priority,
    ResponseModel,
    Source,
    Status,
    Subject,
    TicketId,
    Time,
)

EventType = Literal["ticket.created", "ticket.updated", "ticket.closed", "message.created"]


class Envelope(TypedDict):
    """An event as it is told."""

    id: str
    type: EventType
    createdAt: str
    data: dict[str, Any]


class TicketCreatedData(ResponseModel):
    ticket_id: TicketId
    subject: Subject
    customer_email: Email
    customer_name: Name | None
    source: Source
    priority: Priority


class StatusChange(ResponseModel):
    from_: Status = Field(alias="from")
    to: Status


class PriorityChange(ResponseModel):
    from_: Priority = Field(alias="from")
    to: Priority


class AssigneeChange(ResponseModel):
    from_: Assignee | None = Field(alias="from")
    to: Assignee | None


class Changes(ResponseModel):
    """Those that there were, at least one."""

    status: StatusChange = Field(default=OMITTED)
    priority: PriorityChange = Field(default=OMITTED)
    assigned_to: AssigneeChange = Field(default=OMITTED)

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    @model_validator(mode="after")
    def _has_one(self) -> "Changes":
        if not self.model_fields_set:
            raise ValueError("must hold at least one of status, priority, assignedTo")
        return self


class TicketUpdatedData(ResponseModel):
    ticket_id: TicketId
    changes: Changes


class TicketClosedData(ResponseModel):
    ticket_id: TicketId
    resolution: Literal["solved", "closed"]
    resolution_type: str | None


class MessageCreatedData(ResponseModel):
    message_id: MessageId
    ticket_id: TicketId
    direction: Direction
    sender_email: Email
    body: Body


def _example(kind: str, **data: Any) -> ConfigDict:
    """An envelope's example, which is also what `webhooks send` sends."""
    envelope: Any = {"id": "evt_abc123", "type": kind, "createdAt": "2024-01-15T14:30:00Z", "data": data}
    return ConfigDict(json_schema_extra={"examples": [envelope]})


class TicketCreated(ResponseModel):
    """A ticket was created; its first message came with it and has no event of its own."""

    id: EventId
    type: Literal["ticket.created"]
    created_at: Time
    data: TicketCreatedData

    model_config = _example(
        "ticket.created",
        ticketId="tkt_xyz789",
        subject="Order not delivered",
        customerEmail="customer@example.com",
        customerName="Jane Smith",
        source="api",
        priority="medium",
    )


class TicketUpdated(ResponseModel):
    """A ticket's status, priority or assignee changed."""

    id: EventId
    type: Literal["ticket.updated"]
    created_at: Time
    data: TicketUpdatedData

    model_config = _example(
        "ticket.updated",
        ticketId="tkt_xyz789",
        changes={
            "status": {"from": "open", "to": "solved"},
            "priority": {"from": "medium", "to": "high"},
            "assignedTo": {"from": None, "to": "user_1"},
        },
    )


class TicketClosed(ResponseModel):
    """A ticket's status became solved or closed, which the `ticket.updated` before it tells too."""

    id: EventId
    type: Literal["ticket.closed"]
    created_at: Time
    data: TicketClosedData

    model_config = _example("ticket.closed", ticketId="tkt_xyz789", resolution="solved", resolutionType=None)


class MessageCreated(ResponseModel):
    """A message was added to a ticket that existed."""

    id: EventId
    type: Literal["message.created"]
    created_at: Time
    data: MessageCreatedData

    model_config = _example(
        "message.created",
        messageId="msg_001",
        ticketId="tkt_xyz789",
        direction="inbound",
        senderEmail="customer@example.com",
        body="Any update on this?",
    )


ENVELOPES: dict[str, type[BaseModel]] = {
    "ticket.created": TicketCreated,
    "ticket.updated": TicketUpdated,
    "ticket.closed": TicketClosed,
    "message.created": MessageCreated,
}


def data_model(kind: str) -> type[BaseModel]:
    """The model of the `data` in an envelope of that kind."""
    model: type[BaseModel] = ENVELOPES[kind].model_fields["data"].annotation  # type: ignore[assignment]
    return model


def envelope(kind: str, event_id: str, created_at: str, values: dict[str, Any]) -> bytes:
    """The bytes that are sent, the same at every try; `values` has those of the data, by their names in JSON.

    Nothing is checked again, and what is missing is null: an event that cannot be told would hold up those behind it.
    """
    model = data_model(kind)
    names = [field.alias or name for name, field in model.model_fields.items()]
    data = model.model_construct(**{name: values.get(name) for name in names})
    whole = ENVELOPES[kind].model_construct(id=event_id, type=kind, createdAt=created_at, data=data)
    return whole.model_dump_json(by_alias=True, warnings=False).encode()  # changes are stored as they are told


def example(kind: str) -> dict[str, Any]:
    """Plausible data of that kind."""
    config: Any = ENVELOPES[kind].model_config["json_schema_extra"]
    data: dict[str, Any] = config["examples"][0]["data"]
    return data
