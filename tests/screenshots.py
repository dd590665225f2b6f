"""Makes the screenshots of docs/screenshots anew: `python -m tests.screenshots [FOLDER]`."""

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from keva import tickets
from keva.identity import SCOPES, Caller
from keva.models import NewMessage, TicketChange
from keva.times import timestamp
from keva.transfer import samples
from keva.transfer.importer import TicketImporter
from keva.transfer.records import TicketRecord
from tests.inbox.conftest import CHROMIUM, CHROMIUM_OPTIONS, Desk

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
_COLOURS = 64  # of a page, which has few: a quarter of the size
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 812}
NOW = datetime(2024, 1, 15, 16, 30, tzinfo=UTC)
TOLD = {
    "id": "tkt_lamp",
    "subject": "The lamp arrived with a broken shade",
    "customerEmail": "jane.smith@example.com",
    "customerName": "Jane Smith",
    "priority": "high",
    "source": "email",
    "tags": ["delivery", "damaged"],
    "messages": [
        {
            "body": "Hello,\n\nmy order #12345 arrived today, and the shade of the lamp is cracked on one side. "
            "Here is a picture: https://example.com/pictures/lamp-12345.jpg\n\nCould you send another one?\n\nJane",
            "bodyHtml": "<p>Hello,</p><p>my order <b>#12345</b> arrived today.</p>",
        }
    ],
}


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        desk = Desk(Path(data))
        try:
            fill(desk)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
            folder.mkdir(parents=True, exist_ok=True)
            shoot(desk, browser, folder)
            browser.close()
        finally:
            desk.stop()


def fill(desk: Desk) -> None:
    """A day at a help desk: fifty sample tickets, and one that a team has worked on."""
    ann = desk.user("Ann")
    moment = NOW - timedelta(minutes=64 * 7)
    with desk.database.write() as tx:
        importer = TicketImporter(tx)
        for record in samples.records(50):
            importer.store(record.model_copy(update={"assigned_to": ann.id if record.assigned_to else None}))
        importer.store(TicketRecord.model_validate(TOLD | {"createdAt": timestamp(moment.timestamp())}))
    _at(desk, NOW - timedelta(minutes=50))
    everything = Caller(None, SCOPES, None)
    with desk.database.write() as tx:
        tickets.update(tx, ann.caller, "tkt_lamp", TicketChange(assignedTo=ann.id))
        _say(tx, ann.caller, "Hi Jane,\n\nsorry for that! A new shade is on its way: it leaves tomorrow.", ann)
    with desk.database.write() as tx:
        tickets.update(tx, ann.caller, "tkt_lamp", TicketChange(status="pending"))
    _at(desk, NOW - timedelta(minutes=3))
    with desk.database.write() as tx:
        _say(tx, everything, "Wonderful, thank you. Shall I send the broken one back?")
    _at(desk, NOW)


def _at(desk: Desk, moment: datetime) -> None:
    desk.database.clock = lambda: moment.timestamp()


def _say(tx, caller, body, user=None) -> None:
    sender = {"sender_email": "jane.smith@example.com", "sender_name": "Jane Smith", "direction": "inbound"}
    if user:
        sender = {"sender_email": user.email, "sender_name": user.name, "direction": "outbound"}
    tickets.add_message(tx, caller, "tkt_lamp", NewMessage.model_construct(body=body, **sender))


def shoot(desk: Desk, browser: Browser, folder: Path) -> None:
    for name, path, size, scheme in (
        ("list", "/inbox", WIDE, "light"),
        ("list-dark", "/inbox", WIDE, "dark"),
        ("ticket", "/inbox/tkt_lamp", WIDE, "light"),
        ("ticket-phone", "/inbox/tkt_lamp", PHONE, "light"),
        ("list-phone-dark", "/inbox", PHONE, "dark"),
    ):
        page = opened(desk, browser, size, scheme)
        page.goto(path)
        file = folder / f"{name}.png"
        page.screenshot(path=file)
        page.context.close()
        with Image.open(file) as picture:
            picture.convert("RGB").quantize(_COLOURS).save(file, optimize=True)


def opened(desk: Desk, browser: Browser, size: dict[str, int], scheme: str):
    """A page in a profile of its own, signed in as the first user."""
    context = browser.new_context(base_url=desk.url, viewport=size, color_scheme=scheme)
    cookie = {"name": desk.cookie, "value": desk.session(), "domain": "127.0.0.1", "path": "/inbox"}
    context.add_cookies([cookie])
    return context.new_page()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
