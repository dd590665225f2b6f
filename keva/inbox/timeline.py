"""A ticket's messages and changes in the order in which they came about, each with who and what in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keva.history import Step
from keva.inbox.names import Names


@dataclass(frozen=True)
class Entry:
    """A message, or a change in words; `seq` is its event's, None for what was imported, which made none."""

    seq: int | None
    who: str
    at: str
    message: dict[str, Any] | None = None
    changes: tuple[str, ...] = ()


def timeline(messages: list[dict[str, Any]], steps: list[Step], names: Names) -> list[Entry]:
    """Each message where its event stands; those without one were there before every event."""
    told = {step.message for step in steps}
    by_seq = {message["seq"]: message for message in messages}
    entries = [_message(None, message) for message in messages if message["seq"] not in told]
    for step in steps:
        if step.message in by_seq:
            entries.append(_message(step.seq, by_seq[step.message]))
        elif step.changes:
            entries.append(Entry(step.seq, names.actor(step.done_by), step.at, None, tuple(_words(step, names))))
    return entries


def _message(seq: int | None, message: dict[str, Any]) -> Entry:
    return Entry(seq, message["sender_name"] or message["sender_email"], message["created_at"], message)


def _words(step: Step, names: Names) -> Iterator[str]:
    for name, values in step.changes.items():
        old, new = values["from"], values["to"]
        if name != "assignedTo":
            yield f"set {name} to {new}, from {old}"
        elif new is None:
            yield f"unassigned it from {names.user(old)}"
        elif new == step.done_by:
            yield "took it" + (f", from {names.user(old)}" if old else "")
        else:
            yield f"assigned it to {names.user(new)}" + (f", from {names.user(old)}" if old else "")
