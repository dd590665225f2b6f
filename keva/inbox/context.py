"""What every page works with: the desk that it shows, and who looks at it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import current_app, g

from keva.errors import NotFound
from keva.identity import Caller
from keva.inbox.attempts import Attempts
from keva.inbox.journal import Journal
from keva.inbox.site import Site
from keva.people import User
from keva.search.index import SearchIndex
from keva.storage.database import Database
from keva.storage.transaction import Reader


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


def caller_in(reader: Reader, workspace_id: str) -> Caller:
    """The user, in that workspace alone unless it is empty; NotFound where it is out of reach."""
    caller = user().caller
    try:
        return caller.within(reader, workspace_id) if workspace_id else caller
    except NotFound as error:  # whose sentence is for programs
        raise NotFound("There is no such workspace that you reach: go on from the list of tickets.") from error


def signed_in() -> User | None:
    """Who is signed in, if anybody is, for public pages."""
    return cast(User | None, g.user)
