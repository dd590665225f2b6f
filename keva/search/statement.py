"""The SQL of a search: its words to FTS5, its filters to the tickets' own columns."""

import json
import sqlite3
from typing import Any

from keva.conversations import Filter
from keva.identity import Caller
from keva.search.query import NOBODY, Query
from keva.search.tables import PART, parts

ROWS = 200  # matching messages that are read at once


class Statement:
    """What is asked for one caller, of the messages below or from a seq on."""

    def __init__(self, caller: Caller, query: Query, assigned_to: list[str]) -> None:
        self._conditions = ["(:workspace IS NULL OR tickets.workspace = :workspace)"]
        self._values: dict[str, Any] = {"workspace": caller.workspace, "match": query.match}
        if query.match and caller.workspace is not None:  # among many of others the few are found at once
            self._values["match"] = f'{query.match} workspace : "w{caller.workspace}"'
        self._words = query.match is not None
        self._one_of("status", query.status)
        self._one_of("priority", query.priority)
        self._assigned(query.assigned, assigned_to)
        for number, tag in enumerate(sorted(query.tags)):
            self.require(
                f"EXISTS (SELECT 1 FROM json_each(tags) WHERE casefold(value) = :tag{number})", {f"tag{number}": tag}
            )
        if query.before:
            self.require("messages.created_at < :until", {"until": query.before})
        if query.after:
            self.require("messages.created_at >= :since", {"since": query.after})

    def within(self, wanted: Filter) -> None:
        """Of the tickets of that filter alone."""
        if wanted.status:
            self.require("tickets.status = :wanted_status", {"wanted_status": wanted.status})
        if wanted.waiting:
            self.require("waiting = 1", {})
        if wanted.assigned_to is not None:
            self.require("assigned_to = :wanted_assignee", {"wanted_assignee": wanted.assigned_to})
        if wanted.unassigned:
            self.require("assigned_to IS NULL", {})

    def require(self, condition: str, values: dict[str, Any]) -> None:
        self._conditions.append(condition)
        self._values.update(values)

    def parts(self, connection: sqlite3.Connection, before: int) -> list[int]:
        """The tables of words to read, in turn; one pass, over no table, where there are no words."""
        return [part for part in parts(connection) if part * PART < before] if self._words else [0]

    def newest(self, connection: sqlite3.Connection, part: int, before: int) -> list[tuple[int, int]]:
        """The next matching messages of that table, each with its ticket, the newest first."""
        words = f"words_{part}"
        source, seq = "desk.messages", "messages.seq"
        if self._words:
            seq = f"{words}.rowid"
            source = f"{words} CROSS JOIN desk.messages ON messages.seq = {seq} AND {words} MATCH :match"
        end = f"ORDER BY {seq} DESC LIMIT {ROWS}"
        return self._run(connection, source, f"{seq} < :before", end, before=before)

    def has_newer(self, connection: sqlite3.Connection, ticket: int, since: int) -> bool:
        """True when a message of the ticket matches too that is not below the seq `since`."""
        newer = "messages.ticket = :ticket AND messages.seq >= :from_seq"
        values = {"ticket": ticket, "from_seq": since}
        if not self._words:
            return bool(self._run(connection, "desk.messages", newer, "LIMIT 1", **values))
        rows = connection.execute(f"SELECT DISTINCT seq / {PART} FROM desk.messages WHERE {newer}", values).fetchall()
        return any(
            self._run(connection, f"desk.messages CROSS JOIN {_looked_up(part)}", newer, "LIMIT 1", **values)
            for (part,) in rows
        )

    def _run(
        self, connection: sqlite3.Connection, source: str, condition: str, end: str, **values: int
    ) -> list[tuple[int, int]]:
        return connection.execute(
            f"""
            SELECT messages.seq, ticket FROM {source} CROSS JOIN desk.tickets ON tickets.seq = ticket
            WHERE {" AND ".join([condition, *self._conditions])} {end}
            """,
            self._values | values,
        ).fetchall()

    def _one_of(self, column: str, values: set[str]) -> None:
        if values:
            self.require(f"{column} IN (SELECT value FROM json_each(:{column}))", {column: json.dumps(sorted(values))})

    def _assigned(self, named: set[str], ids: list[str]) -> None:
        if named:
            nobody = " OR assigned_to IS NULL" if NOBODY in named else ""
            self.require(
                f"(casefold(assigned_to) IN (SELECT value FROM json_each(:ids)){nobody})", {"ids": json.dumps(ids)}
            )


def _looked_up(part: int) -> str:
    """Few messages, each of which is looked up among the words."""
    return f"words_{part} ON words_{part}.rowid = messages.seq AND words_{part} MATCH :match"
