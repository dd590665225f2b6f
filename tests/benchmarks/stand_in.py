"""What a suite feels: the start, the reset, the seed, a snapshot, a further desk, the plugin's presence."""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from keva.inbox.site import Site
from keva.testing import Keva
from keva.testing.desk import DeskOptions
from keva.testing.service import ControlService
from tests.benchmarks import load


def main() -> None:
    print(f"{'what a suite feels':44}{'ms':>8}{'at most':>9}")
    _row("start to the first answer, beyond imports", _median(_start, 20), 100)
    with Keva() as keva:
        _row("reset of a desk of 100 tickets", _median(lambda: _reset(keva), 50), 2)
        _row("seed of 1,000 tickets", _median(lambda: _seed(keva), 10), 100)
        _row("restore of a snapshot of 1,000 tickets", _median(lambda: _restore(keva), 20), 5)
    _row("a further desk, of a hundred", statistics.median(_desks(100)), 30)
    _row("the plugin, to a suite that does not use it", _median(_plugin, 9), 5)


def _row(name: str, seconds: float, at_most: int) -> None:
    print(f"{name:44}{seconds * 1000:8.2f}{at_most:9}", flush=True)


def _median(timed: Callable[[], float], times: int) -> float:
    return statistics.median(timed() for _ in range(times))


def _start() -> float:
    before = time.perf_counter()
    with Keva() as keva:
        httpx.get(f"{keva.url}/healthz")
        return time.perf_counter() - before


def _reset(keva: Keva) -> float:
    keva.seed([{} for _ in range(100)])
    before = time.perf_counter()
    keva.reset()
    return time.perf_counter() - before


def _seed(keva: Keva) -> float:
    keva.reset()
    before = time.perf_counter()
    keva.seed([{} for _ in range(1000)])
    return time.perf_counter() - before


def _restore(keva: Keva) -> float:
    _seed(keva)
    snapshot = keva.snapshot()
    keva.reset()
    before = time.perf_counter()
    keva.restore(snapshot)
    took = time.perf_counter() - before
    assert len(keva.tickets()) == 1000
    return took


def _desks(number: int) -> Iterator[float]:
    with tempfile.TemporaryDirectory() as folder:
        service = ControlService(Path(folder), DeskOptions(Site("127.0.0.1")), api_key=load.KEY)
        thread = threading.Thread(target=service.run)
        thread.start()
        with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {load.KEY}"}) as client:
            for _ in range(number):
                before = time.perf_counter()
                client.post("/__keva__/desks").raise_for_status()
                yield time.perf_counter() - before
        service.stop()
        thread.join()


def _plugin() -> float:
    """What every run of pytest loads, once pytest is there."""
    code = "import time, pytest; t = time.perf_counter(); import keva.pytest_plugin; print(time.perf_counter() - t)"
    return float(subprocess.check_output([sys.executable, "-c", code]))
