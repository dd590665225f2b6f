"""The commands."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from keva import __version__, api, log, openapi
from keva import serve as running
from keva.cli import files, keys
from keva.cli.common import takes
from keva.errors import Refused
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
@click.pass_context
def serve(context: click.Context, /, control: bool, db: Path, threads: int, **settings: Any) -> None:
    """Serve the API (the default command)."""
    if control:
        given = context.get_parameter_source("db") is not ParameterSource.DEFAULT
        running.serve_for_tests(db if given else None, **settings)
    else:
        running.serve(db, threads=threads, **settings)


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
    except OSError as error:  # such as a full disk under standard output
        sys.exit(f"Error: {error.strerror or error}.")
    except Exception as error:
        sys.exit(f"Error: Keva failed, which is a bug: {type(error).__name__}: {log.mask(str(error))}")
