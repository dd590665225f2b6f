"""The pages of the inbox at a million tickets, and what its order costs a create."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask

from keva import identity, people, tickets
from keva.identity import SCOPES, Caller
from keva.inbox.app import create_inbox
from keva.inbox.site import Site
from keva.models import NewTicket
from keva.storage.database import Database
from keva.transfer.importer import TicketImporter
from keva.transfer.records import TicketRecord
from tests.benchmarks import growth, load

TICKETS = 1_000_000
_EVERYTHING = Caller(None, SCOPES, None)
_NEW = NewTicket.model_validate(
    {"subject": "Help", "customerEmail": "customer@example.com", "body": "My order is late."}
)
# Words of every message, of a few, of one; a start of a word of all, which has to gather them; filters that leave few
# or nothing.
SEARCHES = (
    "arrived",
    "arrived 777777",
    "jane",
    '"placed an order"',
    "customer4711@example.com",
    "from:customer99",
    "delivered status:pending",
    "order",
    "arriv",
    "\u4f60\u597d \u8ba2\u5355",
    "status:open",
    "priority:urgent order",
    "order tag:nothing",
    "tag:nothing status:pending",
    "assigned:me",
    "before:2000",
    "order after:2999",
    "priority:urgent",
    "assigned:ann",
    "zzzzz",
)


def main(count: int = TICKETS) -> None:
    with tempfile.TemporaryDirectory(prefix="tmp-keva-", dir=load.ROOT) as folder:
        database = Database(Path(folder, "keva.db"), identity.mint)
        try:
            _fill(database, count)
            app = create_inbox(database, Site("127.0.0.1"))
            ask = _client(database, app)
            _make_index(database, app)
            _show_pages(ask, count)
            _show_search(ask)
            _show_creates(database)
        finally:
            database.close()


def _fill(database: Database, count: int) -> None:
    """A million tickets of one message, a thousand of them in Chinese, and one of fifty."""
    messages = [{"body": f"{growth._BODY} {number}"} for number in range(50)]
    long = {"id": "tkt_long", "subject": "A long one", "customerEmail": "customer7@example.com", "messages": messages}
    with database.write() as tx:
        importer = TicketImporter(tx)
        for number, line in enumerate(growth.lines(count)):
            ticket = json.loads(line)
            if number % 1000 == 1:
                ticket |= {"subject": "\u4f60\u597d\uff0c\u6211\u7684\u8ba2\u5355\u8fd8\u6ca1\u5230"}
            importer.store(TicketRecord.model_validate(ticket))
        importer.store(TicketRecord.model_validate(long))


def _client(database: Database, app: Flask) -> Callable[[str], Any]:
    """Asks the app as a server's thread does, without a socket, signed in."""
    with database.write() as tx:
        user = people.first(tx)
        assert user
        token = people.start_session(tx, user, time.time())
    client = app.test_client()
    client.set_cookie("keva_80", token, domain="127.0.0.1", path="/inbox")
    return lambda path: client.get(path, base_url="http://127.0.0.1")


def _show_pages(ask: Callable[[str], Any], count: int) -> None:
    print(f"{'page':44}{'ms (median)':>12}{'cpu':>8}{'KB':>7}   of 15 ms wanted, {count:,} tickets")
    middle = count // 2
    for path in (
        "/inbox",
        f"/inbox?before={middle}",
        "/inbox?status=pending",
        f"/inbox?status=open&waiting=yes&before={middle}",
        "/inbox?assignee=nobody&status=closed",
        "/inbox?assignee=me",
        "/inbox/tkt_long",
        "/inbox/news?after=0",
    ):
        times, answer = _timed(lambda path=path: ask(path))
        print(f"{path:44}{_median(times):12.2f}{_cpu(times):8.2f}{len(answer.data) / 1024:7.1f}")
    assets = sum(file.stat().st_size for file in (load.ROOT / "keva/inbox/static").iterdir())
    print(f"first page in all: {(len(ask('/inbox').data) + assets) / 1024:.1f} KB of 60")


def _make_index(database: Database, app: Flask) -> None:
    index, began = app.extensions["keva"].search, time.perf_counter()
    while index.catch_up(1.0) < 1:
        pass
    size = database.path.with_name("keva.db-search").stat().st_size
    print(f"the index was made in {time.perf_counter() - began:.0f} s and has {size / 2**20:.0f} MB")


def _show_search(ask: Callable[[str], Any]) -> None:
    medians = []
    for text in SEARCHES:
        times, _ = _timed(lambda text=text: ask(f"/inbox?q={quote(text)}"), 7)
        medians.append(_median(times))
        print(f"{'search ' + text:44}{medians[-1]:12.2f}{_cpu(times):8.2f}")
    print(f"median of the searches: {statistics.median(medians):.1f} ms of 50")


def _show_creates(database: Database) -> None:
    """As one of many in a transaction, so that the disk says nothing; with the inbox's index and without."""
    with_index = list(_creates(database))
    with database.write() as tx:
        tx.all("DROP INDEX tickets_by_last_message")
    without = list(_creates(database))
    one, other = statistics.median(with_index), statistics.median(without)
    print(f"create: {one:.1f} us with the inbox's index, {other:.1f} without")


def _creates(database: Database, rounds: int = 9, each: int = 1000) -> Iterator[float]:
    for _ in range(rounds):
        with database.write() as tx:
            began = time.process_time()
            for _ in range(each):
                tickets.create(tx, _EVERYTHING, _NEW)
            yield (time.process_time() - began) / each * 1e6


def _timed(call: Callable[[], Any], times: int = 30) -> tuple[list[tuple[float, float]], Any]:
    """Milliseconds by the clock and of the processor, which other programs slow less."""
    took = []
    for _ in range(times + 2):
        began, cpu = time.perf_counter(), time.process_time()
        answer = call()
        took.append(((time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000))
        assert answer.status_code in (200, 204), answer.status_code
    return took[2:], answer


def _median(times: list[tuple[float, float]]) -> float:
    return statistics.median(clock for clock, _ in times)


def _cpu(times: list[tuple[float, float]]) -> float:
    return statistics.median(cpu for _, cpu in times)
