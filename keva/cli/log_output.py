"""The log on standard error, written by a thread of its own: whoever logs never waits for whoever reads."""

import logging
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from keva import log

WAITING_BYTES = 1024 * 1024  # of lines that are not written yet, some ten thousand
END_SECONDS = 1.0  # what the thread gets at the end to write what waits
_AT_ONCE = 4096  # bytes in one write: up to there a pipe does not mix lines with those of other processes
_PAUSE_SECONDS = 0.01  # between two writes: to wake the thread for each line would cost a fifth of all calls
_LOST = "%d lines of the log are missing here: standard error could not be written in time."


@contextmanager
def to_stderr(verbose: bool) -> Iterator[None]:
    """Sends this service's log, waitress's complaints and what ends a thread to standard error, while in the block."""
    handler = StderrHandler(sys.stderr.fileno(), sys.stderr.encoding) if sys.stderr else logging.NullHandler()
    handler.setFormatter(log.Lines())
    loggers = [log.LOG, logging.getLogger("waitress")]
    for logger in loggers:
        logger.addHandler(handler)
    log.LOG.setLevel(logging.INFO if verbose else logging.WARNING)
    # It warns of every request that waits for a thread, which at load costs more than the request.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    threading.excepthook = _log_end_of_thread
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        if isinstance(handler, StderrHandler):
            handler.drain(END_SECONDS)


class StderrHandler(logging.Handler):
    """Hands lines to a thread that writes them, and counts those that it has no room for.

    The thread may block for ever, as on a pipe that nobody reads: nobody waits for it, but for a moment at the end.
    """

    def __init__(self, descriptor: int, encoding: str) -> None:
        super().__init__()
        self._descriptor, self._encoding = descriptor, encoding
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._waiting_bytes = self._lost = 0
        self._busy = False
        self._ending = threading.Event()
        threading.Thread(target=self._write_on, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        line = self._encoded(record)
        with self._changed:
            if self._waiting_bytes + len(line) > WAITING_BYTES:
                self._lost += 1
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._changed.notify_all()

    def drain(self, seconds: float) -> None:
        """Waits at most so long for all to be written."""
        self._ending.set()
        with self._changed:
            self._changed.wait_for(lambda: not (self._busy or self._waiting), seconds)

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                lines, self._waiting, self._waiting_bytes = self._waiting, [], 0
                lost, self._lost = self._lost, 0
                self._busy = True
            lost += sum(len(batch) for batch in _batches(lines) if not self._write(b"".join(batch)))
            if lost and not self._write(self._encoded(_told(lost))):
                with self._changed:
                    self._lost += lost  # told with the next line
            self._ending.wait(_PAUSE_SECONDS)

    def _write(self, data: bytes) -> bool:
        """True once all of it is written."""
        try:
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except BlockingIOError:  # whoever shares this pipe with us has made it so
                    select.select([], [self._descriptor], [])
        except OSError:  # nobody will read it, or the disk is full
            return False
        return True

    def _encoded(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode(self._encoding, "backslashreplace")


def _batches(lines: list[bytes]) -> Iterator[list[bytes]]:
    """The lines in their order, as many at a time as go in one write."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and size + len(line) > _AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    yield batch


def _told(lost: int) -> logging.LogRecord:
    return logging.LogRecord(log.LOG.name, logging.WARNING, "", 0, _LOST, (lost,), None)


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        name = ended.thread.name if ended.thread else "?"
        log.LOG.error("The thread %s ended", name, exc_info=ended.exc_value)
