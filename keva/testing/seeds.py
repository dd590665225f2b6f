"""Tickets as a test gives them: a line of an import, with a default for whatever is left out."""

from typing import Any, ClassVar

from pydantic import Field, model_validator

from keva.errors import Invalid
from keva.models import Email, RequestModel, Subject
from keva.transfer.records import MessageRecord, TicketRecord
from keva.validation import validate


class SeedMessage(MessageRecord):
    """An outbound message is from support@company.com by default."""

    @model_validator(mode="after")
    def _from_somebody(self) -> "SeedMessage":
        if self.direction == "outbound" and self.sender_email is None:
            self.sender_email = "support@company.com"
        return self


class SeedTicket(TicketRecord):
    """Any field of an import's line; by default it has one message."""

    owner: ClassVar[str] = "a ticket"

    subject: Subject = "A ticket"
    customer_email: Email = "customer@example.com"
    messages: list[SeedMessage] = Field(  # type: ignore[assignment]
        default_factory=lambda: [SeedMessage(body="A message")], min_length=1
    )


class Seeds(RequestModel):
    tickets: list[SeedTicket]


def seed_ticket(number: int, given: dict[str, Any]) -> SeedTicket:
    """The ticket at that place of a list; Invalid, which names the place, for what does not fit."""
    try:
        return validate(SeedTicket, given)
    except Invalid as error:
        raise Invalid(f"tickets.{number}: {error.sentence}", error.details) from None
