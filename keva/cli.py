"""The commands."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from keva import __version__, api, identity, log, openapi, workspaces
from keva.db import Desk
from keva.errors import Refused
from keva.serve import serve as run_service
from keva.settings import DB, SERVING


class _Commands(click.Group):
    """`serve` is what is meant when no command is named; what goes wrong is one sentence."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Refused as error:
            raise click.ClickException(error.sentence) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["--help"]})
@click.version_option(__version__, prog_name="keva", message="%(prog)s %(version)s")
def main() -> None:
    """Keva's Tickets API on your own machine. Without a command it serves."""


def _with(*settings: Any) -> Callable[[Any], Any]:
    def add(command: Any) -> Any:
        for setting in reversed(settings):
            command = setting.option()(command)
        return command

    return add


@contextmanager
def _desk(db: Path) -> Iterator[Desk]:
    desk = Desk(db, identity.mint)
    try:
        yield desk
    finally:
        desk.close()


@main.command()
@_with(DB, *SERVING)
def serve(**settings: Any) -> None:
    """Serve the API (the default command)."""
    run_service(**settings)


@main.group()
def keys() -> None:
    """API keys; a running server heeds each change at its next request."""


@keys.command("create")
@_with(DB)
@click.option("--name", default="unnamed", show_default=True, help="What the key is for.")
@click.option("--workspace", metavar="ID", help="The one workspace it reaches; all without this.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(identity.SCOPES), help="May be repeated; both without this."
)
def create_key(db: Path, name: str, workspace: str | None, scopes: tuple[str, ...]) -> None:
    """Make a key, and show it this once."""
    with _desk(db) as desk, desk.write() as tx:
        made = identity.create_key(tx, name, scopes or identity.SCOPES, workspace)
    click.echo(f"{made['id']}  {made['key']}")


@keys.command("list")
@_with(DB)
def list_keys(db: Path) -> None:
    """List the keys, without their texts."""
    with _desk(db) as desk:
        rows = identity.list_keys(desk.read())
    _table(["id", "name", "last_four", "scopes", "workspace_id", "created_at", "last_used_at", "revoked_at"], rows)


@keys.command("revoke")
@_with(DB)
@click.argument("id")
def revoke_key(db: Path, id: str) -> None:
    """Revoke the key with that id."""
    with _desk(db) as desk, desk.write() as tx:
        identity.revoke_key(tx, id)
    click.echo(f"Revoked {id}.")


@main.group("workspaces")
def workspace_group() -> None:
    """Workspaces, which keep tickets apart."""


@workspace_group.command("create")
@_with(DB)
@click.option("--name", required=True, help="What the workspace is for.")
def create_workspace(db: Path, name: str) -> None:
    """Make a workspace."""
    with _desk(db) as desk, desk.write() as tx:
        made = workspaces.create(tx, name)
    click.echo(f"{made['id']}  {made['name']}")


@workspace_group.command("list")
@_with(DB)
def list_workspaces(db: Path) -> None:
    """List the workspaces; tickets go to the first unless another is picked."""
    with _desk(db) as desk:
        rows = workspaces.list_all(desk.read())
    _table(["id", "name", "created_at"], rows)


@main.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI 3.1 document."""
    click.echo(json.dumps(openapi.document(api.CALLS), ensure_ascii=False, indent=2))


def _table(columns: list[str], rows: list[dict[str, Any]]) -> None:
    cells = [columns, *([str(row[column] or "-") for column in columns] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def run() -> None:
    """The command `keva`; a bug is told in one sentence too."""
    try:
        main(prog_name="keva")
    except Exception as error:
        sys.exit(f"Error: Keva failed, which is a bug: {type(error).__name__}: {log.mask(str(error))}")
