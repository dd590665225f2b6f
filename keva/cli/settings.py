"""The options of the commands, in one table that the command line, the documentation and a test read."""

from pathlib import Path
from typing import Any, NamedTuple

import click


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


DB = Option("db", click.Path(dir_okay=False, path_type=Path), "keva.db", "The database file, made when there is none.")
SERVE_OPTIONS = (
    Option("host", str, "127.0.0.1", "The address to listen on."),
    Option("port", click.IntRange(0, 65535), 8080, "The port to listen on; 0 takes a free one."),
    Option("api-key", str, None, "A fixed API key of all scopes and workspaces: keva_live_ and any text."),
    Option("threads", click.IntRange(1, 256), 8, "Requests that are worked on at a time."),
    Option("rate-limit", click.IntRange(0), 0, "Requests a minute for each key; 0 for no limit."),
    Option("control", bool, False, "A desk for tests, with control endpoints; without --db a throw-away one."),
    Option("verbose", bool, False, "Log every request, not refusals and failures only."),
)
