"""Files put in place in one step or not at all."""

import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keva.log import LOG

if sys.platform != "win32":
    import fcntl

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def in_place_of(target: Path) -> Iterator[Path]:
    """An empty file of mode 0600 to fill, which is put at `target` once it is on disk, or removed by an exception.

    It is new, under a name that nobody can guess, so that nothing that waits there is followed or kept.
    """
    _remove_abandoned(target)
    partial, held = _create(target)
    try:
        yield partial
        sync(partial)
        partial.replace(target)
        sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)
        os.close(held)


def sync(path: Path) -> None:
    """Has the file, or the folder's list of names, on disk before it returns."""
    if os.name == "nt" and path.is_dir():  # Windows keeps the list of names itself
        return
    opened = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _create(target: Path) -> tuple[Path, int]:
    """The file, and a descriptor whose lock tells other commands that somebody is filling it."""
    while True:
        partial = target.with_name(f"{target.name}.{secrets.token_hex(16)}.partial")
        held = os.open(partial, _NEW, 0o600)
        if sys.platform == "win32":  # where an open file can be neither renamed nor removed
            os.close(held)
            return partial, os.open(os.devnull, os.O_RDONLY)
        if _lock(held) and partial.exists():  # otherwise another command took it for abandoned before it was locked
            return partial, held
        os.close(held)


def _remove_abandoned(target: Path) -> None:
    """Removes what commands that were killed have left of this target: nobody holds its lock any more."""
    name = re.compile(re.escape(target.name) + r"\.[0-9a-f]{32}\.partial")
    for path in target.parent.iterdir():
        if name.fullmatch(path.name) and path.is_file() and not path.is_symlink() and _is_abandoned(path):
            with suppress(OSError):  # another command removes it, or still writes to it on Windows
                path.unlink()
                path.with_name(path.name + "-journal").unlink(missing_ok=True)
                LOG.warning("%s was left by a command that was killed, and is removed.", path)


def _is_abandoned(path: Path) -> bool:
    try:
        opened = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # gone meanwhile, or another user's
        return False
    try:
        return _lock(opened)
    finally:
        os.close(opened)


def _lock(opened: int) -> bool:
    """True unless another process holds it; it is let go when the file is closed, as by the end of the process."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
