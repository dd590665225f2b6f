"""A ticket with its messages as a line of an import, an export or a seed."""

from typing import Annotated, Any, ClassVar

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
    WorkspaceId,
)
from keva.patterns import NOT_BLANK


def _in_utc(moment: str) -> str:
    try:
        return times.in_utc(moment)
    except ValueError:
        raise ValueError("must be a time that there is, such as 2024-01-15T10:30:00Z") from None


Moment = Annotated[
    str,
    Field(pattern=times.WITH_OFFSET, description="With Z or an offset; kept in UTC, without its fraction"),
    AfterValidator(_in_utc),
]
Word = Annotated[str, Field(min_length=1, max_length=255, pattern=NOT_BLANK)]


# What one row holds is made and sent as a whole, so that each of its parts has a bound.
MAX_TAGS = 1000


class MessageRecord(RequestModel):
    """Missing fields default as in POST /tickets: inbound, from the customer, at the ticket's time."""

    owner: ClassVar[str] = "a message"

    id: MessageId = OMITTED
    ticket_id: TicketId = OMITTED
    direction: Direction = "inbound"
    sender_email: Email = OMITTED
    sender_name: Name | None = None
    body: Body
    body_html: BodyHtml | None = None
    created_at: Moment = OMITTED


class TicketRecord(RequestModel):
    """Missing fields default as in POST /tickets; null is accepted where an answer shows it."""

    owner: ClassVar[str] = "a ticket"

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
