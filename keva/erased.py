"""The ids of tickets and messages that were erased, kept as digests so that no import brings them back."""

import hashlib
from collections.abc import Iterable

from keva.storage.transaction import Reader, Transaction

ERASED = "was erased here, and is not used again"  # completes the sentence "tkt_... ..."


class ErasedIds:
    """Those that there were when it was made; none without a `reader`, as of a database that is not there yet."""

    def __init__(self, reader: Reader | None) -> None:
        self._digests = {row[0] for row in reader.all("SELECT digest FROM erased_ids")} if reader else set()

    def __contains__(self, an_id: str | None) -> bool:
        return bool(self._digests) and an_id is not None and _digest(an_id) in self._digests


def note(tx: Transaction, ids: Iterable[str]) -> None:
    for an_id in ids:
        tx.all("INSERT INTO erased_ids VALUES (?) ON CONFLICT DO NOTHING", (_digest(an_id),))


def _digest(an_id: str) -> bytes:
    return hashlib.sha256(an_id.encode()).digest()
