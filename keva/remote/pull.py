"""Tickets in from another Keva, as the JSON lines that `import` takes."""

import json
from collections.abc import Callable
from typing import BinaryIO

from pydantic import BaseModel

from keva.models import Message, Ticket
from keva.remote.client import Record, Remote


def pull(remote: Remote, lines: BinaryIO, on_progress: Callable[[int, int], None]) -> int:
    """Writes a line for each ticket, oldest first, and gives their number.

    A field that an import would not know is left out. `remote.differences` has noted it, like all that differs.
    """
    tickets: dict[str, Record] = {}
    for ticket in remote.tickets():
        tickets.setdefault(ticket["id"], ticket)
    for number, ticket in enumerate(reversed(tickets.values()), 1):
        messages = [_known(message, Message) for message in remote.messages(ticket["id"])]
        line = _known(ticket, Ticket) | {"messages": messages}
        lines.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        on_progress(number, len(tickets))
    return len(tickets)


def _known(made: Record, model: type[BaseModel]) -> Record:
    names = [field.alias or name for name, field in model.model_fields.items()]
    return {name: made[name] for name in names if name in made}
