"""The command `keva`: its overview, the default command, and how failures end."""

import json
import sys
from contextlib import suppress

import click
from click.exceptions import NoArgsIsHelpError

from keva import __version__
from keva.api import openapi
from keva.api.endpoints import ENDPOINTS
from keva.cli import erase, files, importing, keys, remote, serve, settings, streams, users, webhooks
from keva.cli import run as running
from keva.cli.signals import Signals, Stopped
from keva.errors import KevaError
from keva.log import readable

_HELP = ["-h", "--help"]


class _Commands(click.Group):
    """Runs `serve` when no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in (*_HELP, "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": _HELP})
@click.version_option(__version__, prog_name="keva", message="%(prog)s %(version)s")
def main() -> None:
    """Keva's Tickets API on your own machine. Without a command it serves."""
    for sentence in settings.unknown_variables():
        streams.tell(sentence)


@main.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI 3.1 document."""
    streams.show(json.dumps(openapi.document(ENDPOINTS), indent=2))


for command in (
    *serve.COMMANDS,
    *running.COMMANDS,
    *keys.COMMANDS,
    *users.COMMANDS,
    *webhooks.COMMANDS,
    *importing.COMMANDS,
    *erase.COMMANDS,
    *files.COMMANDS,
    *remote.COMMANDS,
):
    main.add_command(command)


def run() -> None:
    """Runs the command line to its end."""
    signals = Signals()
    streams.prepare()
    sys.exit(execute(sys.argv[1:], signals))


def execute(arguments: list[str], signals: Signals) -> int:
    """Runs one command and gives its exit status; whatever goes wrong is told in one sentence."""
    try:
        return int(main.main(arguments, prog_name="keva", obj=signals, standalone_mode=False) or 0)
    except (Exception, Stopped) as error:
        signals.let_go()  # standard error may take nothing, and what waits for it must be ended all the same
        return _report(error)


def _report(error: BaseException) -> int:
    """Tells of the error on standard error, and gives the exit status."""
    if isinstance(error, click.UsageError):
        if not isinstance(error, NoArgsIsHelpError):
            error = click.UsageError(readable(error.format_message()), error.ctx)
        with suppress(OSError):
            error.show()
        return error.exit_code
    if isinstance(error, BrokenPipeError):  # nobody reads any more, as in `export - | head`
        return 1
    streams.tell(f"Error: {_sentence(error)}")
    return 128 + error.number if isinstance(error, Stopped) else 1


def _sentence(error: BaseException) -> str:
    match error:
        case KevaError():
            return error.sentence
        case click.ClickException():
            return error.message
        case Stopped():
            return "Interrupted."
        case MemoryError():
            return "There is not enough memory."
        case OSError():
            return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror or error}."
    return f"Keva failed, which is a bug: {type(error).__name__}: {error}"
