"""The commands that bring tickets to another Keva and from it, through its API."""

import os
import tempfile
from contextlib import closing
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import click

from keva.cli import streams
from keva.cli.common import Progress, open_database, takes
from keva.cli.files import STANDARD_OUTPUT, export_into
from keva.cli.settings import DB_THERE, REMOTE_KEY, FilePath
from keva.errors import Invalid
from keva.remote.client import Remote, RemoteFailed
from keva.remote.mapping import Mapping
from keva.remote.pull import pull
from keva.remote.push import Plan, Push, read
from keva.storage.opening import reporting_errors
from keva.transfer.exporter import export_tickets


@click.command("push")
@takes(DB_THERE)
@click.option("--to", "url", metavar="URL", required=True, help="Such as https://app.keva.support.")
@click.option(
    "--map",
    "file",
    type=FilePath(),
    default="pushed.jsonl",
    show_default=True,
    help="The file that tells which ticket became which, and where to go on.",
)
def push_command(db: Path, url: str, file: Path) -> None:
    """Make the tickets of the database in another Keva.

    Its API is called at URL, with the key in the variable KEVA_REMOTE_KEY. Run again, it goes on where it was,
    and sends what is new.
    """
    remote = _remote(url)
    with tempfile.TemporaryFile(dir=db.resolve().parent) as lines:
        with open_database(db) as database, Progress("Reading") as progress:
            export_tickets(database, lines, progress.show)
        with reporting_errors(file), closing(Mapping(file, remote.url)) as mapping:
            try:
                _push(remote, mapping, lines)
            finally:
                _tell_differences(remote)
    streams.confirm(f"All tickets of {db} are at {remote.url}. Which became which is in {file}.")


@click.command("pull")
@click.option("--from", "url", metavar="URL", required=True, help="Such as https://app.keva.support.")
@click.argument("file", type=FilePath(allow_dash=True), default="-")
def pull_command(url: str, file: Path) -> None:
    """Write the tickets of another Keva to FILE.

    They are JSON lines for import, on standard output where there is no FILE. Its API is called at URL, with the key in
    the variable KEVA_REMOTE_KEY. Where its answers differ from what this Keva would answer is told.
    """
    remote = _remote(url)
    try:
        with Progress("Pulling") as progress, export_into(file) as lines:
            number = pull(remote, lines, progress.show)
    finally:
        _tell_differences(remote)
    if file != STANDARD_OUTPUT:
        streams.confirm(f"Pulled {number} tickets from {remote.url} to {file}.")


def _remote(url: str) -> Remote:
    key = os.environ.get(REMOTE_KEY)
    if not key:
        raise Invalid(f"Put an API key of that Keva into the variable {REMOTE_KEY}.")
    return Remote(url, key)


def _push(remote: Remote, mapping: Mapping, lines: BinaryIO) -> None:
    push = Push(remote, mapping, streams.tell)
    push.begin()
    lines.seek(0)
    plan = Plan(read(lines), mapping)
    for line in plan.lines(remote.limit):
        streams.tell(line)
    lines.seek(0)
    with Progress("Pushing") as progress:
        for number, ticket in enumerate(read(lines), 1):
            push.send(ticket)
            progress.show(number, plan.tickets)
    if push.refused:
        raise RemoteFailed(f"{push.refused} tickets were refused, wholly or in part; all others are there.")


def _tell_differences(remote: Remote) -> None:
    differences = list(remote.differences)
    if differences:
        streams.tell(f"{urlsplit(remote.url).hostname} answers otherwise than this Keva, which is worth a report:")
    for line in differences:
        streams.tell(f"  {line}")


COMMANDS = (push_command, pull_command)
