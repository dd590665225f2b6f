"""The system's own files, where pyfakefs has put others in their place."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def are_faked() -> bool:
    return not isinstance(sys.modules["os"], ModuleType)


@contextmanager
def real_files() -> Iterator[None]:
    """Sets pyfakefs aside where it is at work: what is opened or imported meanwhile are the system's own files."""
    fake = sys.modules.get("pyfakefs.fake_filesystem_unittest")
    patcher = fake.Patcher.PATCHER if fake else None
    if patcher is None or not are_faked():
        yield
        return
    patcher.fs.pause()
    try:
        yield
    finally:
        patcher.fs.resume()
