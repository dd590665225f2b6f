"""Plausible tickets for a desk to try things on, always the same ones."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from keva.times import timestamp
from keva.transfer.records import TicketRecord

_FIRST = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
_TOPICS = [
    ("Cannot access my account", "The password is right, and the page still says that it is not.", ["login"]),
    ("Order not delivered", "My order was supposed to arrive yesterday and I have not received it yet.", ["delivery"]),
    ("Charged twice", "My card shows the same amount twice for one order.", ["billing"]),
    ("Change of address", "I have moved: please send everything to the new address from now on.", []),
    ("The app closes by itself", "It closes as soon as I open the second page.", ["app", "bug"]),
    ("Question about my invoice", "Could you send the invoice once more, with the tax shown?", ["billing"]),
]
_ANSWER = "Happy to help! Let me look into this."
_STATUSES = ["open", "open", "open", "pending", "solved", "closed"]
_PRIORITIES = ["low", "medium", "medium", "high", "urgent"]
_SOURCES = ["api", "email", "form"]


def records(count: int) -> Iterator[TicketRecord]:
    """The first `count` of them, oldest first, some minutes apart."""
    for number in range(1, count + 1):
        yield TicketRecord.model_validate(_ticket(number, random.Random(number)))


def _ticket(number: int, chance: random.Random) -> dict[str, Any]:
    subject, body, tags = chance.choice(_TOPICS)
    asked = _FIRST + timedelta(minutes=7 * number + chance.randrange(5))
    answered = asked + timedelta(minutes=1 + chance.randrange(5))
    status = chance.choice(_STATUSES)
    messages = [{"id": f"msg_seed{number}a", "body": body}]
    if status != "open":
        answer = {"direction": "outbound", "senderEmail": "support@company.com", "body": _ANSWER}
        messages.append({"id": f"msg_seed{number}b", **answer, "createdAt": timestamp(answered.timestamp())})
    return {
        "id": f"tkt_seed{number}",
        "subject": subject,
        "status": status,
        "priority": chance.choice(_PRIORITIES),
        "customerEmail": f"customer{number}@example.com",
        "customerName": None if chance.random() < 0.2 else f"Customer {number}",
        "source": chance.choice(_SOURCES),
        "assignedTo": None if status == "open" else f"user_{chance.randrange(1, 4)}",
        "resolutionType": "answered" if status in ("solved", "closed") else None,
        "tags": tags,
        "createdAt": timestamp(asked.timestamp()),
        "updatedAt": timestamp((asked if status == "open" else answered).timestamp()),
        "messages": messages,
    }
