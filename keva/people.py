"""The people of the team: users, the links that sign them in, and their sessions."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict

from keva.errors import Invalid, NotFound
from keva.identity import SCOPES, Caller, is_id, seq_of_workspace
from keva.models import Email, Name, RequestModel
from keva.storage.transaction import Reader, Transaction

SESSION_SECONDS = 14 * 24 * 3600
INVITATION_SECONDS = 7 * 24 * 3600
FIRST_LINK_SECONDS = 3600
LINK_PREFIX = "signin_"


class NewUser(RequestModel):
    email: Email
    name: Name

    model_config = ConfigDict(defer_build=True)  # few processes make a user, and all load this


@dataclass(frozen=True, slots=True)
class User:
    """Somebody of the team; `workspace` is the seq of the one that they reach, None for all."""

    seq: int
    id: str
    email: str
    name: str
    workspace: int | None
    has_password: bool
    shortcuts: bool

    @property
    def caller(self) -> Caller:
        """Who is calling, for the verbs of the desk."""
        return Caller(self.id, SCOPES, self.workspace)


_USER = "users.seq, users.id, email, users.name, workspace, password_hash IS NOT NULL, shortcuts"


def create(tx: Transaction, new: NewUser, workspace_id: str | None = None) -> User:
    """Makes a user without a password; Invalid for an email that is taken, NotFound for no such workspace."""
    workspace = None if workspace_id is None else seq_of_workspace(tx, workspace_id)
    if find(tx, new.email):
        raise Invalid(f"There is a user of the email {new.email} already: 'users list' shows them.")
    return _user(
        tx.insert(
            "user",
            f"""
            INSERT INTO users (id, email, email_folded, name, workspace, created_at)
            VALUES (:id, :email, :folded, :name, :workspace, :now)
            ON CONFLICT (id) DO NOTHING
            RETURNING {_USER}
            """,
            {"email": new.email, "folded": fold(new.email), "name": new.name, "workspace": workspace, "now": tx.now},
        )
    )


def fold(email: str) -> str:
    """The form in which two emails are equal whatever their case."""
    return email.casefold()


def find(reader: Reader, email: str) -> User | None:
    row = reader.one(f"SELECT {_USER} FROM users WHERE email_folded = ?", (fold(email),))
    return _user(row) if row else None


def by_id(reader: Reader, user_id: str) -> User:
    """NotFound where there is none such, and for one that was disabled."""
    row = is_id(user_id, "user") and reader.one(
        f"SELECT {_USER} FROM users WHERE id = ? AND disabled_at IS NULL", (user_id,)
    )
    if not row:
        raise NotFound("There is no such user, or it is disabled: 'users list' shows them.")
    return _user(row)


def first(reader: Reader) -> User | None:
    """The file's first user, unless it is disabled."""
    row = reader.one(f"SELECT {_USER} FROM users WHERE seq = 1 AND disabled_at IS NULL")
    return _user(row) if row else None


def list_all(reader: Reader, caller: Caller | None = None) -> list[dict[str, Any]]:
    """Every user, oldest first; for a caller of one workspace, those who reach it."""
    names = ("id", "name", "email", "workspace_id", "has_password", "created_at", "disabled_at")
    rows = reader.all(
        """
        SELECT users.id, users.name, email, workspaces.id, iif(password_hash IS NULL, 'no', 'yes'),
               users.created_at, disabled_at
        FROM users LEFT JOIN workspaces ON workspaces.seq = users.workspace
        WHERE ?1 IS NULL OR workspace IS NULL OR workspace = ?1
        ORDER BY users.seq
        """,
        (caller and caller.workspace,),
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def colleagues(reader: Reader, caller: Caller) -> list[User]:
    """The users who are not disabled and reach what the caller reaches some of, by name."""
    rows = reader.all(
        f"""
        SELECT {_USER} FROM users
        WHERE disabled_at IS NULL AND (:workspace IS NULL OR workspace IS NULL OR workspace = :workspace)
        ORDER BY users.name, users.seq
        """,
        {"workspace": caller.workspace},
    )
    return [_user(row) for row in rows]


def disable(tx: Transaction, user_id: str) -> None:
    """From the next request on nobody is signed in as them; NotFound when there is no such user."""
    row = tx.one("UPDATE users SET disabled_at = ifnull(disabled_at, ?) WHERE id = ? RETURNING seq", (tx.now, user_id))
    if row is None:
        raise NotFound("There is no such user: 'users list' shows the ids.")
    _end_all(tx, row[0])


# Passwords


def with_password(reader: Reader, email: str) -> tuple[User, str] | None:
    """The user of that email with the hash of their password; None for nobody, without a password, disabled."""
    row = reader.one(
        f"""
        SELECT password_hash, {_USER} FROM users
        WHERE email_folded = ? AND password_hash IS NOT NULL AND disabled_at IS NULL
        """,
        (fold(email),),
    )
    return (_user(row[1:]), str(row[0])) if row else None


def set_password(tx: Transaction, user: User, password_hash: str) -> None:
    """Ends the user's sessions and links too: who knew the old password may have made them."""
    tx.all("UPDATE users SET password_hash = ? WHERE seq = ?", (password_hash, user.seq))
    _end_all(tx, user.seq)


def set_shortcuts(tx: Transaction, user: User, on: bool) -> None:
    """Switches the keys of the inbox on or off for this user."""
    tx.all("UPDATE users SET shortcuts = ? WHERE seq = ?", (int(on), user.seq))


# Links that sign in once, and sessions. Their times are the machine's, in epoch seconds, also on a desk whose own
# clock was stopped; their tokens are kept as digests.


@dataclass(frozen=True, slots=True)
class Link:
    user: User
    asks_password: bool


def make_link(tx: Transaction, user: User, seconds: int, asks_password: bool, now: float) -> str:
    """The token of a link that signs the user in once; those that are over are forgotten."""
    tx.all("DELETE FROM sign_in_links WHERE expires_at <= ?", (now,))
    token = LINK_PREFIX + secrets.token_urlsafe(32)
    tx.all(
        "INSERT INTO sign_in_links (digest, user, asks_password, expires_at) VALUES (?, ?, ?, ?)",
        (_digest(token), user.seq, int(asks_password), int(now) + seconds),
    )
    return token


def link(reader: Reader, token: str, now: float) -> Link:
    """What a link would do; NotFound for one that is used up, over or unknown."""
    row = reader.one(
        f"""
        SELECT asks_password, {_USER} FROM sign_in_links JOIN users ON users.seq = user
        WHERE digest = ? AND expires_at > ? AND disabled_at IS NULL
        """,
        (_digest(token), now),
    )
    if row is None:
        raise NotFound("This link was used already, or its time is over: ask for a new one.")
    return Link(_user(row[1:]), bool(row[0]))


def use_link(tx: Transaction, token: str, now: float) -> User:
    """The user whom the link signs in, this once; NotFound as for `link`."""
    user = link(tx, token, now).user
    tx.all("DELETE FROM sign_in_links WHERE digest = ?", (_digest(token),))
    return user


def start_session(tx: Transaction, user: User, now: float) -> str:
    """The token of a new session; those that are over are forgotten."""
    tx.all("DELETE FROM sessions WHERE expires_at <= ?", (now,))
    token = secrets.token_urlsafe(32)
    tx.all(
        "INSERT INTO sessions (digest, user, expires_at) VALUES (?, ?, ?)",
        (_digest(token), user.seq, int(now) + SESSION_SECONDS),
    )
    return token


def user_of_session(reader: Reader, token: str, now: float) -> User | None:
    row = reader.one(
        f"""
        SELECT {_USER} FROM sessions JOIN users ON users.seq = user
        WHERE digest = ? AND expires_at > ? AND disabled_at IS NULL
        """,
        (_digest(token), now),
    )
    return _user(row) if row else None


def end_session(tx: Transaction, token: str) -> None:
    tx.all("DELETE FROM sessions WHERE digest = ?", (_digest(token),))


def ways_in(reader: Reader) -> list[tuple[str, Any]]:
    """The first user's sessions and links, for `restore_ways_in` after a desk for tests was made as new."""
    found = [("sessions", row) for row in reader.all("SELECT * FROM sessions WHERE user = 1")]
    return found + [("sign_in_links", row) for row in reader.all("SELECT * FROM sign_in_links WHERE user = 1")]


def restore_ways_in(tx: Transaction, found: list[tuple[str, Any]]) -> None:
    for table, row in found:
        tx.all(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def _end_all(tx: Transaction, user: int) -> None:
    tx.all("DELETE FROM sessions WHERE user = ?", (user,))
    tx.all("DELETE FROM sign_in_links WHERE user = ?", (user,))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _user(row: Any) -> User:
    seq, user_id, email, name, workspace, has_password, shortcuts = row
    return User(seq, user_id, email, name, workspace, bool(has_password), bool(shortcuts))
