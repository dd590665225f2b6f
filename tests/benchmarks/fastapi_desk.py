"""The same calls with FastAPI and uvicorn, on the same file and SQL, durable."""

import json
import secrets
import socket
import sqlite3
import sys
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

app = FastAPI()
_local = threading.local()
_lock = threading.Lock()


def _connection() -> sqlite3.Connection:
    if not hasattr(_local, "connection"):
        _local.connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        _local.connection.row_factory = sqlite3.Row
        _local.connection.execute("PRAGMA synchronous = FULL")
        _local.connection.execute("PRAGMA foreign_keys = ON")
    return _local.connection


def _ticket(row: sqlite3.Row) -> dict[str, Any]:
    return {name: row[name] for name in row.keys() if name not in ("seq", "workspace")}  # noqa: SIM118


@app.get("/api/v1/tickets/{ticket_id}")
def get_ticket(ticket_id: str, request: Request) -> dict[str, Any]:
    assert request.headers["authorization"]
    return {"data": _ticket(_connection().execute("SELECT * FROM tickets WHERE id = ?", (ticket_id,)).fetchone())}


@app.get("/api/v1/tickets")
def list_tickets(status: str, page: int = 1, per_page: int = 20) -> dict[str, Any]:
    rows = _connection().execute(
        "SELECT * FROM tickets WHERE status = ? ORDER BY seq DESC LIMIT ? OFFSET ?",
        (status, per_page, (page - 1) * per_page),
    )
    counted = "SELECT ifnull(sum(tickets), 0) FROM ticket_counts WHERE workspace = 0 AND block = -1 AND status = ?"
    total = _connection().execute(counted, (status,)).fetchone()[0]
    return {"data": [_ticket(row) for row in rows.fetchall()], "pagination": {"page": page, "total": total}}


@app.post("/api/v1/tickets", status_code=201)
def create_ticket(new: dict[str, Any]) -> dict[str, Any]:
    ticket_id, now = "tkt_" + secrets.token_hex(10), "2024-01-15T10:30:00Z"
    with _lock, _connection() as connection:
        connection.execute("BEGIN IMMEDIATE")
        seq = connection.execute(
            "INSERT INTO tickets"
            " (id, workspace, subject, status, priority, customer_email, customer_name, source, created_at, updated_at,"
            " last_message, waiting)"
            " VALUES (?, 1, ?, 'open', 'medium', ?, ?, 'api', ?, ?, (SELECT ifnull(max(seq), 0) + 1 FROM messages), 1)",
            (ticket_id, new["subject"], new["customerEmail"], new.get("customerName"), now, now),
        ).lastrowid
        connection.execute(
            "INSERT INTO messages (id, ticket, direction, sender_email, sender_name, body, created_at)"
            " VALUES (?, ?, 'inbound', ?, ?, ?, ?)",
            ("msg_" + secrets.token_hex(10), seq, new["customerEmail"], new.get("customerName"), new["body"], now),
        )
        connection.execute(
            "INSERT INTO events (id, type, ticket, details, done_by, created_at)"
            " VALUES (?, 'ticket.created', ?, ?, 'fixed key', ?)",
            ("evt_" + secrets.token_hex(10), seq, '{"priority":"medium"}', now),
        )
    return {"data": {"id": ticket_id, **json.loads(json.dumps(new))}}


if __name__ == "__main__":
    # asyncio sends small answers at once only on sockets that name TCP; without it each waits 40 ms for the client.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(100)
    print(f"Listening on http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])
