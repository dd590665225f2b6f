"""Each call beside the bare ceiling, with what it stored."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tests.benchmarks import load

WANTED = {"get": 0.85, "list of 20": 0.65, "messages": 0.80, "create": 0.55, "change": 0.60, "add message": 0.60}
# What a write leaves behind, one for each: its event.
_STORED = {"create": "ticket.created", "change": "ticket.updated", "add message": "message.created"}


def main(rounds: int = 5, seconds: int = 2, tickets: int = 1000) -> None:
    print(f"Each call beside the ceiling, {tickets:,} tickets, {load.CONNECTIONS} connections, {rounds} x {seconds} s")
    print(
        f"{'call':14}{'requests/s':>12}{'ceiling':>10}{'share':>8}{'wanted':>8}{'p50 ms':>9}{'p99 ms':>9}{'noise':>8}"
        "   answered, stored"
    )
    with tempfile.TemporaryDirectory(prefix="tmp-keva-", dir=load.ROOT) as folder:
        db = Path(folder, "keva.db")
        load.seed(db, tickets)
        with load.running(load.ceiling()) as ceiling, load.running(load.keva(db)) as ours:
            for name, path, script in load.ENDPOINTS:
                sides = {"ceiling": (f"{ceiling}{path}", script), "ours": (f"{ours}{path}", script)}
                before = _events(db, name)
                figures = load.in_turn(sides, rounds, seconds)
                _row(name, figures["ours"], figures["ceiling"], _events(db, name) - before)
            alone = load.Figure([load.measure(f"{ours}/api/v1/tickets", seconds, load.CREATE, 1) for _ in range(3)])
            print(f"create, 1 connection: {alone.rate:.0f}/s, median {alone.p50:.2f} ms, p99 {alone.p99:.2f} ms")


def _row(name: str, ours: load.Figure, ceiling: load.Figure, stored: int) -> None:
    share = ours.rate / ceiling.rate
    counts = f"{ours.answered:,}" + (f", {stored:,}" if name in _STORED else "")
    print(
        f"{name:14}{ours.rate:12.0f}{ceiling.rate:10.0f}{share:8.2f}{WANTED[name]:8.2f}{ours.p50:9.2f}{ours.p99:9.1f}"
        f"{max(ours.noise, ceiling.noise):8.0%}   {counts}",
        flush=True,
    )


def _events(db: Path, name: str) -> int:
    with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as connection:
        counted = connection.execute("SELECT count(*) FROM events WHERE type = ?", (_STORED.get(name),))
        return int(counted.fetchone()[0])
