"""Nine reads to one write at a time, and writes to a slow disk."""

import shutil
import tempfile
from pathlib import Path

from tests.benchmarks import load

_MIXED = """
local count = 0
request = function()
  count = count + 1
  if count % 10 == 0 then
    return wrk.format("POST", "/api/v1/tickets", nil,
      '{"subject": "Order not delivered", "customerEmail": "customer@example.com", "body": "Where is it?"}')
  end
  if count % 2 == 0 then return wrk.format("GET", "/api/v1/tickets/tkt_seed7") end
  return wrk.format("GET", "/api/v1/tickets?status=open")
end
"""
_SYNC_MS = 5


def main(seconds: int = 5) -> None:
    with tempfile.TemporaryDirectory(prefix="tmp-keva-", dir=load.ROOT) as folder:
        db = Path(folder, "keva.db")
        load.seed(db, 1000)
        with load.running(load.keva(db)) as origin:
            rate, p50, p99, _ = load.measure(origin, seconds, _MIXED)
        latency = f"median {p50:.1f} ms, p99 {p99:.1f} ms, {p99 / p50:.1f} times (at most 5)"
        print(f"90 % reads: {rate:.0f} requests/s, {latency}", flush=True)
        if shutil.which("strace"):
            _slow_disk(db, seconds)


def _slow_disk(db: Path, seconds: int) -> None:
    """Each sync takes some milliseconds longer, injected by strace, which lets all other calls pass untouched.

    It injects nothing into what it writes to /dev/null.
    """
    slow = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(db.with_suffix(".strace")), "-e", "trace=fdatasync,fsync"]
    slow += ["-e", f"inject=fdatasync,fsync:delay_exit={_SYNC_MS * 1000}"]
    with load.running([*slow, *load.keva(db)]) as origin:
        url = f"{origin}/api/v1/tickets"
        one = load.measure(url, seconds, load.CREATE, connections=1).rate
        eight = load.measure(url, seconds, load.CREATE, connections=8).rate
    print(
        f"{_SYNC_MS} ms a sync: {one:.0f} writes/s by one, {eight:.0f} by eight, {eight / one:.1f} times (at least 6)"
    )
