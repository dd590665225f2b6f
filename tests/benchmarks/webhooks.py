"""A create beside a healthy and a dead webhook, and deliveries a second, counted where they arrive."""

import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks import load

_WANTED = 0.6
_WANTED_A_SECOND = 300


def main(rounds: int = 5, seconds: int = 3) -> None:
    with tempfile.TemporaryDirectory(prefix="tmp-keva-", dir=load.ROOT) as folder, ExitStack() as stack:
        receiver = stack.enter_context(_receiver())
        urls = {"none": None, "healthy": receiver, "dead": stack.enter_context(_bound_and_deaf())}
        rates: dict[str, list[float]] = {name: [] for name in urls}
        for number in range(rounds):
            for name, url in urls.items():
                rates[name].append(_creates(Path(folder, f"{name}-{number}.db"), url, receiver, seconds))
        print(f"A create beside a webhook, {load.CONNECTIONS} connections, {rounds} x {seconds} s")
        for name, taken in rates.items():
            rate = statistics.median(taken)
            print(f"{name:10}{rate:8.0f}/s{rate / statistics.median(rates['none']):8.2f} (at least {_WANTED})")
        _backlog(Path(folder, "backlog.db"), receiver)


def _creates(db: Path, url: str | None, receiver: str, seconds: int) -> float:
    """Creates a second on a server of its own, which then has the time to send what is left."""
    load.seed(db, 1000)
    if url:
        _command("webhooks", "create", f"{url}/keva", "--db", str(db))
    with load.running(load.keva(db)) as origin:
        rate = load.measure(f"{origin}/api/v1/tickets", seconds, load.CREATE).rate
        before = -1
        while before != (before := _received(receiver)[0]):
            time.sleep(0.3)
    return rate


def _backlog(db: Path, receiver: str, number: int = 3000) -> None:
    """How fast what happened while the webhook was off goes out, and how fast that happened."""
    load.seed(db, 10)
    _command("webhooks", "create", f"{receiver}/keva", "--db", str(db))
    code = (
        "import sys; from pathlib import Path; from keva import identity, tickets; from keva.models import NewTicket;"
        "from keva.storage.database import Database; database = Database(Path(sys.argv[1]), identity.mint);"
        "new = NewTicket.model_validate({'subject': 'a', 'customerEmail': 'a@example.com', 'body': 'b'});"
        "caller = identity.Caller(None, identity.SCOPES, None);"
        "\nwith database.write() as tx:\n    for _ in range(int(sys.argv[2])): tickets.create(tx, caller, new)"
    )
    subprocess.run([sys.executable, "-c", code, str(db), str(number)], cwd=load.ROOT, check=True)
    before, _ = _received(receiver)
    with load.running(load.keva(db)):
        began = time.perf_counter()
        while _received(receiver)[0] < before + number:
            time.sleep(0.02)
        took = time.perf_counter() - began
        arrived, events = _received(receiver)
    print(f"{number} that were due: {number / took:.0f} deliveries/s (at least {_WANTED_A_SECOND})")
    print(f"{arrived} deliveries of {events} events arrived in all")


@contextmanager
def _receiver() -> Iterator[str]:
    command = ["taskset", "-c", load.LOAD_CORE, sys.executable, "-m", "tests.benchmarks.receiver"]
    process = subprocess.Popen(command, cwd=load.ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _bound_and_deaf() -> Iterator[str]:
    """A port where nothing listens, which nobody else gets."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def _received(receiver: str) -> tuple[int, int]:
    with urllib.request.urlopen(receiver) as answer:
        deliveries, events = answer.read().split()
    return int(deliveries), int(events)


def _command(*words: str) -> None:
    subprocess.run([sys.executable, "app.py", *words], cwd=load.ROOT, check=True, stdout=subprocess.DEVNULL)
