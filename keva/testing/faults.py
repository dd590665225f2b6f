"""Faults that a test arms: which requests they meet, and what happens to those."""

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from keva import errors
from keva.log import mask
from keva.models import OMITTED, RequestModel
from keva.testing.journal import Request

Method = Literal["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"]
AnyCase = BeforeValidator(lambda method: method.upper() if isinstance(method, str) else method)
Drop = Literal["reset", "close", "partial"]
When = Literal["before", "after"]

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\xa0-\xff]*")
_OF_THE_CONNECTION = {"connection", "content-length", "keep-alive", "te", "trailers", "transfer-encoding", "upgrade"}
_SHOWN = 200  # characters of what cannot be taken
_ASKED_FOR = "This failure was asked for by the test."


def _has_body(status: int) -> int:
    if status in (204, 304):
        raise ValueError("must be a status that has a body")
    return status


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(f"{name}: {value}"):
            raise ValueError(
                f"has {name[:_SHOWN]!r}: {value[:_SHOWN]!r}, which is no header: write plain text on one line"
            )
        if name.lower() in _OF_THE_CONNECTION:
            raise ValueError(f"must not have {name!r}, which is for the server to say")
    return headers


class FaultSpec(RequestModel):
    """One of `status`, `delay` (in seconds) and `drop`, and which requests it meets."""

    status: Annotated[int, Field(ge=200, le=599), AfterValidator(_has_body)] = OMITTED
    body: Any = None
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = OMITTED
    delay: Annotated[float, Field(ge=0, le=3600)] = OMITTED
    drop: Drop = OMITTED
    method: Annotated[Method, AnyCase] = OMITTED
    path: str = OMITTED
    query: dict[str, str] = OMITTED
    request_headers: dict[str, str] = OMITTED
    times: Annotated[int, Field(ge=1)] | None = 1
    skip: Annotated[int, Field(ge=0)] = 0
    when: When = "before"

    @model_validator(mode="after")
    def _has_one_effect(self) -> "FaultSpec":
        if sum(effect is not None for effect in (self.status, self.delay, self.drop)) != 1:
            raise ValueError("a fault has one of status, delay and drop")
        return self

    @model_validator(mode="after")
    def _can_be_sent(self) -> "FaultSpec":
        try:
            self.content()
        except (TypeError, ValueError, RecursionError):
            raise ValueError("body must be text, bytes or what JSON can say") from None
        return self

    @property
    def effect(self) -> str:
        """What it does, in words."""
        if self.drop:
            return f"drop: {self.drop}"
        return f"fail with {self.status}" if self.delay is None else f"delay by {self.delay} s"

    def content(self) -> tuple[bytes, list[tuple[str, str]]]:
        """The body and the headers of the answer that is given instead.

        `body` is text as it is, bytes as they are, None for the one shape, and JSON of anything else.
        """
        kind = "application/json"
        if self.body is None:
            data = errors.body(_ASKED_FOR)
        elif isinstance(self.body, bytes | str):
            data, kind = self.body if isinstance(self.body, bytes) else self.body.encode(), "text/html; charset=utf-8"
        else:
            data = json.dumps(self.body, ensure_ascii=False, allow_nan=False).encode()
        headers = {"Content-Type": kind, "Content-Length": str(len(data))}
        headers |= {name.title(): value for name, value in (self.headers or {}).items()}
        return data, list(headers.items())


class RequestMatcher:
    """Which requests are meant: by method, by path (`*` is any text without a slash), by query and headers.

    Of the query and the headers each one named must be there with its value, in which `*` is any text; others may be
    there too. Raises Invalid for a method that there is not, and for a path that none of the `routes` can have.
    """

    def __init__(
        self,
        routes: Iterable[str],
        method: str | None,
        path: str | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if method is not None and str(method).upper() not in get_args(Method):
            raise errors.Invalid(f"{method!r} is not a method: it is one of {', '.join(get_args(Method))}.")
        if path is not None and not any(isinstance(path, str) and _may_match(path, route) for route in routes):
            raise errors.Invalid(
                f"No call has a path like {path!r:.{_SHOWN}}: give one whole, such as /api/v1/tickets/*."
            )
        self._method, self._path = method and method.upper(), path
        self._query, self._headers = query or {}, headers or {}

    def __call__(self, request: Request) -> bool:
        return (
            (not self._method or request.method == self._method)
            and (not self._path or _fits(request.path, self._path))
            and all(_has(request.queries, name, wanted) for name, wanted in self._query.items())
            and all(_has(request.headers.items(), name, wanted, str.lower) for name, wanted in self._headers.items())
        )


class Fault:
    """An armed fault; `hits` counts the requests that it met."""

    def __init__(self, spec: FaultSpec, matcher: RequestMatcher) -> None:
        self.spec, self._matcher = spec, matcher
        self.hits = self.skipped = 0
        self._cancelled = False

    def cancel(self) -> None:
        """From now on it meets no request."""
        self._cancelled = True

    @property
    def spent(self) -> bool:
        return self._cancelled or (self.spec.times is not None and self.hits >= self.spec.times)

    def meets(self, request: Request) -> bool:
        """True when it acts on this request, which is counted; so is one that it lets pass."""
        if self.spent or not self._matcher(request):
            return False
        if self.skipped < self.spec.skip:
            self.skipped += 1
            return False
        self.hits += 1
        return True

    def __repr__(self) -> str:
        spec = self.spec
        requests = f"{spec.method or 'any method'} {spec.path or 'any path'}{_also(spec)}"
        left = "until the reset" if spec.times is None else f"{self.hits} of {spec.times} times"
        return f"<{spec.effect}, {spec.when}, {requests}, {left}>"


def _also(spec: FaultSpec) -> str:
    """What else a request needs, in words."""
    told = [f" with {name}={value}" for name, value in (spec.query or {}).items()]
    return mask("".join(told + [f" with {name}: {value}" for name, value in (spec.request_headers or {}).items()]))


class Faults:
    """Those that are armed, oldest first."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def arm(self, fault: Fault) -> Fault:
        with self._lock:
            self._armed.append(fault)
        return fault

    def match(self, request: Request) -> Fault | None:
        """The oldest fault that meets this request."""
        with self._lock:
            self._forget_spent()
            return next((fault for fault in self._armed if fault.meets(request)), None)

    def all(self) -> list[Fault]:
        with self._lock:
            self._forget_spent()
            return list(self._armed)

    def clear(self) -> None:
        with self._lock:
            for fault in self._armed:
                fault.cancel()
            self._armed.clear()

    def _forget_spent(self) -> None:
        self._armed = [fault for fault in self._armed if not fault.spent]


def _has(pairs: Iterable[tuple[str, str]], name: str, wanted: str, plain: Callable[[str], str] = str) -> bool:
    return any(plain(given) == plain(name) and _part_fits(value, wanted) for given, value in pairs)


def _fits(path: str, pattern: str) -> bool:
    """Whether the path fits the pattern, in which `*` is any text without a slash."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(_part_fits, parts, wanted))


def _part_fits(part: str, wanted: str) -> bool:
    """Each text between two stars is looked for after the one before it: no way has to be tried twice."""
    first, *middle = wanted.split("*")
    if not middle:
        return part == wanted
    last = middle.pop()
    if len(part) < len(first) + len(last) or not (part.startswith(first) and part.endswith(last)):
        return False
    at, end = len(first), len(part) - len(last)
    for text in middle:
        found = part.find(text, at, end)
        if found < 0:
            return False
        at = found + len(text)
    return True


def _may_match(path: str, route: str) -> bool:
    """Whether some path of the route, `<...>` being any text without a slash, fits the pattern."""
    wanted, there = path.split("/"), route.split("/")
    return len(wanted) == len(there) and all(
        bool(part) if name.startswith("<") else _part_fits(name, part) for part, name in zip(wanted, there, strict=True)
    )
