"""Request and response models: tickets, messages, queries, refusals."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from keva import times
from keva.patterns import EMAIL, NOT_BLANK

_DIGITS = re.compile(r"[0-9]{1,15}")

Status = Literal["open", "pending", "solved", "closed"]
Priority = Literal["low", "medium", "high", "urgent"]
Direction = Literal["inbound", "outbound"]
Email = Annotated[str, Field(max_length=254, pattern=EMAIL)]
Subject = Annotated[str, Field(min_length=1, max_length=255, pattern=NOT_BLANK)]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=NOT_BLANK)]
Body = Annotated[str, Field(min_length=1, max_length=100_000, pattern=NOT_BLANK)]
BodyHtml = Annotated[str, Field(min_length=1, max_length=200_000, pattern=NOT_BLANK)]
Source = Annotated[str, Field(min_length=1, max_length=64, pattern=NOT_BLANK)]
Assignee = Annotated[str, Field(min_length=1, max_length=64, pattern=NOT_BLANK, description="User ID to assign")]
Time = Annotated[str, Field(pattern=times.PATTERN, description="UTC, whole seconds")]


TicketId = Annotated[str, Field(pattern="^tkt_[0-9A-Za-z_-]{1,64}$")]
MessageId = Annotated[str, Field(pattern="^msg_[0-9A-Za-z_-]{1,64}$")]
WorkspaceId = Annotated[str, Field(pattern="^ws_[0-9A-Za-z_-]{1,64}$")]
WebhookId = Annotated[str, Field(pattern="^hook_[0-9A-Za-z_-]{1,64}$")]
EventId = Annotated[str, Field(pattern="^evt_[0-9A-Za-z_-]{1,64}$")]

OMITTED: Any = None  # default of an optional field for which an explicit null is rejected


class RequestModel(BaseModel):
    """Strict request body: no coercion, unknown fields and nulls are rejected."""

    model_config = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel)


class NewTicket(RequestModel):
    subject: Subject = Field(description="Ticket subject line")
    customer_email: Email = Field(description="Customer's email address")
    customer_name: Name = Field(default=OMITTED, description="Customer's name")
    body: Body = Field(description="Initial message content")
    source: Source = Field(default="api", description="Source identifier")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "subject": "Order not delivered",
                    "customerEmail": "customer@example.com",
                    "customerName": "Jane Smith",
                    "body": "My order #12345 was supposed to arrive yesterday but I havent received it yet.",
                }
            ]
        }
    )


class TicketChange(RequestModel):
    """At least one of its fields; a null `assignedTo` unassigns."""

    status: Status = Field(default=OMITTED)
    priority: Priority = Field(default=OMITTED)
    assigned_to: Assignee | None = None

    model_config = ConfigDict(
        json_schema_extra={"minProperties": 1, "examples": [{"status": "pending", "priority": "high"}]}
    )


class NewMessage(RequestModel):
    body: Body = Field(description="Message content")
    sender_email: Email = Field(description="Sender's email")
    sender_name: Name = Field(default=OMITTED, description="Sender's name")
    direction: Direction = "inbound"
    body_html: BodyHtml = Field(default=OMITTED, description="HTML version of message")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "body": "Any update on this?",
                    "senderEmail": "customer@example.com",
                    "direction": "inbound",
                }
            ]
        }
    )


def _plain_digits(text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise ValueError("must be a whole number in plain digits, 15 at most")
    return int(text)


Number = Annotated[int, BeforeValidator(_plain_digits)]


class Query(BaseModel):
    """The query parameter that every call takes."""

    model_config = ConfigDict(strict=True, extra="forbid")

    workspace_id: WorkspaceId = Field(default=OMITTED, description="Act in this workspace")


class ListQuery(Query):
    page: Number = Field(default=1, ge=1, le=999_999_999_999_999, description="Page number")
    per_page: Number = Field(default=20, ge=1, le=100, description="Items per page")
    status: Status = Field(default=OMITTED, description="Filter by status")
    workspace_id: WorkspaceId = Field(default=OMITTED, description="Filter by workspace")


class ResponseModel(BaseModel):
    """Body of a response."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class CreatedTicket(ResponseModel):
    id: TicketId
    subject: Subject
    status: Status
    priority: Priority
    customer_email: Email
    customer_name: Name | None
    source: Source
    created_at: Time

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "tkt_xyz789",
                    "subject": "Order not delivered",
                    "status": "open",
                    "priority": "medium",
                    "customerEmail": "customer@example.com",
                    "customerName": "Jane Smith",
                    "source": "api",
                    "createdAt": "2024-01-15T14:22:00Z",
                }
            ]
        }
    )


class Ticket(ResponseModel):
    id: TicketId
    subject: Subject
    status: Status
    priority: Priority
    customer_email: Email
    customer_name: Name | None
    source: Source
    assigned_to: Assignee | None
    resolution_type: str | None
    tags: list[str]
    created_at: Time
    updated_at: Time

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "tkt_abc123",
                    "subject": "Cannot access my account",
                    "status": "open",
                    "priority": "high",
                    "customerEmail": "customer@example.com",
                    "customerName": "John Doe",
                    "source": "email",
                    "assignedTo": None,
                    "resolutionType": None,
                    "tags": ["login", "urgent"],
                    "createdAt": "2024-01-15T10:30:00Z",
                    "updatedAt": "2024-01-15T10:30:00Z",
                }
            ]
        }
    )


class Message(ResponseModel):
    id: MessageId
    ticket_id: TicketId
    direction: Direction
    sender_email: Email
    sender_name: Name = Field(default=OMITTED, description="Left out when there is none")
    body: Body
    body_html: BodyHtml = Field(default=OMITTED, description="Left out when there is none")
    created_at: Time

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "msg_001",
                    "ticketId": "tkt_abc123",
                    "direction": "inbound",
                    "senderEmail": "customer@example.com",
                    "senderName": "John Doe",
                    "body": "I need help with my order",
                    "createdAt": "2024-01-15T10:30:00Z",
                }
            ]
        }
    )


class Pagination(ResponseModel):
    page: int
    per_page: int
    total: int


class OneTicket(ResponseModel):
    data: Ticket


class OneCreatedTicket(ResponseModel):
    data: CreatedTicket


class OneMessage(ResponseModel):
    data: Message


class TicketPage(ResponseModel):
    data: list[Ticket]
    pagination: Pagination


class AllMessages(ResponseModel):
    data: list[Message]


class Detail(ResponseModel):
    field: str
    message: str


class ErrorBody(ResponseModel):
    error: str = Field(description="What is wrong and how to mend it")
    details: list[Detail] = Field(default=OMITTED, description="The fields to blame, all at once")
