"""Calls to another Keva's API: no faster than its limit, tried again where that helps, each answer checked."""

import http.client
import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from pydantic import BaseModel

from keva import __version__, clocks
from keva.errors import Invalid, KevaError
from keva.models import AllMessages, TicketPage
from keva.remote.differences import Differences
from keva.webhooks.addresses import shown
from keva.webhooks.failures import in_words
from keva.webhooks.schedule import seconds_asked_for

API = "/api/v1"
_SECONDS = 30.0  # for each operation on the connection
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds before each further try
_WINDOW = 60.0  # seconds that a limit's window lasts at most: a clock that is wrong must not make it longer
_LONGEST_ASKED_FOR = 3600.0
_SHOWN_OF_AN_ANSWER = 200  # characters
_KEY = re.compile(r"[!-~]+")
_NEVER_PASSES = {400, 401, 403, 404, 405, 413, 415, 422}

_PAGE = 100

Record = dict[str, Any]
Find = Callable[[], Record | None]


class RemoteFailed(KevaError):
    """The other Keva cannot be asked, or does not do what it should."""


class Refused(RemoteFailed):
    """It will not do this, however often it is asked."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class _Answer:
    """What came of one try; `status` is None where no answer came."""

    status: int | None
    told: str
    body: bytes = b""
    headers: Message = field(default_factory=Message)


class Remote:
    """The Keva at `url`, for one thread; `now` gives epoch seconds."""

    def __init__(
        self,
        url: str,
        key: str,
        now: Callable[[], float] = clocks.machine_time,
        sleep: Callable[[float], object] = clocks.sleep,
    ) -> None:
        self.url = _origin(url)
        self.differences = Differences()
        self.limit: int | None = None  # requests a minute, once it told so
        if not _KEY.fullmatch(key):
            raise Invalid("The API key holds a blank or a character that no key has: copy it once more.")
        self._headers = {"Authorization": f"Bearer {key}", "User-Agent": f"Keva/{__version__}"}
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._now, self._sleep = now, sleep
        self._reached = False
        self._not_before = 0.0  # when the limit lets the next call in

    def call(self, method: str, path: str, model: type[BaseModel], sent: Record, find: Find | None = None) -> Any:
        """The `data` of the answer, or what `find` finds.

        Refused, or RemoteFailed once it has been tried for about a minute. A call that must not be made twice has a
        `find`: where a try failed, which may have done its work all the same, it gives what that made, or None.
        """
        return self._whole(method, path, model, sent, find)["data"]

    def messages(self, ticket: str) -> list[Record]:
        path = f"/tickets/{ticket}/messages"
        return _listed(path, self._whole("GET", path, AllMessages)["data"])

    def tickets(self) -> Iterator[Record]:
        """All of them, newest first, page by page.

        One that is made meanwhile moves the others on, so that some are met twice, and none is missed.
        """
        number, met, last = 0, 0, None
        while True:
            number += 1
            answer = self._whole("GET", f"/tickets?page={number}&per_page={_PAGE}", TicketPage)
            page = _listed("/tickets", answer["data"])
            for ticket in page:
                if last and str(ticket.get("createdAt")) > str(last.get("createdAt")):
                    self.differences.note("tickets are not listed newest first", f"GET {API}/tickets")
                yield ticket
                last = ticket
            met += len(page)
            if not page or met >= _total(answer, default=met + 1):
                return

    def _whole(
        self, method: str, path: str, model: type[BaseModel], sent: Any = None, find: Find | None = None
    ) -> dict[str, Any]:
        name = f"{method} {API}{path.partition('?')[0]}"
        pauses = iter(_PAUSES)
        while True:
            answer = self._try(method, path, sent)
            if answer.status in (200, 201):
                return self._read(name, model, answer)
            pause = next(pauses, None)
            self._give_up_if_hopeless(name, answer, last=pause is None)
            self._sleep(max(pause or 0.0, self._asked_for(name, answer)))
            if find and answer.status != 429 and (found := find()) is not None:
                return {"data": found}

    def _try(self, method: str, path: str, sent: Any) -> _Answer:
        self._sleep(max(0.0, self._not_before - self._now()))
        headers = dict(self._headers)
        data = None
        if sent is not None:
            data = json.dumps(sent, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + API + path, data, headers, method=method)
        answer = self._ask(request)
        self._reached = self._reached or answer.status is not None
        self._note_limit(answer.headers)
        return answer

    def _ask(self, request: urllib.request.Request) -> _Answer:
        try:
            try:
                response = self._opener.open(request, timeout=_SECONDS)
            except HTTPError as error:
                response = error
            with response:
                body = response.read()
        except http.client.IncompleteRead:
            return _Answer(None, "closed the connection in the middle of its answer")
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            reason = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
            return _Answer(None, in_words(reason, _SECONDS))
        return _Answer(response.status, _sentence(response.status, body), body, response.headers)

    def _note_limit(self, headers: Message) -> None:
        limit, left, reset = (headers.get(f"X-RateLimit-{name}", "") for name in ("Limit", "Remaining", "Reset"))
        if limit.isdecimal():
            self.limit = int(limit)
        if left == "0" and reset.isdecimal():
            self._not_before = min(float(reset), self._now() + _WINDOW)

    def _asked_for(self, name: str, answer: _Answer) -> float:
        """The seconds that it asks us to wait."""
        seconds = seconds_asked_for(answer.headers["Retry-After"], self._now())
        if seconds > _LONGEST_ASKED_FOR:
            raise RemoteFailed(f"{self.url} asks to wait for {seconds:,.0f} s before {name}: run this again then.")
        return seconds

    def _give_up_if_hopeless(self, name: str, answer: _Answer, last: bool) -> None:
        what = f"{self.url}: {name} {answer.told}"
        if answer.status is None:
            if not self._reached:
                raise RemoteFailed(f"{self.url}: {answer.told}.")
        elif answer.status in _NEVER_PASSES or 200 <= answer.status < 400:
            raise Refused(f"{what}{_HINTS.get(answer.status, '.')}", answer.status)
        if last:
            raise RemoteFailed(f"{what}, {len(_PAUSES) + 1} times. Nothing is lost: run this again later.")

    def _read(self, name: str, model: type[BaseModel], answer: _Answer) -> dict[str, Any]:
        try:
            value = json.loads(answer.body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or "data" not in value:
            raise RemoteFailed(f'{self.url}: {name} answered {answer.status} without "data" in JSON.')
        self.differences.check(name, model, value)
        return value


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """They would send the key to wherever they lead."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _origin(url: str) -> str:
    """What stands before /api/v1."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise Invalid(f"{shown(url)!r} is no address of a Keva: give one such as https://app.keva.support.")
    return url.rstrip("/").removesuffix(API).rstrip("/")


def id_of(made: Any) -> str:
    """The id of a ticket or a message; RemoteFailed where it has none."""
    if isinstance(made, dict) and isinstance(made.get("id"), str):
        return str(made["id"])
    raise RemoteFailed("The other Keva answered with a ticket or a message that has no id.")


def _listed(path: str, data: Any) -> list[Record]:
    if not isinstance(data, list):
        raise RemoteFailed(f"GET {API}{path} answered without a list: that is not Keva's Tickets API.")
    for made in data:
        id_of(made)
    return data


def _total(answer: dict[str, Any], default: int) -> int:
    pagination = answer.get("pagination")
    total = pagination.get("total") if isinstance(pagination, dict) else None
    return total if isinstance(total, int) else default


def _sentence(status: int, body: bytes) -> str:
    try:
        told = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        told = " ".join(body.decode("utf-8", "replace").split())
    return f"answered {status}" + (f", {str(told)[:_SHOWN_OF_AN_ANSWER].rstrip('.')!r}" if told else "")


_HINTS = {
    401: ". Put an API key of that Keva into KEVA_REMOTE_KEY.",
    403: ". Use a key with the scopes tickets:read and, for push, tickets:write.",
}
