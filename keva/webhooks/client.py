"""One delivery: a POST to a webhook's URL, over in bounded time, its answer read in bounded memory."""

import http.client
import time
from dataclasses import dataclass
from functools import partial

from keva import __version__
from keva.webhooks import failures, signing
from keva.webhooks.addresses import Address, take_apart
from keva.webhooks.schedule import seconds_asked_for
from keva.webhooks.sockets import Connection

SECONDS = 15.0  # for one try, once the name is known
_SHOWN = 200  # characters of it
# Verifiers compare it with their own clock: never the desk's, which a test may stop.
_machine_time = partial(time.time)


@dataclass(frozen=True)
class Answer:
    """What came back: `error` is None when it was delivered, `status` None when there was no answer."""

    status: int | None
    error: str | None
    text: str | None = None
    retry_after: float = 0.0  # the seconds that it asks for


class Cut(Exception):
    """The try was cut off from our side: it does not count."""


class Client:
    """Sends to one receiver, on a connection that is kept open between deliveries; for one thread, `cut` apart."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._address: Address | None = None
        self._connection: Connection | None = None
        self._is_cut = False

    def post(self, url: str, event_id: str, body: bytes, secrets: tuple[bytes, ...]) -> Answer:
        """One try, which never raises for what the receiver or the network does; Cut after `cut`."""
        try:
            response = self._ask(take_apart(url), signed(event_id, body, secrets), body)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self.close()
            if self._is_cut:
                raise Cut from None
            return Answer(None, failures.in_words(error, self._seconds))
        retry_after = seconds_asked_for(response.headers["Retry-After"], _machine_time())
        return Answer(response.status, failures.of_status(response.status), self._text_of(response), retry_after)

    def cut(self) -> None:
        """Ends a try under way, and whatever would begin; from any thread."""
        self._is_cut = True
        if connection := self._connection:
            connection.cut()

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _ask(self, address: Address, headers: dict[str, str], body: bytes) -> http.client.HTTPResponse:
        if address.authorization:
            headers["Authorization"] = address.authorization
        if self._connection and self._connection.is_open and self._address == address:
            try:
                self._connection.reuse(self._seconds)
                return _exchange(self._connection, address.target, headers, body)
            except ConnectionError:  # it was closed since the last delivery: a new one may do
                if self._is_cut:
                    raise
        return _exchange(self._open(address), address.target, headers, body)

    def _open(self, address: Address) -> Connection:
        self.close()
        self._address = address
        self._connection = connection = Connection(address.secure, address.host, address.port)
        if self._is_cut:
            raise ConnectionAbortedError
        connection.open(self._seconds)
        return connection

    def _text_of(self, response: http.client.HTTPResponse) -> str:
        """How the body begins. The head has decided: a body that fails, drips or is too long changes nothing."""
        data = b""
        try:
            while piece := response.read1():
                data += piece
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
        is_whole = response.isclosed() or response.length == 0
        response.close()
        if not is_whole:  # what follows is not read, so that the connection is of no more use
            self.close()
        return " ".join(data[: 4 * _SHOWN].decode("utf-8", "replace").split())[:_SHOWN]


def signed(event_id: str, body: bytes, secrets: tuple[bytes, ...]) -> dict[str, str]:
    """The headers of a try that begins now."""
    signature = signing.headers(event_id, int(_machine_time()), body, secrets)
    return {"Content-Type": "application/json", "User-Agent": f"Keva/{__version__}", **signature}


def _exchange(connection: Connection, target: str, headers: dict[str, str], body: bytes) -> http.client.HTTPResponse:
    connection.request("POST", target, body, headers)
    return connection.getresponse()
