"""The command `keva`: its overview, the default command, and how failures end."""

import json
import sys
from typing import Any

import click

from keva import __version__, log
from keva.api import openapi
from keva.api.endpoints import ENDPOINTS
from keva.cli import files, keys, serve
from keva.errors import KevaError


class _Commands(click.Group):
    """Runs `serve` when no command is named, and reports what goes wrong in one sentence."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KevaError as error:
            raise click.ClickException(error.sentence) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["--help"]})
@click.version_option(__version__, prog_name="keva", message="%(prog)s %(version)s")
def main() -> None:
    """Keva's Tickets API on your own machine. Without a command it serves."""


@main.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI 3.1 document."""
    click.echo(json.dumps(openapi.document(ENDPOINTS), ensure_ascii=False, indent=2))


for command in (*serve.COMMANDS, *keys.COMMANDS, *files.COMMANDS):
    main.add_command(command)


def run() -> None:
    """Runs the command line; a bug is told in one sentence too."""
    try:
        main(prog_name="keva")
    except OSError as error:  # such as a full disk under standard output
        sys.exit(f"Error: {error.strerror or error}.")
    except Exception as error:
        sys.exit(f"Error: Keva failed, which is a bug: {type(error).__name__}: {log.mask(str(error))}")
