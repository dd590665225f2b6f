"""One server on one core, wrk on the other."""

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
KEY = "keva_live_benchmark"
CONNECTIONS = 8
_SERVER_CORE, LOAD_CORE = "0", "1"


class Round(NamedTuple):
    """Requests a second, median and 99th percentile of their latency in ms, and how many were answered."""

    rate: float
    p50: float
    p99: float
    answered: int


@dataclass
class Figure:
    """Several rounds of one call."""

    rounds: list[Round]

    @property
    def rate(self) -> float:
        return statistics.median(round.rate for round in self.rounds)

    @property
    def p50(self) -> float:
        return statistics.median(round.p50 for round in self.rounds)

    @property
    def p99(self) -> float:
        return statistics.median(round.p99 for round in self.rounds)

    @property
    def answered(self) -> int:
        return sum(round.answered for round in self.rounds)

    @property
    def noise(self) -> float:
        """How far the rounds lie apart, as a share of their median."""
        rates = [round.rate for round in self.rounds]
        return (max(rates) - min(rates)) / self.rate


@contextmanager
def running(command: list[str], *, cwd: Path = ROOT) -> Iterator[str]:
    """A server on its core, whose first line of output names its origin."""
    pinned = ["taskset", "-c", _SERVER_CORE, *command]
    process = subprocess.Popen(
        pinned, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        found = re.search(r"http://[\w.:]+", process.stdout.readline())
        if not found:
            raise RuntimeError(f"{command} did not start")
        yield found[0]
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # what runs it, such as strace, may not hand the signal on
        process.wait()


def keva(db: Path, *options: str) -> list[str]:
    return [sys.executable, "app.py", "serve", "--port", "0", "--db", str(db), "--api-key", KEY, *options]


def ceiling(threads: int = 4) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.ceiling", str(threads)]


def measure(url: str, seconds: int, script: str = "", connections: int = CONNECTIONS) -> Round:
    """RuntimeError when an answer was no success."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:  # which wrk reads once more for its thread
        file.write(script)
        file.flush()
        told = subprocess.run([*command, "-s", file.name, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])
    answered = int(re.search(r"(\d+) requests in", told)[1])
    return Round(rate, _ms(told, "50%"), _ms(told, "99%"), answered)


def in_turn(sides: dict[str, tuple[str, str]], rounds: int, seconds: int) -> dict[str, Figure]:
    """The sides, each a URL and a script, measured in turn, so that what slows the machine slows all of them."""
    figures = {name: Figure([]) for name in sides}
    for _ in range(rounds):
        for name, (url, script) in sides.items():
            figures[name].rounds.append(measure(url, seconds, script))
    return figures


def needed(tool: str) -> None:
    if not shutil.which(tool):
        sys.exit(f"{tool} is not on this machine: it is what measures.")


def rss_mb(pid: int) -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def cores() -> int:
    return len(os.sched_getaffinity(0))


def _ms(told: str, percentile: str) -> float:
    number, unit = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", told).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


CREATE = """
wrk.method = "POST"
wrk.body = '{"subject": "Order not delivered", "customerEmail": "customer@example.com", ' ..
  '"customerName": "Jane Smith",' ..
  ' "body": "My order #12345 was supposed to arrive yesterday but I havent received it yet."}'
"""
# Each one is real: no two give the ticket the same assignee.
CHANGE = """
wrk.method = "PATCH"
local count = 0
request = function()
  count = count + 1
  local status = count % 2 == 0 and "pending" or "open"
  local assignee = os.time() .. "-" .. count
  return wrk.format(nil, nil, nil, '{"status": "' .. status .. '", "assignedTo": "' .. assignee .. '"}')
end
"""
ADD = """
wrk.method = "POST"
wrk.body = '{"body": "Any update on this?", "senderEmail": "customer@example.com", "direction": "inbound"}'
"""

_TICKET = "/api/v1/tickets/tkt_seed7"
ENDPOINTS = (
    ("get", _TICKET, ""),
    ("list of 20", "/api/v1/tickets?status=open", ""),
    ("messages", f"{_TICKET}/messages", ""),
    ("create", "/api/v1/tickets", CREATE),
    ("change", _TICKET, CHANGE),
    ("add message", "/api/v1/tickets/tkt_seed8/messages", ADD),
)


def seed(db: Path, tickets: int) -> None:
    command = [sys.executable, "app.py", "seed", str(tickets), "--db", str(db)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
