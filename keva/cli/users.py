"""The commands for the people who work in the inbox, which a running server heeds at its next request."""

from pathlib import Path

import click

from keva import people
from keva.cli import streams
from keva.cli.common import one_line, open_database, show_table, takes, undone_unless_shown
from keva.cli.settings import DB_THERE, SITE
from keva.clocks import machine_time
from keva.inbox.site import Site
from keva.people import User
from keva.storage.transaction import Transaction
from keva.validation import validate

_HERE = "http://127.0.0.1:8080"


@click.group("users")
def user_group() -> None:
    """Make, invite, list and disable users of the inbox."""


@user_group.command("create")
@takes(DB_THERE, SITE)
@click.option("--name", required=True, callback=one_line, help="As customers see it under an answer.")
@click.option("--email", required=True, help="Theirs alone, whatever its case.")
@click.option("--workspace", metavar="ID", help="The one workspace they reach; all without this.")
def create_user(db: Path, site: str | None, name: str, email: str, workspace: str | None) -> None:
    """Make a user, and show the link that signs them in once, within 7 days."""
    new = validate(people.NewUser, {"name": name, "email": email})
    origin = _origin(site)
    with open_database(db) as database, database.write() as tx:
        user = people.create(tx, new, workspace)
        with undone_unless_shown("user"):
            streams.show(f"{user.id}  {_invitation(tx, user, origin)}")


@user_group.command("invite")
@takes(DB_THERE, SITE)
@click.argument("user_id", metavar="ID")
def invite_user(db: Path, site: str | None, user_id: str) -> None:
    """Show a new link for the user with that id, who may choose another password with it."""
    origin = _origin(site)
    with open_database(db) as database, database.write() as tx:
        user = people.by_id(tx, user_id)
        with undone_unless_shown("link"):
            streams.show(f"{user.id}  {_invitation(tx, user, origin)}")


@user_group.command("list")
@takes(DB_THERE)
def list_users(db: Path) -> None:
    """List the users, oldest first."""
    with open_database(db) as database, database.read() as reader:
        rows = people.list_all(reader)
    show_table(["id", "name", "email", "workspace_id", "has_password", "created_at", "disabled_at"], rows)


@user_group.command("disable")
@takes(DB_THERE)
@click.argument("user_id", metavar="ID")
def disable_user(db: Path, user_id: str) -> None:
    """Disable the user with that id.

    Their sessions and links end at once; what they wrote stays.
    """
    with open_database(db) as database, database.write() as tx:
        people.disable(tx, user_id)
    streams.confirm(f"Disabled {user_id}.")


def _origin(site: str | None) -> str:
    return Site("", site).url or _HERE


def _invitation(tx: Transaction, user: User, origin: str) -> str:
    token = people.make_link(tx, user, people.INVITATION_SECONDS, asks_password=True, now=machine_time())
    return f"{origin}/inbox/sign-in/{token}"


COMMANDS = (user_group,)
