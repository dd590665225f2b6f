"""A lock between processes: a file beside the database that one of them holds at a time."""

import os
import sys
import time
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_POLL_SECONDS = 0.002


class FileLock:
    """Held from `acquire` to `release`, and let go by the system when the process dies; not for several threads.

    Its file stays when the lock is let go: removing it would let two processes hold two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)

    def acquire(self, patience: float = 0.0) -> bool:
        """True once it is held; False when another holds it for all of `patience` seconds."""
        for _ in range(round(patience / _POLL_SECONDS)):
            if self._try():
                return True
            time.sleep(_POLL_SECONDS)
        return self._try()

    @property
    def is_closed(self) -> bool:
        return self._file == -1

    def release(self) -> None:
        if self.is_closed:
            return
        if sys.platform == "win32":
            os.lseek(self._file, 0, os.SEEK_SET)
            msvcrt.locking(self._file, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """May be called again: by then the number may be another file's."""
        file, self._file = self._file, -1
        if file != -1:
            os.close(file)

    def _try(self) -> bool:
        try:
            if sys.platform == "win32":
                os.lseek(self._file, 0, os.SEEK_SET)
                msvcrt.locking(self._file, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # another process holds it
            return False
        return True
