"""What the system is asked: what a process calls, what fails for it, what it holds."""

import itertools
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .served import until

STRACE = shutil.which("strace")


def _may_trace() -> bool:
    if not STRACE:
        return False
    return subprocess.run([STRACE, "-o", os.devnull, "true"], capture_output=True).returncode == 0


needs_strace = pytest.mark.skipif(not _may_trace(), reason="strace is missing, or may not trace here")
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


class Call(NamedTuple):
    """A system call: the lines of the trace at which it was entered and left."""

    thread: str
    name: str
    file: str
    text: str
    entered: int
    left: int
    result: int


def traced(trace: Path, calls: str, text: int = 64) -> tuple[str, ...]:
    """The command that runs another one, which stays this process's child, and writes down its calls."""
    assert STRACE
    # Tracing what does not run Python code for each of a server's other calls would take minutes.
    return (STRACE, "-D", "-f", "--seccomp-bpf", "-y", "-s", str(text), "-o", str(trace), "-e", f"trace={calls}")


def killing(call: str, number: int) -> tuple[str, ...]:
    """The command that runs another one, and kills it as it enters its nth such call."""
    assert STRACE  # which injects no signal with --seccomp-bpf
    injected = f"inject={call}:signal=KILL:when={number}"
    return (STRACE, "-D", "-f", "-o", os.devnull, "-e", f"trace={call}", "-e", injected)


_LINE = re.compile(r"(\d+) +(\w+)\((?:\d+<(.*?)>)?(.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
_RESULT = re.compile(r"\) += (-?\d+)")


def calls_in(trace: Path) -> list[Call]:
    """All calls of a trace that has ended, in the order in which they were entered."""
    until(lambda: _has_ended(trace))
    calls: list[Call] = []
    pending: dict[tuple[str, str], int] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        if resumed := _RESUMED.match(line):
            at = pending.pop((resumed[1], resumed[2]))
            calls[at] = calls[at]._replace(left=number, result=_result(line))
        elif entered := _LINE.match(line):
            if line.endswith("<unfinished ...>"):
                pending[entered[1], entered[2]] = len(calls)
            calls.append(Call(entered[1], entered[2], entered[3] or "", entered[4], number, number, _result(line)))
    return calls


def _result(line: str) -> int:
    found = _RESULT.findall(line)
    return int(found[-1]) if found else -1


def _has_ended(trace: Path) -> bool:
    lines = trace.read_text(errors="replace").splitlines()
    first = lines[0].split()[0] if lines else ""
    return any(line.split()[:3] in ([first, "+++", "exited"], [first, "+++", "killed"]) for line in lines)


@contextmanager
def failing(pid: int, calls: str, error: str, path: Path | None = None) -> Iterator[None]:
    """While it lasts, those calls of the process fail, or only those on the file at `path`."""
    assert STRACE
    where = [] if path is None else ["-P", str(path)]
    command = [STRACE, "-f", "-o", os.devnull, "-p", str(pid), *where]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            assert tracer.stderr
            told = tracer.stderr.readline()
            if "attached" not in told:
                pytest.skip(f"strace may not trace a running process here: {told}")
            until(lambda: _all_traced(pid, tracer.pid))
            yield
        finally:
            tracer.terminate()
            tracer.communicate()


def _all_traced(pid: int, tracer: int) -> bool:
    states = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return all(f"TracerPid:\t{tracer}\n" in state for state in states)


class Held(NamedTuple):
    """What a process holds of the machine."""

    files: int
    threads: int
    kilobytes: int


def held_by(pid: int) -> Held:
    status = Path(f"/proc/{pid}/status").read_text()
    numbers = dict(re.findall(r"^(\w+):\s+(\d+)", status, re.MULTILINE))
    return Held(len(os.listdir(f"/proc/{pid}/fd")), int(numbers["Threads"]), int(numbers["VmRSS"]))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if done.returncode:
        pytest.skip("a small file system may not be mounted here (root may)")
    try:
        yield folder
    finally:
        # At once for this name, and in fact once a server that a failed test leaves in it has ended.
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", folder], check=True, capture_output=True)


def killed_at_each_step(
    run: Callable[[], object], before: Callable[[], object] = lambda: None, every: int = 1
) -> Iterator[int]:
    """Runs it in a process of its own again and again, which is killed at its first, second... step, to the last one.

    A step is a call of the system or of SQLite that may change something; `every` leaves out those in between.
    """
    for step in itertools.count(1, every):
        before()
        if not _is_killed_at(step, run):
            return
        yield step


def _is_killed_at(step: int, run: Callable[[], object]) -> bool:
    if not (child := os.fork()):
        try:
            sys.setprofile(_Killer(step))
            run()
            sys.setprofile(None)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), "it failed by itself"
    return status == signal.SIGKILL


# What changes nothing: to be killed before it is to be killed before what follows.
_LOOKS = {"fspath", "_path_normpath", "lstat", "stat", "getpid", "fetchall", "fetchone"}


class _Killer:
    def __init__(self, step: int) -> None:
        self._left = step

    def __call__(self, frame: object, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ not in _LOOKS and _is_step(called):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _is_step(called: Any) -> bool:
    return called.__module__ == "posix" or isinstance(called.__self__, sqlite3.Connection | sqlite3.Cursor)
