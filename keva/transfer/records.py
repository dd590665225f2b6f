"""A ticket with its messages as a line of an import, an export or a seed."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from keva import times
from keva.models import (
    OMITTED,
    Assignee,
    Body,
    BodyHtml,
    Direction,
    Email,
    MessageId,
    Name,
    Priority,
    RequestModel,
    Source,
    Status,
    Subject,
    TicketId,
    Time,
    WorkspaceId,
)
from keva.patterns import NOT_BLANK


def _real(moment: str) -> str:
    try:
        times.parse(moment)
    except ValueError:
        raise ValueError("must be a time that there is, such as 2024-01-15T10:30:00Z") from None
    return moment


Moment = Annotated[Time, AfterValidator(_real)]
Word = Annotated[str, Field(min_length=1, max_length=255, pattern=NOT_BLANK)]


# What one row holds is made and sent as a whole, so that each of its parts has a bound.
MAX_TAGS = 1000


class MessageRecord(RequestModel):
    """Missing fields default as in POST /tickets: inbound, from the customer, at the ticket's time."""

    id: MessageId = OMITTED
    ticket_id: TicketId = OMITTED
    direction: Direction = "inbound"
    sender_email: Email = OMITTED
    sender_name: Name = OMITTED
    body: Body
    body_html: BodyHtml = OMITTED
    created_at: Moment = OMITTED


class TicketRecord(RequestModel):
    """Missing fields default as in POST /tickets; null is accepted where an answer shows it."""

    id: TicketId = OMITTED
    subject: Subject
    status: Status = "open"
    priority: Priority = "medium"
    customer_email: Email
    customer_name: Name | None = None
    source: Source = "api"
    assigned_to: Assignee | None = None
    resolution_type: Word | None = None
    tags: list[Word] = Field(default_factory=list, max_length=MAX_TAGS)
    created_at: Moment = OMITTED
    updated_at: Moment = OMITTED
    workspace_id: WorkspaceId = OMITTED
    messages: Annotated[list[MessageRecord], Field(min_length=1)]

    @model_validator(mode="after")
    def _of_one_ticket(self) -> Any:
        for message in self.messages:
            if message.ticket_id not in (None, self.id):
                raise ValueError("a message's ticketId must be its ticket's id, or left out")
            if message.direction == "outbound" and message.sender_email is None:
                raise ValueError("an outbound message's senderEmail is required")
        return self
