"""Failures on demand: which calls they meet, and what they do to them."""

import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from keva import errors

_METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
DROPS = ("reset", "close", "partial")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\xa0-\xff]*")
_OF_THE_CONNECTION = {"connection", "content-length", "keep-alive", "te", "trailers", "transfer-encoding", "upgrade"}
_ASKED_FOR = "This failure was asked for by the test."


class Calls:
    """Which calls are meant: by method, by path (`*` is any text without a slash); Invalid for none there can be."""

    def __init__(self, routes: Iterable[str], method: str | None, path: str | None) -> None:
        if method is not None and method.upper() not in _METHODS:
            raise errors.Invalid(f"{method!r} is not a method: it is one of {', '.join(_METHODS)}.")
        if path is not None and not any(_may_meet(path, route) for route in routes):
            raise errors.Invalid(f"No call has a path like {path!r}: give one whole, such as /api/v1/tickets/*.")
        self.method = method and method.upper()
        self.path = path
        self._pattern = path and re.compile("[^/]*".join(map(re.escape, path.split("*"))))

    def __call__(self, method: str, path: str) -> bool:
        return (not self.method or method == self.method) and (not self._pattern or bool(self._pattern.fullmatch(path)))


@dataclass(frozen=True)
class Failing:
    """Answers this instead."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"fail with {self.status}"


@dataclass(frozen=True)
class Delay:
    """Holds the call."""

    seconds: float

    def __str__(self) -> str:
        return f"delay by {self.seconds} s"


@dataclass(frozen=True)
class Drop:
    """Cuts the connection: a reset, a clean close, or in the middle of the answer."""

    how: str

    def __str__(self) -> str:
        return f"drop: {self.how}"


def failing(status: int, body: Any, headers: Mapping[str, str] | None) -> Failing:
    """`body` is text as it is, bytes as they are, None for the one shape, and JSON of anything else."""
    if not isinstance(status, int) or not 200 <= status <= 599 or status in (204, 304):
        raise errors.Invalid(f"A failure is answered with a status from 200 to 599 that has a body, not {status!r}.")
    kind = "application/json"
    if body is None:
        data = errors.body(_ASKED_FOR)
    elif isinstance(body, bytes | str):
        data, kind = body if isinstance(body, bytes) else body.encode(), "text/html; charset=utf-8"
    else:
        data = json.dumps(body, ensure_ascii=False).encode()
    given = {"Content-Type": kind, "Content-Length": str(len(data))}
    for name, value in (headers or {}).items():
        if not _HEADER.fullmatch(f"{name}: {value}"):
            raise errors.Invalid(f"{name!r} and {value!r} are no header: names and values are plain text on one line.")
        if name.lower() in _OF_THE_CONNECTION:
            raise errors.Invalid(f"{name!r} is for the server to say: leave it out.")
        given[name.title()] = str(value)
    return Failing(status, data, tuple(given.items()))


class Fault:
    """What is armed: `hits` counts the calls that it met."""

    def __init__(self, what: Failing | Delay | Drop, calls: Calls, times: int | None, skip: int, when: str) -> None:
        if when not in ("before", "after"):
            raise errors.Invalid(f"A fault strikes 'before' or 'after' the call takes effect, not {when!r}.")
        if (times is not None and times < 1) or skip < 0:
            raise errors.Invalid("A fault has times of 1 or more (None: until the reset), and skips 0 calls or more.")
        self.what, self.calls, self.times, self.skip, self.when = what, calls, times, skip, when
        self.hits = 0
        self._cancelled = False

    def cancel(self) -> None:
        """From now on it meets no call."""
        self._cancelled = True

    @property
    def spent(self) -> bool:
        return self._cancelled or (self.times is not None and self.hits >= self.times)

    def __repr__(self) -> str:
        calls = f"{self.calls.method or 'any method'} {self.calls.path or 'any path'}"
        left = "until the reset" if self.times is None else f"{self.hits} of {self.times} times"
        return f"<{self.what}, {self.when}, {calls}, {left}>"


class Faults:
    """Those that are armed, oldest first."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def arm(self, fault: Fault) -> Fault:
        with self._lock:
            self._armed.append(fault)
        return fault

    def meeting(self, method: str, path: str) -> Fault | None:
        """The oldest one that this call meets, which is counted; those that it makes skip one are counted too."""
        with self._lock:
            for fault in self._armed:
                if fault.spent or not fault.calls(method, path):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.hits += 1
                return fault
        return None

    def all(self) -> list[Fault]:
        with self._lock:
            self._armed = [fault for fault in self._armed if not fault.spent]
            return list(self._armed)

    def clear(self) -> None:
        with self._lock:
            for fault in self._armed:
                fault.cancel()
            self._armed.clear()


def _may_meet(pattern: str, route: str) -> bool:
    """Whether some path of the route, `<...>` being any text without a slash, fits the pattern."""
    wanted, there = pattern.split("/"), route.split("/")
    return len(wanted) == len(there) and all(
        (name.startswith("<") and part) or re.fullmatch("[^/]*".join(map(re.escape, part.split("*"))), name)
        for part, name in zip(wanted, there, strict=True)
    )
