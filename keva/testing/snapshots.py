"""A state of a desk for tests, to which it can go back."""

from collections.abc import Mapping
from dataclasses import dataclass

from keva.testing.clock import Setting
from keva.testing.webhooks import Receiver


@dataclass(frozen=True)
class Snapshot:
    """What a desk holds, the next ids, how its clock is set, and the functions of its webhooks.

    It fits any desk. Faults and the journal belong to one test, and to no state.
    """

    image: bytes  # of the database
    ids: Mapping[str, int]
    clock: Setting
    receivers: Mapping[str, Receiver]

    def __repr__(self) -> str:
        return f"<Snapshot of {len(self.image)} bytes>"
