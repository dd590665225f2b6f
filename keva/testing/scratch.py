"""A folder for a desk's files, which is gone when the desk stops and when a signal ends its process."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from keva.files import real_files

# What ends a process without a word to Python, which would leave the folders: a cancelled run, a closed terminal.
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_folders: set[str] = set()
_owner = 0  # the process that made them: one that it forks inherits the handlers, and must not act on them


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, removed with all in it at the end of the block, or by SIGTERM or SIGHUP.

    A handler is set only from the main thread and where there is none; the process still ends by the signal.
    """
    global _owner
    _owner = os.getpid()
    with real_files():
        folder = tempfile.mkdtemp(prefix="keva-")
    _folders.add(folder)
    _handle_signals()
    try:
        yield Path(folder)
    finally:
        _folders.discard(folder)
        _leave_signals()
        with real_files():
            shutil.rmtree(folder, ignore_errors=True)


def _handle_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)


def _leave_signals() -> None:
    if not _folders and threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is _end:
                signal.signal(number, signal.SIG_DFL)


def _end(number: int, _: FrameType | None) -> None:
    if os.getpid() == _owner:
        for folder in list(_folders):
            shutil.rmtree(folder, ignore_errors=True)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _leave_in_child() -> None:
    """In a forked process a signal ends it as ever, at once."""
    _folders.clear()
    _leave_signals()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_in_child)
