"""Each call beside the bare ceiling."""

import tempfile
from pathlib import Path

from tests.benchmarks import load

WANTED = {"get": 0.85, "list of 20": 0.65, "messages": 0.80, "create": 0.45, "change": 0.45, "add message": 0.45}


def main(rounds: int = 5, seconds: int = 2, tickets: int = 1000) -> None:
    print(f"Each call beside the ceiling, {tickets:,} tickets, {load.CONNECTIONS} connections, {rounds} x {seconds} s")
    print(f"{'call':14}{'requests/s':>12}{'ceiling':>10}{'share':>8}{'wanted':>8}{'p99 ms':>9}{'noise':>8}")
    with tempfile.TemporaryDirectory(prefix="tmp-keva-", dir=load.ROOT) as folder:
        db = Path(folder, "keva.db")
        load.seed(db, tickets)
        with load.running(load.ceiling()) as ceiling, load.running(load.keva(db)) as ours:
            for name, path, script in load.ENDPOINTS:
                sides = {"ceiling": (f"{ceiling}{path}", script), "ours": (f"{ours}{path}", script)}
                figures = load.in_turn(sides, rounds, seconds)
                _row(name, figures["ours"], figures["ceiling"])


def _row(name: str, ours: load.Figure, ceiling: load.Figure) -> None:
    share = ours.rate / ceiling.rate
    print(
        f"{name:14}{ours.rate:12.0f}{ceiling.rate:10.0f}{share:8.2f}{WANTED[name]:8.2f}{ours.p99:9.1f}"
        f"{max(ours.noise, ceiling.noise):8.0%}",
        flush=True,
    )
