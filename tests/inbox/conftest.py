"""A served desk with its inbox, clients that are signed in to it, and one browser for all tests of a worker."""

import shutil
import threading
import time
from contextlib import contextmanager
from functools import partial

import httpx
import pytest
from playwright.sync_api import sync_playwright
from werkzeug.security import generate_password_hash

from keva import identity, people, workspaces
from keva.api.app import create_app
from keva.http.server import Server
from keva.identity import Keyring
from keva.inbox import passwords
from keva.inbox.app import create_inbox
from keva.inbox.front import InboxFront
from keva.inbox.site import Site
from keva.storage.database import Database

KEY = "keva_live_for_the_inbox"
PASSWORD = "correct horse battery"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None)
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--in-process-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Desk:
    """A served database: `url`, and what a test does to it behind the pages."""

    def __init__(self, folder, site=None, host="127.0.0.1", journal=None, trusted_proxy=None):
        self.database = Database(folder / "keva.db", identity.mint)
        self.clock = time.time
        app = create_app(self.database, Keyring(KEY))
        self.inbox = create_inbox(self.database, Site(host, site), journal=journal, clock=lambda: self.clock())
        front = InboxFront(app, self.database, Site(host, site))
        front._inbox = self.inbox
        self.server = Server(front, url_prefix=Site(host, site).path, trusted_proxy=trusted_proxy)
        self.url = self.server.url
        self.port = int(self.url.rpartition(":")[2])
        self.cookie = f"keva_{self.port}"
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()

    def stop(self):
        self.server.stop()
        self._thread.join()
        self.database.close()

    @property
    def first(self):
        """The user that was made with the file."""
        with self.database.read() as reader:
            return people.first(reader)

    def user(self, name="Ann", workspace=None, password=None):
        """A new user; the email is the name's, at example.com."""
        new = people.NewUser(email=f"{name.lower()}@example.com", name=name)
        with self.database.write() as tx:
            user = people.create(tx, new, workspace)
            if password:
                people.set_password(tx, user, passwords.hash_of(password))
        return user

    def workspace(self, name="Another workspace"):
        with self.database.write() as tx:
            return workspaces.create(tx, name)["id"]

    def link(self, user=None, asks_password=False, seconds=3600):
        """The path of a link that signs in."""
        with self.database.write() as tx:
            token = people.make_link(tx, user or self.first, seconds, asks_password, self.clock())
        return f"/inbox/sign-in/{token}"

    def session(self, user=None):
        """The token of a session, as its cookie has it."""
        with self.database.write() as tx:
            return people.start_session(tx, user or self.first, self.clock())

    @contextmanager
    def client(self, user=None, signed_in=True, **headers):
        """An HTTP client that sends what a browser sends with a form, and follows no redirect."""
        headers = {"Sec-Fetch-Site": "same-origin"} | {name.replace("_", "-"): value for name, value in headers.items()}
        with httpx.Client(base_url=self.url, headers=headers) as client:
            if signed_in:
                client.cookies.set(self.cookie, self.session(user), domain="127.0.0.1", path="/inbox")
            yield client

    def api(self, method, path, **more):
        return httpx.request(method, self.url + path, headers={"Authorization": f"Bearer {KEY}"}, **more)


@pytest.fixture(scope="package", autouse=True)
def cheap_passwords():
    """Each hash takes a tenth of a second otherwise, as it has to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "generate_password_hash", partial(generate_password_hash, method="scrypt:1024:8:1"))
        patch.setattr(passwords, "NOBODYS", generate_password_hash("", method="scrypt:1024:8:1"))
        yield


@pytest.fixture
def new_desk(tmp_path_factory):
    """Makes desks, which are stopped after the test."""
    made = []

    def make(**options):
        made.append(Desk(tmp_path_factory.mktemp("inbox"), **options))
        return made[-1]

    yield make
    for desk in made:
        desk.stop()


@pytest.fixture
def desk(new_desk):
    return new_desk()


@pytest.fixture
def client(desk):
    """Signed in as the first user."""
    with desk.client() as client:
        yield client


# Not for the session: as long as it runs, this thread has a running event loop, which other tests have no use for.
@pytest.fixture(scope="package")
def chromium():
    """The browser of this worker."""
    if not CHROMIUM:
        pytest.skip("Chromium is not on this machine: apt-get install chromium-headless-shell")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS, headless=True)
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium):
    """Opens pages on a desk, each in a profile of its own, signed in as the first user or another."""
    opened = []

    def browse(desk, user=None, signed_in=True, **options):
        context = chromium.new_context(**{"base_url": desk.url} | options)
        context.set_default_timeout(10_000)
        opened.append(context)
        if signed_in:
            cookie = {"name": desk.cookie, "value": desk.session(user), "domain": "127.0.0.1", "path": "/inbox"}
            context.add_cookies([cookie | {"httpOnly": True, "sameSite": "Lax"}])
        return context.new_page()

    yield browse
    for context in opened:
        context.close()
