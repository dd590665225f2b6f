"""What every page works with: the desk that it shows, and who looks at it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import current_app, g

from keva.inbox.attempts import Attempts
from keva.inbox.journal import Journal
from keva.inbox.site import Site
from keva.people import User
from keva.search.index import SearchIndex
from keva.storage.database import Database


@dataclass(frozen=True)
class Inbox:
    """The parts that an inbox is made of; `clock` gives the machine's time in epoch seconds."""

    database: Database
    site: Site
    clock: Callable[[], float]
    attempts: Attempts
    search: SearchIndex
    journal: Journal | None  # of a desk for tests


def inbox() -> Inbox:
    """The inbox that this request came to."""
    return cast(Inbox, current_app.extensions["keva"])


def database() -> Database:
    return inbox().database


def user() -> User:
    """Who is signed in, on every page that is not public."""
    return cast(User, g.user)


def signed_in() -> User | None:
    """Who is signed in, if anybody is, for public pages."""
    return cast(User | None, g.user)
