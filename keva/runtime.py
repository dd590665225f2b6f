"""Whether this Python can run Keva at all: read by those that cannot too, so in words that old ones know."""

import signal
import sys

try:
    import sqlite3
except ImportError:
    sqlite3 = None  # type: ignore[assignment]


def check():
    # type: () -> None
    """Ends the process in one sentence where Python is too old, or lacks the SQLite that other modules import."""
    if sys.version_info < (3, 11):  # noqa: UP036 - pip looks at it too, but `python app.py` needs no pip
        sys.exit("Error: Keva needs Python 3.11 or newer, and this is {}.{}: use another.".format(*sys.version_info))
    if sqlite3 is None:
        sys.exit("Error: This Python was built without SQLite, which Keva needs: use another.")


def end_quietly_on_interrupt():
    # type: () -> None
    """Has Ctrl+C end the process without a traceback while the other modules are still being imported."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
