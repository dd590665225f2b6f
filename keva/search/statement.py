"""The SQL of a search: its words to FTS5, its filters to the tickets' own columns."""

import json
import sqlite3
from typing import Any

from keva.conversations import NEWEST, Filter
from keva.identity import Caller
from keva.search.query import NOBODY, Query
from keva.search.tables import PART, parts, span

ROWS = 200  # matching messages that are read at once
# The different lists of tags, one step of the index for each, since many tickets have the same.
_TAGGED = """
WITH RECURSIVE lists (tags) AS (
  SELECT min(tags) FROM desk.tickets WHERE tags <> '[]'
  UNION ALL
  SELECT (SELECT min(tags) FROM desk.tickets WHERE tags <> '[]' AND tags > lists.tags) FROM lists
  WHERE tags IS NOT NULL
)
SELECT seq FROM lists CROSS JOIN desk.tickets ON tickets.tags = lists.tags AND tickets.tags <> '[]'
WHERE EXISTS (SELECT 1 FROM json_each(lists.tags) WHERE casefold(value) = :{name})
"""
FEW = 1000  # tickets whose messages are looked up, instead of all messages read until a page is full


class Statement:
    """What is asked for one caller, of the messages below or from a seq on."""

    def __init__(self, caller: Caller, query: Query, assigned_to: list[str]) -> None:
        self._conditions = ["(:workspace IS NULL OR tickets.workspace = :workspace)"]
        self._values: dict[str, Any] = {"workspace": caller.workspace, "match": query.match}
        if query.match and caller.workspace is not None:  # among many of others the few are found at once
            self._values["match"] = f'{query.match} workspace : "w{caller.workspace}"'
        self._words = query.match is not None
        self._indexed: list[str] = []  # the tickets that each filter leaves, where an index gives them
        if caller.workspace is not None:
            self._indexed.append("SELECT seq FROM desk.tickets WHERE workspace = :workspace")
        self._few: list[int] | None = None  # the messages of few tickets, which alone are read
        self._days = query.after, query.before
        self._begin, self._end = 0, NEWEST
        self._priority(query.priority)
        self._assigned(query.assigned, assigned_to)
        for number, tag in enumerate(sorted(query.tags)):
            name = f"tag{number}"
            self.require(f"EXISTS (SELECT 1 FROM json_each(tags) WHERE casefold(value) = :{name})", {name: tag})
            self._indexed.append(_TAGGED.format(name=name))
        if query.status:
            one_of = "tickets.status IN (SELECT value FROM json_each(:status))"
            self._require_indexed(one_of, {"status": json.dumps(list(query.status))})
        if query.before:
            self.require("messages.created_at < :until", {"until": query.before})
        if query.after:
            self.require("messages.created_at >= :since", {"since": query.after})

    def within(self, wanted: Filter) -> None:
        """Of the tickets of that filter alone."""
        if wanted.status:
            self._require_indexed("tickets.status = :wanted_status", {"wanted_status": wanted.status})
        if wanted.waiting:
            self.require("waiting = 1", {})
        if wanted.assigned_to is not None:
            self._require_indexed("assigned_to = :wanted_assignee", {"wanted_assignee": wanted.assigned_to})
        if wanted.unassigned:
            self.require("assigned_to IS NULL", {})

    def require(self, condition: str, values: dict[str, Any]) -> None:
        self._conditions.append(condition)
        self._values.update(values)

    def narrow(self, connection: sqlite3.Connection) -> None:
        """Leaves out what need not be read: other days and, where one filter leaves few tickets, all others."""
        if any(self._days):
            self._begin, self._end = span(connection, *self._days)
        for left in self._indexed:
            tickets = [seq for (seq,) in connection.execute(f"{left} LIMIT {FEW + 1}", self._values)]
            if len(tickets) <= FEW:
                self._look_only_at(connection, tickets)
                return

    def parts(self, connection: sqlite3.Connection, before: int) -> list[int]:
        """The tables of words to read, in turn; one pass, over no table, where there are no words."""
        if not self._words:
            return [0]
        there = [part for part in parts(connection) if self._begin // PART <= part < min(before, self._end) / PART]
        if self._few is None:
            return there
        theirs = {seq // PART for seq in self._few}
        return [part for part in there if part in theirs]

    def newest(self, connection: sqlite3.Connection, part: int, before: int) -> list[tuple[int, int]]:
        """The next matching messages of that table, each with its ticket, the newest first."""
        words = f"words_{part}"
        source, seq = "desk.messages", "messages.seq"
        if self._words:
            seq = f"{words}.rowid"
            source = f"{words} CROSS JOIN desk.messages ON messages.seq = {seq} AND {words} MATCH :match"
        condition = f"{seq} >= :begin AND {seq} < :before"
        if self._few is not None:  # the + keeps FTS5 from looking up each of them by itself
            condition += f" AND {'+' if self._words else ''}{seq} IN (SELECT value FROM json_each(:few))"
        end = f"ORDER BY {seq} DESC LIMIT {ROWS}"
        return self._run(connection, source, condition, end, begin=self._begin, before=min(before, self._end))

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

    def _require_indexed(self, condition: str, values: dict[str, Any]) -> None:
        """What an index of the tickets answers alone."""
        self.require(condition, values)
        self._indexed.append(f"SELECT seq FROM desk.tickets WHERE {condition}")

    def _look_only_at(self, connection: sqlite3.Connection, tickets: list[int]) -> None:
        sql = "SELECT seq FROM desk.messages WHERE ticket IN (SELECT value FROM json_each(?))"
        self._few = [seq for (seq,) in connection.execute(sql, (json.dumps(tickets),))]
        self._values["few"] = json.dumps(self._few)

    def _priority(self, wanted: set[str]) -> None:
        one_of, values = "priority IN (SELECT value FROM json_each(:priority))", {"priority": json.dumps(list(wanted))}
        if "medium" in wanted:  # which most tickets have, and no index
            self.require(one_of, values)
        elif wanted:
            self._require_indexed(f"{one_of} AND priority <> 'medium'", values)

    def _assigned(self, named: set[str], assignees: list[str]) -> None:
        one_of, values = (
            "assigned_to IN (SELECT value FROM json_each(:assignees))",
            {"assignees": json.dumps(assignees)},
        )
        if NOBODY in named:
            self.require(f"({one_of} OR assigned_to IS NULL)", values)
        elif named:
            self._require_indexed(one_of, values)


def _looked_up(part: int) -> str:
    """Few messages, each of which is looked up among the words."""
    return f"words_{part} ON words_{part}.rowid = messages.seq AND words_{part} MATCH :match"
