"""What a test gives and gets, as dictionaries whose fields are known: a type checker finds a wrong one."""

from typing import Literal, NotRequired, TypedDict

from keva.models import Direction, Priority, Status

Scope = Literal["tickets:read", "tickets:write"]


class Ticket(TypedDict):
    id: str
    subject: str
    status: Status
    priority: Priority
    customerEmail: str
    customerName: str | None
    source: str
    assignedTo: str | None
    resolutionType: str | None
    tags: list[str]
    createdAt: str
    updatedAt: str


class Message(TypedDict):
    id: str
    ticketId: str
    direction: Direction
    senderEmail: str
    senderName: NotRequired[str]
    body: str
    bodyHtml: NotRequired[str]
    createdAt: str


class MessageFields(TypedDict, total=False):
    """Those that a seeded message may have; `body` it must have."""

    id: str
    ticketId: str
    direction: Direction
    senderEmail: str
    senderName: str | None
    body: str
    bodyHtml: str | None
    createdAt: str


class TicketFields(TypedDict, total=False):
    """Those that a seeded ticket may have."""

    id: str
    subject: str
    status: Status
    priority: Priority
    customerEmail: str
    customerName: str | None
    source: str
    assignedTo: str | None
    resolutionType: str | None
    tags: list[str]
    createdAt: str
    updatedAt: str
    workspaceId: str
    messages: list[MessageFields]
