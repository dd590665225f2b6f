"""What the inbox costs who uses the API alone: start, memory, and speed beside 200 open tabs."""

import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from keva import identity, people
from keva.storage.database import Database
from tests.benchmarks import load

TABS, SECONDS_BETWEEN_NEWS = 200, 4  # as the script has it
WITHOUT = ("--no-inbox",)


def main(starts: int = 9, rounds: int = 3, seconds: int = 3) -> None:
    with tempfile.TemporaryDirectory(prefix="tmp-keva-", dir=load.ROOT) as folder:
        db = Path(folder, "keva.db")
        load.seed(db, 1000)
        figures = {options: [] for options in ((), WITHOUT)}
        for _ in range(starts):
            for options, taken in figures.items():
                taken.append(_start(db, *options))
        one, other = ([statistics.median(column) for column in zip(*taken, strict=True)] for taken in figures.values())
        print(f"start: {one[0]:.0f} ms, {other[0]:.0f} without the inbox (10 more allowed)")
        print(f"memory: {one[1]:.1f} MB, {other[1]:.1f} without the inbox (2 more allowed)")
        _show_tabs(db, rounds, seconds)


def _start(db: Path, *options: str) -> tuple[float, float]:
    """Milliseconds until the first line of output, and MB when idle."""
    began = time.perf_counter()
    process = subprocess.Popen(
        load.keva(db, *options), cwd=load.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        process.stdout.readline()
        return (time.perf_counter() - began) * 1000, load.rss_mb(process.pid)
    finally:
        process.terminate()
        process.wait()


def _show_tabs(db: Path, rounds: int, seconds: int) -> None:
    database = Database(db, identity.mint)
    with database.write() as tx:
        token = people.start_session(tx, people.first(tx), time.time())
    database.close()
    rates = {"alone": [], "tabs": []}
    with load.running(load.keva(db)) as url:
        for _ in range(rounds):
            rates["alone"].append(load.measure(f"{url}/api/v1/tickets/tkt_seed7", seconds)[0])
            with _asking(url, token):
                rates["tabs"].append(load.measure(f"{url}/api/v1/tickets/tkt_seed7", seconds)[0])
    alone, tabs = (statistics.median(taken) for taken in rates.values())
    print(f"gets a second: {alone:,.0f}, beside {TABS} open tabs {tabs:,.0f} ({tabs / alone:.2f})")


@contextmanager
def _asking(url: str, token: str) -> Iterator[None]:
    """As many questions for news a second as the tabs ask."""
    host = url.removeprefix("http://")
    headers = {"Cookie": f"keva_{host.rpartition(':')[2]}={token}"}
    ended = threading.Event()

    def ask() -> None:
        connection = HTTPConnection(host)
        while not ended.wait(SECONDS_BETWEEN_NEWS / TABS):
            connection.request("GET", "/inbox/news?after=0", headers=headers)
            answer = connection.getresponse()
            assert answer.status == 204, answer.status
            answer.read()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()
