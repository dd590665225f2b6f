"""Tickets in the order of their last messages, as the inbox lists them."""

# The index tickets_by_last_message has the tickets in runs: those of one workspace and one status, waiting or not,
# assigned or not, by their last message. A page merges the runs that its filter admits, so that it costs the same
# whatever the filter and however deep it lies.

from dataclasses import dataclass
from itertools import product
from typing import Any, Final, get_args

from keva.identity import Caller
from keva.models import Status
from keva.storage.transaction import Reader

STATUSES: Final[tuple[str, ...]] = get_args(Status)
NEWEST = 2**63 - 1  # above every message
PREVIEW = 240  # characters of the last message
COUNTED = 100  # what a filter leaves is counted up to here

_COLUMNS = (
    "id",
    "subject",
    "status",
    "priority",
    "customer_email",
    "customer_name",
    "assigned_to",
    "waiting",
    "last_message",
    "message",
    "message_seq",
    "direction",
    "said",
    "said_at",
)


@dataclass(frozen=True)
class Filter:
    """Which tickets are listed: all, but for what is set."""

    status: str | None = None
    waiting: bool = False
    assigned_to: str | None = None
    unassigned: bool = False

    def runs(self) -> list[str]:
        """The SQL conditions of each run of an index that the filter admits."""
        statuses = [self.status] if self.status else STATUSES
        waits = (1,) if self.waiting else (0, 1)
        if self.assigned_to is not None:
            return [
                f"assigned_to = :assigned_to AND {_run(status, waiting)}"
                for status, waiting in product(statuses, waits)
            ]
        return [
            f"{_run(status, waiting)} AND (assigned_to IS NULL) = {nobody}"
            for status, waiting, nobody in product(statuses, waits, (1,) if self.unassigned else (0, 1))
        ]


def _run(status: str, waiting: int) -> str:
    assert status in STATUSES  # it becomes part of the SQL
    return f"workspace = workspaces.seq AND status = '{status}' AND waiting = {waiting}"


def list_page(
    reader: Reader, caller: Caller, wanted: Filter, before: int = NEWEST, limit: int = 40
) -> list[dict[str, Any]]:
    """At most `limit` tickets whose last message has a seq below `before`, the newest first."""
    run = "SELECT seq, last_message FROM tickets WHERE {} AND last_message < :before"
    merged = " UNION ALL ".join(run.format(conditions) for conditions in wanted.runs())
    return _rows(
        reader,
        f"""
        SELECT {_SHOWN} FROM workspaces
        JOIN tickets ON tickets.seq IN (SELECT seq FROM ({merged} ORDER BY last_message DESC LIMIT :limit))
        JOIN messages ON messages.seq = tickets.last_message
        WHERE :workspace IS NULL OR workspaces.seq = :workspace
        ORDER BY last_message DESC LIMIT :limit
        """,
        {"workspace": caller.workspace, "assigned_to": wanted.assigned_to, "before": before, "limit": limit},
    )


def by_message(reader: Reader, caller: Caller, messages: list[int]) -> list[dict[str, Any]]:
    """The tickets of the messages with those seqs, as a page has them, each with that message, in the order given."""
    return _rows(
        reader,
        f"""
        SELECT {_SHOWN} FROM json_each(:messages) AS given JOIN messages ON messages.seq = given.value
        JOIN tickets ON tickets.seq = ticket
        WHERE :workspace IS NULL OR workspace = :workspace
        ORDER BY given.key
        """,
        {"workspace": caller.workspace, "messages": str(messages)},
    )


def assignees(reader: Reader) -> list[str]:
    """Everybody whom a ticket is assigned to: ids of users, or what a program wrote; one step of the index for each."""
    rows = reader.all(
        """
        WITH RECURSIVE assignees (name) AS (
          SELECT min(assigned_to) FROM tickets WHERE assigned_to IS NOT NULL
          UNION ALL
          SELECT (SELECT min(assigned_to) FROM tickets WHERE assigned_to > name) FROM assignees WHERE name IS NOT NULL
        )
        SELECT name FROM assignees WHERE name IS NOT NULL
        """
    )
    return [name for (name,) in rows]


def counts(reader: Reader, caller: Caller, wanted: Filter) -> dict[str, int]:
    """How many tickets each status has under the rest of the filter, and how many wait under any status.

    Exact where only the workspace is given, otherwise counted up to COUNTED.
    """
    rest = {"waiting": wanted.waiting, "assigned_to": wanted.assigned_to, "unassigned": wanted.unassigned}
    waiting = Filter(waiting=True, assigned_to=wanted.assigned_to, unassigned=wanted.unassigned)
    found = {"waiting": _count(reader, caller, waiting)}
    if not any(rest.values()):
        return found | _exact_counts(reader, caller)
    return found | {status: _count(reader, caller, Filter(status, **rest)) for status in STATUSES}  # type: ignore[arg-type]


def _count(reader: Reader, caller: Caller, wanted: Filter) -> int:
    together = " UNION ALL ".join(f"SELECT 1 FROM tickets WHERE {conditions}" for conditions in wanted.runs())
    row = reader.one(
        f"""
        SELECT ifnull(sum((SELECT count(*) FROM (SELECT 1 FROM ({together}) LIMIT {COUNTED}))), 0)
        FROM workspaces WHERE :workspace IS NULL OR seq = :workspace
        """,
        {"workspace": caller.workspace, "assigned_to": wanted.assigned_to},
    )
    return min(int(row[0]), COUNTED)


def _exact_counts(reader: Reader, caller: Caller) -> dict[str, int]:
    rows = reader.all(
        "SELECT status, tickets FROM ticket_counts WHERE workspace = ifnull(?, 0) AND block = -1", (caller.workspace,)
    )
    return dict.fromkeys(STATUSES, 0) | dict(rows)


_SHOWN = f"""tickets.id, subject, status, priority, customer_email, customer_name, assigned_to, waiting, last_message,
          messages.id, messages.seq, direction, substr(body, 1, {PREVIEW}), messages.created_at"""


def _rows(reader: Reader, sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(_COLUMNS, row, strict=True)) for row in reader.all(sql, values)]
