"""Ids and keys: minted, digested, checked; who is calling and what that caller may do."""

import hashlib
import hmac
import re
import secrets
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from keva.errors import Forbidden, Invalid, NoKey, NotFound
from keva.log import mask
from keva.storage.database import Database
from keva.storage.transaction import Reader, Transaction
from keva.times import timestamp

READ: Final = "tickets:read"
WRITE: Final = "tickets:write"
SCOPES = (READ, WRITE)
EVERYTHING = "everything"  # both scopes and all workspaces
KEY_PREFIX = "keva_live_"
FIXED_KEY = "fixed key"  # who did what the fixed key did, which has no id

_ALPHABET = (string.digits + string.ascii_lowercase).encode()
# Random bytes to characters: the top four of 256 are left out, so that each of the 36 is as likely as the others.
_CHARACTERS = bytes(_ALPHABET[byte % 36] for byte in range(256))
_LEFT_OUT = bytes(range(252, 256))
_ID = re.compile(r"[a-z]+_[0-9A-Za-z_-]{1,64}")
_BEARER = re.compile(r"bearer +(.+)", re.IGNORECASE | re.DOTALL)


def mint(prefix: str) -> str:
    """A new id: the prefix and 20 of [0-9a-z], over 100 random bits."""
    text = b""
    while len(text) < 20:
        text = secrets.token_bytes(32).translate(_CHARACTERS, _LEFT_OUT)
    return f"{prefix}_{text[:20].decode()}"


def mint_key() -> str:
    """The text of a new key."""
    return KEY_PREFIX + secrets.token_hex(32)


class Counted:
    """Mints ids that a test can know beforehand: tkt_000001, tkt_000002 and so on, for each prefix.

    Only one thread mints at a time: the one whose turn it is to write.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # how many there are of each prefix

    def __call__(self, prefix: str) -> str:
        self.counts[prefix] += 1
        return f"{prefix}_{self.counts[prefix]:06}"


def is_id(text: str, prefix: str) -> bool:
    return text.startswith(prefix + "_") and _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: a key's id (None for the fixed one), its scopes, the workspace it acts in (None: all)."""

    key: str | None
    scopes: tuple[str, ...]
    workspace: int | None
    name: str = ""  # of the key

    @property
    def actor(self) -> str:
        """Who does what this caller does, for the history."""
        return self.key or FIXED_KEY

    @property
    def shown(self) -> str:
        """Who it is, for the log."""
        return f"{self.key} ({self.name})" if self.key else FIXED_KEY

    def needs(self, scope: str) -> None:
        if scope == EVERYTHING:
            if self.scopes != SCOPES or self.workspace is not None:
                raise Forbidden("This takes an API key of both scopes and all workspaces.")
        elif scope not in self.scopes:
            raise Forbidden(f"This API key lacks the scope {scope}: use a key that has it.")

    def within(self, reader: Reader, workspace_id: str) -> "Caller":
        """The caller, acting in that workspace alone; NotFound when there is none such within reach."""
        row = reader.one("SELECT seq FROM workspaces WHERE id = ?", (workspace_id,))
        if row is None or self.workspace not in (None, row[0]):
            raise NotFound("There is no such workspace that this API key reaches.")
        return replace(self, workspace=row[0])


class Keyring:
    """Knows callers by their keys; a fixed key counts as long as the ring lives, and is never stored."""

    def __init__(self, fixed_key: str | None = None) -> None:
        self._fixed = digest(fixed_key.encode()) if fixed_key else None
        self._used: dict[str, float] = {}

    def authenticate(self, reader: Reader, authorization: str | None, clock: Callable[[], float]) -> Caller:
        """The caller whose key the Authorization header bears; NoKey without one that is known and not revoked."""
        bearer = _BEARER.fullmatch(authorization or "")
        if not bearer:
            raise NoKey("No API key: send the header 'Authorization: Bearer keva_live_...'.")
        key_digest = digest(bearer[1].encode("latin-1"))  # as WSGI gives a header's bytes
        if self._fixed and hmac.compare_digest(key_digest, self._fixed):
            return Caller(None, SCOPES, None)
        row = reader.one("SELECT id, scopes, workspace, name, revoked_at FROM keys WHERE digest = ?", (key_digest,))
        if row is None:
            raise NoKey("Invalid API key", f" (a key ending in {bearer[1][-4:]})" if len(bearer[1]) > 26 else "")
        key_id, scopes, workspace, name, revoked_at = row
        caller = Caller(key_id, tuple(scopes.split()), workspace, name)
        if revoked_at is not None:
            raise NoKey("Invalid API key", f" ({caller.shown} was revoked)")
        self._used[key_id] = clock()
        return caller

    def store_last_used(self, database: Database) -> None:
        """Stores when each key was last used, which stands in memory until then: a write a request would cost more."""
        used = self._used.copy()
        if used:
            with database.write() as tx:
                for key, moment in used.items():
                    tx.all("UPDATE keys SET last_used_at = ? WHERE id = ?", (timestamp(moment), key))
        for key, moment in used.items():
            if self._used[key] == moment:
                del self._used[key]


def digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def check_fixed_key(key: str) -> str:
    """The key, if it can be sent in a header and says what it is; else Invalid."""
    if not key.startswith(KEY_PREFIX) or key == KEY_PREFIX:
        raise Invalid(f"A fixed API key starts with {KEY_PREFIX} and goes on: give --api-key such a text.")
    if not key.isprintable() or key != key.strip():
        raise Invalid(
            "A fixed API key is sent in a header: give --api-key no line end, control character or outer space."
        )
    return key


def create_key(
    tx: Transaction, name: str, scopes: tuple[str, ...] = SCOPES, workspace_id: str | None = None
) -> dict[str, Any]:
    """Makes a key; its text, `key`, is told this once. NotFound for no such workspace, Invalid for no such scope."""
    if not scopes or not set(scopes) <= set(SCOPES):
        raise Invalid(f"A key has one or both of the scopes {READ} and {WRITE}.")
    workspace = None if workspace_id is None else seq_of_workspace(tx, workspace_id)
    key = mint_key()
    values = {
        "name": name,
        "digest": digest(key.encode()),
        "last_four": key[-4:],
        "scopes": " ".join(scope for scope in SCOPES if scope in scopes),
        "workspace": workspace,
        "now": tx.now,
    }
    row = tx.insert(
        "key",
        """
        INSERT INTO keys (id, name, digest, last_four, scopes, workspace, created_at)
        VALUES (:id, :name, :digest, :last_four, :scopes, :workspace, :now)
        ON CONFLICT (id) DO NOTHING
        RETURNING id
        """,
        values,
    )
    return {"key": key, "id": row[0]}


def seq_of_workspace(reader: Reader, workspace_id: str) -> int:
    """For whoever manages the desk; NotFound says what to give instead."""
    row = reader.one("SELECT seq FROM workspaces WHERE id = ?", (workspace_id,))
    if row is None:
        named = reader.all("SELECT id FROM workspaces WHERE name = ? ORDER BY seq LIMIT 2", (workspace_id,))
        if len(named) == 1:
            raise NotFound(f"{workspace_id} is the name of a workspace: give its id, {named[0][0]}.")
        raise NotFound(f"There is no workspace {mask(workspace_id)}: give an id that 'workspaces list' shows.")
    return int(row[0])


def list_keys(reader: Reader, caller: Caller | None = None) -> list[dict[str, Any]]:
    """Every key, oldest first, without its text; for a caller of one workspace, those of that workspace."""
    names = ("id", "name", "last_four", "scopes", "workspace_id", "created_at", "last_used_at", "revoked_at")
    rows = reader.all(
        """
        SELECT keys.id, keys.name, last_four, scopes, workspaces.id, keys.created_at, last_used_at, revoked_at
        FROM keys LEFT JOIN workspaces ON workspaces.seq = keys.workspace
        WHERE ?1 IS NULL OR keys.workspace = ?1
        ORDER BY keys.seq
        """,
        (caller and caller.workspace,),
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def revoke_key(tx: Transaction, key_id: str) -> None:
    """From the next request on it opens nothing; NotFound when there is no such key."""
    if not tx.all("UPDATE keys SET revoked_at = ifnull(revoked_at, ?) WHERE id = ? RETURNING id", (tx.now, key_id)):
        raise NotFound(f"There is no key {mask(key_id)}: 'keys list' shows the ids.")


def id_of_key(reader: Reader, key: str) -> str:
    """The id under which a key is kept, by its text; NotFound when it is not."""
    row = reader.one("SELECT id FROM keys WHERE digest = ?", (digest(key.encode()),))
    if row is None:
        raise NotFound("There is no such key.")
    return str(row[0])
