"""Writes that share one commit, and what became of them."""

import threading
from typing import Literal

from keva.errors import Unavailable

Outcome = Unavailable | Literal["committed"]


class Batch:
    """Open until it is settled, once and for good: committed, or failed with what each of its writers is told.

    Who settles it, and whether it is committed or given up, is decided by `setdefault`: in one step, without a lock
    that an exception could leave locked.
    """

    def __init__(self) -> None:
        self._decision: dict[str, Outcome] = {}
        self._outcome: dict[str, Outcome] = {}
        self._ended = threading.Lock()  # unlocked at the end to wake those who wait; nothing else depends on it
        self._ended.acquire()

    @property
    def is_open(self) -> bool:
        return not self._outcome

    @property
    def is_committing(self) -> bool:
        return self._decision.get("is") == "committed"

    def begin_commit(self) -> None:
        """After this nobody can give it up; raises the failure with which it was given up before."""
        _raise_failure(self._decision.setdefault("is", "committed"))

    def give_up(self, failure: Unavailable) -> None:
        """Fails it, unless it is being committed."""
        if self._decision.setdefault("is", failure) is failure:
            self.settle(failure)

    def settle(self, outcome: Outcome) -> None:
        """What it was settled as before stays."""
        if self.is_open and self._outcome.setdefault("is", outcome) is outcome:
            self._ended.release()

    def wait(self, seconds: float) -> bool:
        """True once it is settled; False after so many seconds."""
        if self.is_open and self._ended.acquire(timeout=seconds):
            self._ended.release()  # wakes the next
        return not self.is_open

    def raise_failure(self) -> None:
        """Raises what each of its writers is told when it has failed."""
        _raise_failure(self._outcome["is"])


def _raise_failure(outcome: Outcome) -> None:
    if isinstance(outcome, Unavailable):
        raise Unavailable(outcome.sentence, outcome.retry_after) from outcome.__cause__
