"""A ticket as a line of an import, an export or a seed: all its fields as they are kept, with its messages."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from keva.models import (
    NOT_BLANK,
    NOT_SENT,
    Assignee,
    Body,
    BodyHtml,
    Direction,
    Email,
    MessageId,
    Name,
    Priority,
    Sent,
    Source,
    Status,
    Subject,
    TicketId,
    Time,
    WorkspaceId,
)


def _real(moment: str) -> str:
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        raise ValueError("must be a time that there is, such as 2024-01-15T10:30:00Z") from None
    return moment


Moment = Annotated[Time, AfterValidator(_real)]
Word = Annotated[str, Field(min_length=1, max_length=255, pattern=NOT_BLANK)]


class MessageLine(Sent):
    """What is left out is as the first message of a create has it: inbound, from the customer, at the ticket's time."""

    id: MessageId = NOT_SENT
    ticket_id: TicketId = NOT_SENT
    direction: Direction = "inbound"
    sender_email: Email = NOT_SENT
    sender_name: Name = NOT_SENT
    body: Body
    body_html: BodyHtml = NOT_SENT
    created_at: Moment = NOT_SENT


class TicketLine(Sent):
    """What is left out is as a create has it; null is taken where an answer shows it."""

    id: TicketId = NOT_SENT
    subject: Subject
    status: Status = "open"
    priority: Priority = "medium"
    customer_email: Email
    customer_name: Name | None = None
    source: Source = "api"
    assigned_to: Assignee | None = None
    resolution_type: Word | None = None
    tags: list[Word] = Field(default_factory=list)
    created_at: Moment = NOT_SENT
    updated_at: Moment = NOT_SENT
    workspace_id: WorkspaceId = NOT_SENT
    messages: Annotated[list[MessageLine], Field(min_length=1)]

    @model_validator(mode="after")
    def _of_one_ticket(self) -> Any:
        for message in self.messages:
            if message.ticket_id not in (None, self.id):
                raise ValueError("a message's ticketId must be its ticket's id, or left out")
            if message.direction == "outbound" and message.sender_email is None:
                raise ValueError("an outbound message's senderEmail is required")
        return self
