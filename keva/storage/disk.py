"""What SQLite reports of the disk, in the desk's words."""

import sqlite3

from keva.errors import Unavailable

_NOTHING_STORED = "nothing was stored; reads go on"
# Primary result codes (sqlite.org/rescode.html), with the seconds after which a try may work.
_TOLD = {
    sqlite3.SQLITE_FULL: (f"The disk is full: {_NOTHING_STORED}. Make room and try again.", 10),
    sqlite3.SQLITE_IOERR: (f"The disk failed: {_NOTHING_STORED}. Try again.", 10),
    sqlite3.SQLITE_READONLY: (
        f"The database is read-only: {_NOTHING_STORED}. Make its file and folder writable.",
        None,
    ),
    sqlite3.SQLITE_BUSY: (f"Another program holds the database: {_NOTHING_STORED}. Try again.", 1),
    sqlite3.SQLITE_CORRUPT: ("The database file is damaged: run the check command, then restore a backup.", None),
    sqlite3.SQLITE_TOOBIG: ("This is too large for SQLite, which takes 1,000,000,000 bytes at once.", None),
    sqlite3.SQLITE_CANTOPEN: (
        "The database cannot be opened: its folder cannot be used, or no file descriptor is left. Try again.",
        10,
    ),
    sqlite3.SQLITE_INTERRUPT: ("The desk was closed meanwhile: nothing was read or stored. Start it again.", None),
    sqlite3.SQLITE_NOTADB: ("The database file is damaged: run the check command, then restore a backup.", None),
}
OTHERWISE = f"The database cannot be used now: {_NOTHING_STORED}. Try again."
_UNKNOWN = "The disk failed while writing: whether this was stored shows once Keva is started again; reads go on."
# The data may be anywhere between memory and disk: no later sync can vouch for it (reliability of fsync, LWN 752063).
_SYNC_FAILED = {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}


def unavailable(error: sqlite3.DatabaseError | MemoryError) -> Unavailable:
    """The refusal that tells a caller of `error`."""
    if isinstance(error, MemoryError):
        return Unavailable(f"Memory is short: {_NOTHING_STORED}. Try again.", 10)
    if sync_failed(error):
        return Unavailable(_UNKNOWN)
    sentence, retry_after = _TOLD.get(_code(error) & 0xFF, (OTHERWISE, 10))
    return Unavailable(sentence, retry_after)


def sync_failed(error: BaseException | None) -> bool:
    """True when nothing more may be written until a restart."""
    return isinstance(error, sqlite3.Error) and _code(error) in _SYNC_FAILED


def is_no_text(error: sqlite3.Error) -> bool:
    """True when what is stored as a text is not UTF-8: Python says so, and gives no code."""
    return not hasattr(error, "sqlite_errorcode") and "UTF-8" in str(error)


def _code(error: sqlite3.Error) -> int:
    if is_no_text(error):
        return sqlite3.SQLITE_CORRUPT
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
