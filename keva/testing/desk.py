"""A desk that a server offers for tests in any language: a sandbox with its control calls and its inbox."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keva.api.registry import Endpoint
from keva.clocks import elapsed
from keva.inbox.front import LINKS, InboxFront
from keva.inbox.site import Site
from keva.testing.sandbox import Sandbox
from keva.testing.snapshots import Snapshot


@dataclass(frozen=True)
class DeskOptions:
    """What the desks of one server have in common; without `pages` there is no inbox."""

    pages: Site | None = None
    rate_limit: int = 0
    verbose: bool = False


class Desk:
    """A WSGI application; one that begins at a snapshot has a file of its own made from it."""

    def __init__(
        self,
        path: Path,
        key: str | None,
        options: DeskOptions,
        more_endpoints: Iterable[Endpoint] = (),
        start: Snapshot | None = None,
    ) -> None:
        if start:
            _make_file(path, start.image)
        links = LINKS if options.pages else None
        self.sandbox = Sandbox(
            path,
            key,
            options.rate_limit,
            options.verbose,
            control=True,
            more_endpoints=more_endpoints,
            more_links=links,
            start=start,
        )
        self.middleware, self.database = self.sandbox.middleware, self.sandbox.database
        self._app = (
            InboxFront(self.middleware, self.database, options.pages, options.verbose, self.middleware.journal)
            if options.pages
            else self.middleware
        )
        self._using = threading.Lock()
        self._inside = 0
        self.last_used = elapsed()

    @property
    def is_used(self) -> bool:
        """Whether a call is under way."""
        return self._inside > 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._used():
            return self._app(environ, start_response)

    def stop_soon(self) -> None:
        """Lets go of what is held, for the server to stop; for signal handlers."""
        self.sandbox.dispatcher.stop_soon()
        self.middleware.close()

    def close(self) -> None:
        """Once nobody calls it any more."""
        self.sandbox.dispatcher.close()
        self.database.close()

    @contextmanager
    def _used(self) -> Iterator[None]:
        with self._using:
            self._inside += 1
        try:
            yield
        finally:
            with self._using:
                self._inside -= 1
                self.last_used = elapsed()


def _make_file(path: Path, image: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(image)
