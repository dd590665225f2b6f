"""Tickets out to another Keva: each made there with its messages, then changed to what it is here."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from keva.models import OneCreatedTicket, OneMessage, OneTicket
from keva.remote.client import Find, Record, Refused, Remote, id_of
from keva.remote.mapping import Mapping

_NEW = {"status": "open", "priority": "medium", "assignedTo": None}  # what a create sets
_OF_A_CREATE = ("subject", "customerEmail", "customerName", "source")
_OF_A_MESSAGE = ("direction", "senderEmail", "body")
_STOPS_ALL = {401, 403}


class Push:
    """One run. `tell` gets a line for each thing that was refused; `refused` counts the tickets."""

    def __init__(self, remote: Remote, mapping: Mapping, tell: Callable[[str], object]) -> None:
        self.refused = 0
        self._remote, self._mapping, self._tell = remote, mapping, tell

    def begin(self) -> None:
        """Asks whether the other Keva is there and lets us in; nothing is made there."""
        newest = next(self._remote.tickets(), None)
        if not self._mapping.begun:
            self._mapping.begin(self._remote.url, newest["id"] if newest else None)

    def send(self, ticket: Record) -> None:
        """Makes there what is missing of this ticket, and its changes since it was sent last."""
        try:
            there = self._mapping.became.get(ticket["id"]) or self._create(ticket)
            for message in ticket["messages"][1:]:
                if message["id"] not in self._mapping.became:
                    self._add(there, message)
            self._change(there, ticket)
        except Refused as refused:
            if refused.status in _STOPS_ALL:
                raise
            self.refused += 1
            self._tell(f"{ticket['id']}: {refused.sentence}")

    def _create(self, ticket: Record) -> str:
        sent = {name: ticket[name] for name in _OF_A_CREATE if ticket[name] is not None}
        sent["body"] = ticket["messages"][0]["body"]
        return self._make(ticket["id"], "/tickets", sent, OneCreatedTicket, lambda: self._twin(ticket))

    def _add(self, there: str, message: Record) -> None:
        names = ("body", "senderEmail", "senderName", "direction", "bodyHtml")
        sent = {name: message[name] for name in names if message.get(name) is not None}
        path = f"/tickets/{there}/messages"
        self._make(message["id"], path, sent, OneMessage, lambda: self._added(there, message))

    def _make(self, given: str, path: str, sent: Record, model: Any, find: Find) -> str:
        """Makes it unless an earlier call did, whose answer was lost, and gives the id that it has there."""
        made = find() if self._mapping.unanswered == given else None
        if made is None:
            self._mapping.note_call(given)
            made = self._remote.call("POST", path, model, sent, find)
        self._mapping.note_made(given, id_of(made))
        return id_of(made)

    def _change(self, there: str, ticket: Record) -> None:
        before = self._mapping.fields.get(ticket["id"], _NEW)
        wanted = {name: ticket[name] for name in _NEW}
        changes = {name: value for name, value in wanted.items() if value != before[name]}
        if not changes:
            return
        try:
            self._patch(there, changes)
        except Refused as refused:
            if refused.status in _STOPS_ALL or "assignedTo" not in changes:
                raise
            # Whoever it is assigned to here need not be there.
            self._tell(f"{ticket['id']}: not assigned to {changes.pop('assignedTo')!r}. {refused.sentence}")
            if changes:
                self._patch(there, changes)
        self._mapping.note_fields(ticket["id"], wanted)

    def _patch(self, there: str, changes: Record) -> None:
        self._remote.call("PATCH", f"/tickets/{there}", OneTicket, changes)

    def _twin(self, ticket: Record) -> Record | None:
        """The ticket there that looks like this one, newer than all that we know."""
        known = {*self._mapping.became.values(), self._mapping.newest}
        for one in self._remote.tickets():
            if one["id"] in known:
                break
            if _same(one, ticket, _OF_A_CREATE):
                messages = self._remote.messages(one["id"])
                if messages and messages[0].get("body") == ticket["messages"][0]["body"]:
                    return one
        return None

    def _added(self, there: str, message: Record) -> Record | None:
        """The message there that looks like this one, and is no other's."""
        known = set(self._mapping.became.values())
        found = self._remote.messages(there)[1:]  # the first came with the ticket
        return next((one for one in found if one["id"] not in known and _same(one, message, _OF_A_MESSAGE)), None)


class Plan:
    """What a push has to do, and what no call can carry."""

    def __init__(self, tickets: Iterable[Record], mapping: Mapping) -> None:
        self.tickets = self.calls = 0
        self._left: dict[str, int] = {}
        workspaces = set()
        for ticket in tickets:
            self.tickets += 1
            self.calls += _calls(ticket, mapping)
            workspaces.add(ticket["workspaceId"])
            for what in _not_carried(ticket):
                self._left[what] = self._left.get(what, 0) + 1
        if len(workspaces) > 1:
            self._left["which workspace a ticket is in"] = self.tickets

    def lines(self, limit: int | None) -> Iterator[str]:
        """What there is to know before it begins; `limit` is how many calls a minute the other Keva lets us make."""
        at_least = f", {self.calls // limit + 1:,} minutes at {limit} calls a minute" if limit else ""
        yield f"{self.tickets:,} tickets, {self.calls:,} calls to make{at_least}."
        yield "Ids, and when all of it was written, cannot be carried over."
        for what, number in self._left.items():
            yield f"Nor can {what}: of {number:,} tickets."


def read(lines: Iterable[bytes]) -> Iterator[Record]:
    """The tickets of an export."""
    return map(json.loads, lines)


def _calls(ticket: Record, mapping: Mapping) -> int:
    made = [ticket["id"], *(message["id"] for message in ticket["messages"][1:])]
    changed = {name: ticket[name] for name in _NEW} != mapping.fields.get(ticket["id"], _NEW)
    return sum(given not in mapping.became for given in made) + changed


def _not_carried(ticket: Record) -> Iterator[str]:
    first = ticket["messages"][0]
    if ticket["tags"]:
        yield "tags"
    if ticket["resolutionType"] is not None:
        yield "the resolution type"
    sender = (first["direction"], first["senderEmail"], first.get("senderName"))
    if sender != ("inbound", ticket["customerEmail"], ticket["customerName"]):
        yield "who sent the first message, where that is not the customer"
    if first.get("bodyHtml") is not None:
        yield "the HTML of the first message"


def _same(one: Record, other: Record, names: Iterable[str]) -> bool:
    return all(one.get(name) == other.get(name) for name in names)
