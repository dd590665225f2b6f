"""Commands in processes of their own, forked from one that has loaded them: loading takes half a second each time."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

ROOT = Path(__file__).parents[1]
APP = ROOT / "app.py"
DEVNULL, PIPE = subprocess.DEVNULL, subprocess.PIPE

# What a pytest that a test starts has no use for, and what takes two thirds of the time to start it.
LEFT_OUT = [option for name in ("cacheprovider", "schemathesis", "hypothesispytest") for option in ("-p", f"no:{name}")]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["keva.cli", "tests.commands"])


class Done(NamedTuple):
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


class Command:
    """`app.py` with these words, used like a `subprocess.Popen` of text; a stream is a file, PIPE or DEVNULL."""

    def __init__(
        self,
        *words: object,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        umask: int = -1,
        stdin: Any = DEVNULL,
        stdout: Any = DEVNULL,
        stderr: Any = DEVNULL,
    ) -> None:
        (their_in, self.stdin), (their_out, self.stdout), (their_err, self.stderr) = (
            _ends(stdin, "w"),
            _ends(stdout, "r"),
            _ends(stderr, "r"),
        )
        streams = (their_in, their_out, their_err)
        arguments = ([str(word) for word in words], environ() if env is None else dict(env), cwd, umask, streams)
        self._process = _FORKS.Process(target=_become, args=arguments, daemon=True)
        self._process.start()
        for stream in streams:
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self.close()
        self._process.join()

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        assert self.returncode is not None, "it goes on"
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Closes our ends of its pipes."""
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()


def run(*words: object, sent: str | None = None, timeout: float = 60, **options: Any) -> Done:
    """Runs a command to its end; `sent` is its standard input."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        stdin = DEVNULL if sent is None else PIPE
        command = Command(*words, stdin=stdin, stdout=out, stderr=err, **options)
        try:
            with suppress(BrokenPipeError):  # a command need not read all
                if sent is not None:
                    command.stdin.write(sent)
                command.close()
            status = command.wait(timeout)
        finally:
            command.kill()  # a server that should have been refused would run for ever
        return Done(status, _all_of(out), _all_of(err))


def environ(**ours: str) -> dict[str, str]:
    """This process's environment without its KEVA_ variables, which would be options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KEVA_")} | ours


def _ends(stream: Any, mode: str) -> tuple[Connection, IO[str] | None]:
    """Their end of a stream, and ours, of that mode, if it is a pipe."""
    if stream == DEVNULL:
        return Connection(os.open(os.devnull, os.O_RDWR)), None
    if stream != PIPE:
        return Connection(os.dup(stream if isinstance(stream, int) else stream.fileno())), None
    reads, writes = os.pipe()
    ours, theirs = (writes, reads) if mode == "w" else (reads, writes)
    return Connection(theirs), os.fdopen(ours, mode, encoding="utf-8")


def _all_of(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _become(
    words: list[str], env: dict[str, str], cwd: Path, umask: int, streams: tuple[Connection, Connection, Connection]
) -> None:
    """Makes the forked process what a new one is when it calls `run`."""
    from keva import cli

    gc.freeze()  # else its first collection looks at, and so copies, all that it was forked with
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    if umask >= 0:
        os.umask(umask)
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    sys.argv = [str(APP), *words]
    cli.run()
