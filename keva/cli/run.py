"""The command that runs another one, such as a test suite, beside a desk for tests of its own."""

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from keva.cli import streams
from keva.cli.common import takes, throw_away_folder
from keva.cli.log_output import to_stderr
from keva.cli.seeding import stored_from
from keva.cli.settings import SEED
from keva.cli.signals import Signals
from keva.log import LOG
from keva.testing.desk import DeskOptions
from keva.testing.proxies import environ_for
from keva.testing.service import ControlService

_NOT_FOUND, _NOT_RUNNABLE = 127, 126  # as shells have it


@click.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@takes(SEED)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run_command(context: click.Context, /, seed: Path | None, command: tuple[str, ...]) -> None:
    """Run COMMAND with a desk for tests, which ends with it.

    For instance: keva run -- npm test. COMMAND finds the desk by KEVA_BASE_URL and KEVA_API_KEY. Its exit status is
    handed on.
    """
    signals: Signals = context.obj
    with to_stderr(verbose=False), throw_away_folder(signals) as folder, _served(folder, seed) as service:
        LOG.setLevel(logging.ERROR)  # refusals are in the journal, and standard error is the command's
        status = _Child(command, os.environ | environ_for(service.url, service.key)).run(signals)
    context.exit(status)


@contextmanager
def _served(folder: Path, seed: Path | None) -> Iterator[ControlService]:
    """A desk that listens, and is served as long as the block lasts."""
    with stored_from(seed, folder) as store:
        service = ControlService(folder, DeskOptions(), seed=store)
    thread = threading.Thread(target=service.run, name="keva", daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join()


class _Child:
    """The command as a process, to which signals are passed on."""

    def __init__(self, command: tuple[str, ...], environ: dict[str, str]) -> None:
        self._command, self._environ = command, environ
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []  # signals that came while it was being started

    def run(self, signals: Signals) -> int:
        """Its exit status: 128 and the signal's number where one ended it."""
        signals.pass_on(self._pass_on)
        try:
            self._process = subprocess.Popen(self._command, env=self._environ)
        except OSError as error:
            missing = error.errno == errno.ENOENT
            streams.tell(
                f"Error: {self._command[0]} cannot be run: {'there is none such' if missing else error.strerror}."
            )
            return _NOT_FOUND if missing else _NOT_RUNNABLE
        for number in self._early:
            self._process.send_signal(number)
        status = self._process.wait()
        return status if status >= 0 else 128 - status

    def _pass_on(self, number: int) -> None:
        if number == signal.SIGINT and _in_foreground():
            return  # the terminal has sent it to the command too
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


def _in_foreground() -> bool:
    """Whether Ctrl+C on the terminal reaches this process and its children by itself."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is none
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


COMMANDS = (run_command,)
