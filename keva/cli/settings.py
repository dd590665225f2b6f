"""The options of the commands, in one table that the command line, the documentation and a test read."""

import os
import stat
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import click

from keva.storage.paths import SERVING


class FilePath(click.Path):
    """The path of a file, there or not: no folder, no device, and none that the system refuses."""

    def __init__(self, allow_dash: bool = False) -> None:
        super().__init__(dir_okay=False, allow_dash=allow_dash, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = os.fsdecode(value)
        if path != "-" or not self.allow_dash:
            trouble = _trouble(path)
            if trouble:
                self.fail(f"{path!r} {trouble}: name a file.", param, ctx)
        return super().convert(value, param, ctx)


def _trouble(path: str) -> str:
    """Why no file can be at that path; empty where one is, or can be."""
    try:
        with suppress(FileNotFoundError):
            os.stat(path + SERVING)  # there must be room for the names of the files beside it
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "is a folder's name" if path.endswith(os.sep) else "" if path else "is empty"
    except (OSError, ValueError) as error:
        return f"cannot be used ({getattr(error, 'strerror', error)})"
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "" if stat.S_ISREG(mode) else "is a device, a pipe or a socket"


class Option(NamedTuple):
    """An option of a command; its environment variable is KEVA_ and its name."""

    name: str
    kind: Any
    default: Any
    help: str

    @property
    def variable(self) -> str:
        return "KEVA_" + self.name.upper().replace("-", "_")

    def decorator(self) -> Any:
        """The decorator that gives a click command this option."""
        flag = self.kind is bool
        return click.option(
            f"--{self.name}",
            type=None if flag else self.kind,
            is_flag=flag,
            default=self.default,
            envvar=self.variable,
            show_envvar=True,
            show_default=self.default not in (None, False),
            help=self.help,
        )


DB = Option("db", FilePath(), "keva.db", "The database file, made when there is none.")
DB_THERE = DB._replace(help="The database file, which must be there.")
SITE = Option("site", str, None, "The address from outside: https://desk.example.com, or https://example.com/desk.")
SEED = Option("seed", FilePath(), None, "JSON lines of the tickets that a desk for tests starts with.")
SERVE_OPTIONS = (
    Option("host", str, "127.0.0.1", "The address to listen on."),
    Option("port", click.IntRange(0, 65535), 8080, "The port to listen on; 0 takes a free one."),
    Option("api-key", str, None, "A fixed API key of all scopes and workspaces: keva_live_ and any text."),
    Option("threads", click.IntRange(1, 256), 8, "Requests that are worked on at a time."),
    Option("rate-limit", click.IntRange(0), 0, "Requests a minute for each key; 0 for no limit."),
    SITE,
    Option("trusted-proxy", str, None, "The proxy whose X-Forwarded-For and -Proto are believed: its IP address."),
    Option("no-inbox", bool, False, "Serve the API alone, without the pages under /inbox."),
    Option("control", bool, False, "A desk for tests, with control endpoints; without --db a throw-away one."),
    SEED,
    Option("verbose", bool, False, "Log every request, not refusals and failures only."),
)

REMOTE_KEY = "KEVA_REMOTE_KEY"  # of another Keva: never an option, since everybody on the machine can see those
_OF_CLIENTS = ("KEVA_BASE_URL", REMOTE_KEY)  # the first is what keva.testing gives to a program under test


def unknown_variables() -> list[str]:
    """A sentence for each variable that begins with KEVA_ and is none of an option: it may be a mistyped one."""
    known = [*(option.variable for option in (DB, *SERVE_OPTIONS)), *_OF_CLIENTS]
    told = []
    for name in sorted(os.environ):
        if name.startswith("KEVA_") and name not in known:
            meant = get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f"did you mean {meant[0]}?" if meant else "'serve --help' lists those that there are."
            told.append(f"{name} is not a variable of Keva's, and changes nothing: {hint}")
    return told
