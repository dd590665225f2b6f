"""The command that erases tickets for good."""

from pathlib import Path

import click

from keva import erasing
from keva.cli import streams
from keva.cli.common import open_database, takes
from keva.cli.settings import DB_THERE
from keva.erasing import Customer, Found, Share
from keva.errors import Invalid, NotFound, Unavailable
from keva.storage.database import Database
from keva.storage.paths import copies_of
from keva.storage.transaction import Reader
from keva.validation import validate


@click.command("erase")
@takes(DB_THERE)
@click.option("--customer", metavar="EMAIL", help="All of this customer's tickets, and what they wrote in others'.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.argument("ticket", required=False)
def erase_command(db: Path, customer: str | None, yes: bool, ticket: str | None) -> None:
    """Erase a ticket, or a customer, for good.

    It tells how much that is, and asks. The database may be served meanwhile. No trace of it is left there; backups and
    exports are not touched.
    """
    if (ticket is None) == (customer is None):
        raise click.UsageError("Name one TICKET by its id, or a customer with --customer EMAIL.")
    if customer is not None:
        customer = validate(Customer, {"email": customer}).email
    with open_database(db) as database:
        if erasing.scrub(database):
            streams.tell("What an earlier command has erased is now out of the files too.")
        with database.snapshot() as reader:
            found = _find(reader, ticket, customer)
            if not found:
                raise NotFound(f"There is no ticket and no message of {customer}.")
            shares = erasing.shares(reader, found)
        if not yes:
            _ask(shares)
        with database.write() as tx:
            found = _find(tx, ticket, customer)  # once more: others have written meanwhile
            shares = erasing.shares(tx, found)
            erasing.erase(tx, found)
        _scrub(database)
    streams.confirm(
        f"Erased {_sum(shares)}. What backups and exports hold of it, and webhooks have sent, is still there."
    )
    for copy in copies_of(db):
        streams.tell(f"{copy} is a copy of the database from before, and still holds it.")


def _find(reader: Reader, ticket: str | None, customer: str | None) -> Found:
    return erasing.of_ticket(reader, ticket) if ticket else erasing.of_customer(reader, customer or "")


def _ask(shares: list[Share]) -> None:
    for share in shares:
        streams.tell(f"{share.workspace} ({share.workspace_id}): {_sum([share])}")
    try:
        agreed = click.confirm("Erase this for good?", err=True)
    except click.Abort as error:
        streams.tell("")
        raise Invalid("Nobody answered, and nothing was erased: a script gives --yes.") from error
    if not agreed:
        raise Invalid("Nothing was erased.")


def _sum(shares: list[Share]) -> str:
    elsewhere = sum(share.messages_elsewhere for share in shares)
    tickets, messages = sum(share.tickets for share in shares), sum(share.messages for share in shares)
    parts = [f"{_number(tickets, 'ticket')} with {_number(messages, 'message')}"] if tickets else []
    parts += [f"{_number(elsewhere, 'message')} in tickets of others"] if elsewhere else []
    return " and ".join(parts)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _scrub(database: Database) -> None:
    try:
        erasing.scrub(database)
    except Unavailable as error:
        raise Unavailable(
            "It is erased, and no answer shows it any more, but traces of it are still in the files. Give any erase "
            f"command once more to remove them. {error.sentence}"
        ) from error


COMMANDS = (erase_command,)
