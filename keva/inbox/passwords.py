"""Passwords: hashed and checked one at a time, as each takes 32 MB of memory, and as long for who does not exist."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.security import check_password_hash, generate_password_hash

from keva.errors import Invalid, Unavailable

SHORTEST, LONGEST = 10, 200  # characters
# Of a password that nobody has: what is checked where there is no user, or none with a password.
NOBODYS = (
    "scrypt:32768:8:1$C6b1Xo0mH7sZqPaE$"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000"
)

_turn = threading.Lock()
_places = threading.BoundedSemaphore(4)  # who waits for the turn holds a thread of the server


def check(stored: str | None, password: str) -> bool:
    """Whether it is the password whose hash is `stored`; takes as long for None."""
    with _one_at_a_time():
        right = check_password_hash(stored or NOBODYS, password if len(password) <= LONGEST else "")
    return right and stored is not None


def hash_of(password: str) -> str:
    """What is stored of a new password; Invalid for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"A password has {SHORTEST} to {LONGEST} characters: choose another one.")
    with _one_at_a_time():
        return generate_password_hash(password)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise Unavailable("Too many people are signing in at this moment: try again in a second.", retry_after=1)
    try:
        with _turn:
            yield
    finally:
        _places.release()
