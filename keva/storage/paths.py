"""The files beside a database, and their names."""

import glob
import os
import re
import time
from pathlib import Path

LOCK = "-lock"  # held by the process whose turn it is to write
SERVING = "-serving"  # held by the server of the file
WAL, SHM = "-wal", "-shm"  # SQLite's own

_COPY = re.compile(r"\.[a-z0-9-]+-\d{8}T\d{6}Z(?:-\d+)?(?:-wal)?$")


def beside(path: Path, ending: str) -> Path:
    """The file with that ending beside the database at `path`."""
    return path.with_name(path.name + ending)


def free_name(path: Path, label: str) -> Path:
    """A path beside `path` that does not exist yet: its name, the label, the time, and a number if need be."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}.{label}-{stamp}{count}") for count in ("", *(f"-{n}" for n in range(2, 100))))
    return next(name for name in names if not os.path.lexists(name))


def copies_of(path: Path) -> list[Path]:
    """The files beside `path` that `free_name` gave a name."""
    return sorted(other for other in path.parent.glob(f"{glob.escape(path.name)}.*") if _COPY.search(other.name))
