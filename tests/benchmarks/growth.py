"""A thousand tickets beside a million: the same calls, one server at a time on the core."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.benchmarks import load

SMALL, LARGE = 1_000, 1_000_000
_BODY = (
    "I placed an order last week and it has still not arrived. "
    "Could you please look into where it is right now? Thanks!!"
)


def lines(tickets: int) -> Iterator[str]:
    """Statuses take turns, but for one ticket in a thousand: the pending ones are rare."""
    for number in range(tickets):
        status = "pending" if number % 1000 == 0 else ("open", "solved", "closed")[number % 3]
        yield json.dumps(
            {
                "id": f"tkt_{number}",
                "subject": f"Order {number} not delivered",
                "status": status,
                "customerEmail": f"customer{number}@example.com",
                "customerName": "Jane Smith",
                "messages": [{"body": _BODY}],
            }
        )


def main(rounds: int = 3, seconds: int = 2) -> None:
    with tempfile.TemporaryDirectory(prefix="tmp-keva-", dir=load.ROOT) as folder:
        small, large = Path(folder, "small.db"), Path(folder, "large.db")
        _import(small, SMALL)
        rate, peak = _import(large, LARGE)
        print(f"import of {LARGE:,} tickets: {rate:,.0f} a second, at most {peak:.0f} MB of memory")
        print(f"file: {large.stat().st_size / LARGE:.0f} bytes a ticket with a message of {len(_BODY)} characters")
        print(f"start to the first answer: {_start(small):.2f} s with {SMALL:,}, {_start(large):.2f} s with {LARGE:,}")
        with load.running(load.keva(small)) as one, load.running(load.keva(large)) as other:
            _compare(one, other, rounds, seconds)


def _compare(small: str, large: str, rounds: int, seconds: int) -> None:
    print(f"{'call':34}{'1,000':>9}{'1,000,000':>11}{'times':>7}{'at most':>9}{'noise':>7}   (requests/s)")
    for name, path, script, at_most in _calls():
        sides = {
            "small": (small + path.format(middle=SMALL // 40, end=SMALL // 20), script),
            "large": (large + path.format(middle=LARGE // 40, end=LARGE // 20), script),
        }
        figures = load.in_turn(sides, rounds, seconds)
        one, other = figures["small"], figures["large"]
        noise = max(one.noise, other.noise)
        print(
            f"{name:34}{one.rate:9.0f}{other.rate:11.0f}{one.rate / other.rate:7.2f}{at_most:9.1f}{noise:7.0%}",
            flush=True,
        )


def _calls() -> Iterator[tuple[str, str, str, float]]:
    yield "get", "/api/v1/tickets/tkt_7", "", 1.5
    yield "first page", "/api/v1/tickets", "", 1.5
    yield "first page of a status", "/api/v1/tickets?status=closed", "", 1.5
    yield "first page of a rare status", "/api/v1/tickets?status=pending&per_page=1", "", 1.5
    yield "page in the middle", "/api/v1/tickets?page={middle}", "", 3.0
    yield "last page", "/api/v1/tickets?page={end}", "", 3.0
    yield "page in the middle of a third", "/api/v1/tickets?status=open&per_page=6&page={middle}", "", 3.0
    yield "create", "/api/v1/tickets", load.CREATE, 1.5
    yield "change", "/api/v1/tickets/tkt_7", load.CHANGE, 1.5


def _import(db: Path, tickets: int) -> tuple[float, float]:
    """Tickets a second, and the most memory that it took, in MB."""
    file = db.with_suffix(".jsonl")
    with file.open("w") as out:
        out.writelines(line + "\n" for line in lines(tickets))
    before = time.perf_counter()
    command = [sys.executable, "app.py", "import", str(file), "--db", str(db)]
    subprocess.run(command, cwd=load.ROOT, check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - before
    file.unlink()
    return tickets / took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _start(db: Path) -> float:
    """Seconds from the command to its first answer; the best of three."""
    best = 99.0
    for _ in range(3):
        before = time.perf_counter()
        with load.running(load.keva(db)) as origin:
            httpx.get(f"{origin}/api/v1/tickets", headers={"Authorization": f"Bearer {load.KEY}"}).raise_for_status()
            best = min(best, time.perf_counter() - before)
    return best
