"""The commands."""

import json
import sys
from typing import Any

import click

from keva import __version__, api, log, openapi
from keva.cli import files, keys
from keva.cli.common import takes
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


@main.command()
@takes(DB, *SERVING)
def serve(**settings: Any) -> None:
    """Serve the API (the default command)."""
    run_service(**settings)


@main.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI 3.1 document."""
    click.echo(json.dumps(openapi.document(api.CALLS), ensure_ascii=False, indent=2))


for command in (*keys.COMMANDS, *files.COMMANDS):
    main.add_command(command)


def run() -> None:
    """The command `keva`; a bug is told in one sentence too."""
    try:
        main(prog_name="keva")
    except Exception as error:
        sys.exit(f"Error: Keva failed, which is a bug: {type(error).__name__}: {log.mask(str(error))}")
