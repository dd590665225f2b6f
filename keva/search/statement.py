"""The SQL of a search: its words to FTS5, its filters to the tickets' own columns."""

import json
import sqlite3
from typing import Any

from keva.conversations import Filter
from keva.identity import Caller
from keva.search.query import NOBODY, Query

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

    def newest(self, connection: sqlite3.Connection, before: int) -> list[tuple[int, int]]:
        """The next matching messages, each with its ticket, the newest first."""
        seq = "words.rowid" if self._words else "messages.seq"
        return self._run(connection, f"{seq} < :before", f"ORDER BY {seq} DESC LIMIT {ROWS}", before=before)

    def has_newer(self, connection: sqlite3.Connection, ticket: int, since: int) -> bool:
        """True when a message of the ticket matches too that is not below the seq `since`."""
        newer = "ticket = :ticket AND messages.seq >= :from_seq"
        return bool(self._run(connection, newer, "LIMIT 1", ticket=ticket, from_seq=since))

    def _run(self, connection: sqlite3.Connection, condition: str, end: str, **values: int) -> list[tuple[int, int]]:
        words = "words CROSS JOIN desk.messages ON messages.seq = words.rowid AND words MATCH :match"
        if "ticket" in values:  # few messages, each of which is looked up among the words
            words = "desk.messages CROSS JOIN words ON words.rowid = messages.seq AND words MATCH :match"
        return connection.execute(
            f"""
            SELECT messages.seq, ticket FROM {words if self._words else "desk.messages"}
            CROSS JOIN desk.tickets ON tickets.seq = ticket
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
