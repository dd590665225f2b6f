"""The commands for keys and workspaces, which a running server heeds at its next request."""

from pathlib import Path

import click

from keva import identity, workspaces
from keva.cli import streams
from keva.cli.common import one_line, open_database, show_table, takes, undone_unless_shown
from keva.cli.settings import DB_THERE


@click.group("keys")
def key_group() -> None:
    """Make, list and revoke API keys."""


@key_group.command("create")
@takes(DB_THERE)
@click.option("--name", default="unnamed", show_default=True, callback=one_line, help="What the key is for.")
@click.option("--workspace", metavar="ID", help="The one workspace it reaches; all without this.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(identity.SCOPES), help="May be repeated; both without this."
)
def create_key(db: Path, name: str, workspace: str | None, scopes: tuple[str, ...]) -> None:
    """Make a key, and show it this once."""
    with open_database(db) as database, database.write() as tx:
        made = identity.create_key(tx, name, scopes or identity.SCOPES, workspace)
        with undone_unless_shown("key"):
            streams.show(f"{made['id']}  {made['key']}")


@key_group.command("list")
@takes(DB_THERE)
def list_keys(db: Path) -> None:
    """List the keys, without their texts."""
    with open_database(db) as database, database.read() as reader:
        rows = identity.list_keys(reader)
    show_table(["id", "name", "last_four", "scopes", "workspace_id", "created_at", "last_used_at", "revoked_at"], rows)


@key_group.command("revoke")
@takes(DB_THERE)
@click.argument("key_id", metavar="ID")
def revoke_key(db: Path, key_id: str) -> None:
    """Revoke the key with that id."""
    with open_database(db) as database, database.write() as tx:
        identity.revoke_key(tx, key_id)
    streams.confirm(f"Revoked {key_id}.")


@click.group("workspaces")
def workspace_group() -> None:
    """Make and list workspaces, which keep tickets apart."""


@workspace_group.command("create")
@takes(DB_THERE)
@click.option("--name", required=True, callback=one_line, help="What the workspace is for.")
def create_workspace(db: Path, name: str) -> None:
    """Make a workspace."""
    with open_database(db) as database, database.write() as tx:
        made = workspaces.create(tx, name)
        with undone_unless_shown("workspace"):
            streams.show(f"{made['id']}  {made['name']}")


@workspace_group.command("list")
@takes(DB_THERE)
def list_workspaces(db: Path) -> None:
    """List the workspaces.

    Tickets go to the first unless another is picked.
    """
    with open_database(db) as database, database.read() as reader:
        rows = workspaces.list_all(reader)
    show_table(["id", "name", "created_at"], rows)


COMMANDS = (key_group, workspace_group)
