"""Links, passwords, sessions and their ends, as a browser's requests meet them."""

import re
import threading
import time

import pytest
from werkzeug.security import generate_password_hash

from keva import people
from keva.errors import TooMany
from keva.inbox import passwords
from keva.inbox.attempts import ALLOWED, Attempts
from keva.inbox.passwords import NOBODYS
from tests.inbox.conftest import PASSWORD, Desk

DAY = 24 * 3600


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("sign-in"))
    desk.ann = desk.user("Ann", password=PASSWORD)
    yield desk
    desk.stop()


@pytest.fixture(autouse=True)
def fresh(desk):
    """A time that stands still, so that no minute turns in a test, and no tries counted."""
    began = time.time()
    desk.clock = lambda: began
    desk.inbox.extensions["keva"].attempts._counts.clear()


@pytest.fixture
def client(desk):
    with desk.client(signed_in=False) as client:
        yield client


@pytest.fixture
def hashes(monkeypatch):
    """The stored hashes that passwords were checked against."""
    checked = []
    real = passwords.check_password_hash

    def check(stored, password):
        checked.append(stored)
        return real(stored, password)

    monkeypatch.setattr(passwords, "check_password_hash", check)
    return checked


def sign_in(client, email="ann@example.com", password=PASSWORD, **more):
    return client.post("/inbox/sign-in", data={"email": email, "password": password} | more)


def is_in(client):
    return client.get("/inbox/settings").status_code == 200


# Links


def test_looking_at_a_link_uses_nothing_up_and_a_click_signs_in_once(desk, client):
    link = desk.link(desk.ann)
    for method in ("GET", "HEAD", "GET"):
        answer = client.request(method, link)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
    answer = client.post(link)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/inbox")
    assert is_in(client)
    with desk.client(signed_in=False) as other:
        assert other.get(link).status_code == 404
        assert other.post(link).status_code == 404
        assert not is_in(other)


def test_a_link_signs_in_once_however_many_click_at_the_same_moment(desk):
    link, statuses, barrier = desk.link(desk.ann), [], threading.Barrier(6)

    def click():
        with desk.client(signed_in=False) as client:
            barrier.wait()
            statuses.append(client.post(link).status_code)

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303, 404, 404, 404, 404, 404]


def test_a_link_is_good_for_its_time_and_no_longer(desk, client):
    link, began = desk.link(desk.ann, seconds=3600), time.time()
    desk.clock = lambda: began + 3590
    assert client.get(link).status_code == 200
    desk.clock = lambda: began + 3600
    assert client.get(link).status_code == 404
    assert client.post(link).status_code == 404


def test_an_invitation_is_not_used_up_by_a_password_that_is_too_short(desk, client):
    link = desk.link(desk.user("Bea"), asks_password=True)
    answer = client.post(link, data={"password": "short"})
    assert answer.status_code == 400
    assert "10 to 200 characters" in answer.text
    assert client.post(link, data={"password": PASSWORD}).status_code == 303
    assert sign_in(client, "bea@example.com").status_code == 303


def test_a_link_of_a_user_who_was_disabled_signs_nobody_in(desk, client):
    user = desk.user("Cid")
    link = desk.link(user)
    with desk.database.write() as tx:
        people.disable(tx, user.id)
    assert client.post(link).status_code == 404


# Passwords


def test_email_in_any_case_and_password_sign_in(desk, client):
    answer = sign_in(client, "ANN@Example.COM")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/inbox")
    assert is_in(client)


@pytest.mark.parametrize("email", ["ann@example.com", "nobody@example.com", "support@example.com", "", "no email"])
def test_wrong_is_told_in_the_same_words_after_one_check_whoever_it_is(desk, client, hashes, email):
    answer = sign_in(client, email, "wrong password")
    assert answer.status_code == 401
    assert "The email or the password is wrong" in answer.text
    assert len(hashes) == 1


def test_what_is_checked_for_nobody_costs_what_a_real_check_costs(monkeypatch):
    monkeypatch.setattr(passwords, "generate_password_hash", generate_password_hash)
    cost, salt, digest = NOBODYS.split("$")
    real = passwords.hash_of(PASSWORD).split("$")
    assert (cost, len(salt), len(digest)) == (real[0], len(real[1]), len(real[2]))


def test_a_disabled_user_is_checked_like_nobody(desk, client, hashes):
    user = desk.user("Dan", password=PASSWORD)
    with desk.database.write() as tx:
        people.disable(tx, user.id)
    assert sign_in(client, "dan@example.com").status_code == 401
    assert hashes == [passwords.NOBODYS]


def test_a_password_too_long_is_wrong_even_if_it_begins_well(desk, client):
    long = "x" * passwords.LONGEST
    desk.user("Lou", password=long)
    assert sign_in(client, "lou@example.com", long + "y").status_code == 401
    assert sign_in(client, "lou@example.com", long).status_code == 303


def test_a_password_that_was_changed_while_it_was_checked_signs_nobody_in(desk, client, monkeypatch):
    user = desk.user("Eve", password=PASSWORD)
    real = passwords.check_password_hash

    def slow(stored, password):
        with desk.database.write() as tx:
            people.set_password(tx, user, "scrypt:32768:8:1$other$00")
        return real(stored, password)

    monkeypatch.setattr(passwords, "check_password_hash", slow)
    assert sign_in(client, "eve@example.com").status_code == 401


def test_one_password_is_checked_at_a_time_and_who_would_wait_long_is_told(desk, monkeypatch):
    inside, most, entered, go = [], [], threading.Event(), threading.Event()

    def check(stored, password):
        inside.append(password)
        most.append(len(inside))
        entered.set()
        go.wait(10)
        inside.pop()
        return False

    monkeypatch.setattr(passwords, "check_password_hash", check)
    statuses = []

    def attempt(number):
        with desk.client(signed_in=False) as client:
            answer = sign_in(client, f"{number}@example.com", next="/inbox/x", carried="body=kept")
            statuses.append(answer.status_code)
            if answer.status_code == 503:
                go.set()
            assert 'value="body=kept"' in answer.text

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert sorted(statuses) == [401, 401, 401, 401, 503]


# Too many tries


def test_after_five_wrong_tries_a_user_waits_even_with_the_right_password(desk, client, hashes):
    began = 1_700_000_000 // 60 * 60
    desk.clock = lambda: began
    for _ in range(ALLOWED):
        assert sign_in(client, password="wrong password").status_code == 401
    answer = sign_in(client)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "60"
    assert len(hashes) == ALLOWED  # the sixth was not even checked
    desk.clock = lambda: began + 60
    assert sign_in(client).status_code == 303


def test_an_address_has_five_tries_over_all_users_who_exist_or_not(desk, client):
    for number in range(ALLOWED):
        assert sign_in(client, f"user{number}@example.com").status_code == 401
    assert sign_in(client).status_code == 429


@pytest.mark.parametrize(
    ("addresses", "emails"),
    [
        (("192.0.2.{}", "192.0.2.99"), ("ann@example.com", "Ann@Example.com")),
        (("2001:db8:0:1::{}", "2001:db8:0:1:f::99"), ("user{}@example.com", "ann@example.com")),
    ],
    ids=["one user from everywhere", "one network of IPv6"],
)
def test_tries_are_counted_together(addresses, emails):
    attempts = Attempts(lambda: 0.0)
    for number in range(ALLOWED):
        attempts.count(addresses[0].format(number), emails[0].format(number))
    with pytest.raises(TooMany):
        attempts.count(addresses[1], emails[1])


def test_a_try_is_counted_before_it_is_checked(desk, monkeypatch):
    """Otherwise those who ask all at once would have as many tries as there are threads."""
    checked = []
    monkeypatch.setattr(passwords, "check_password_hash", lambda *_: bool(checked.append(1)))
    statuses, barrier = [], threading.Barrier(8)

    def attempt():
        with desk.client(signed_in=False) as client:
            barrier.wait()
            statuses.append(sign_in(client).status_code)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(checked) <= ALLOWED
    assert statuses.count(429) >= 3


def test_signing_in_well_counts_as_no_try(desk, client):
    for _ in range(ALLOWED + 1):
        assert sign_in(client).status_code == 303


# Sessions


def test_the_cookie_is_for_the_pages_of_this_port_alone(desk, client):
    cookie = sign_in(client).headers["Set-Cookie"]
    name, _, attributes = re.fullmatch(r"(\w+)=([\w-]{43}); (.*)", cookie).groups()
    assert name == f"keva_{desk.port}"
    attributes = set(attributes.split("; "))
    assert {"Path=/inbox", "HttpOnly", "SameSite=Lax", f"Max-Age={14 * DAY}"} <= attributes
    assert "Secure" not in attributes
    assert not [one for one in attributes if one.startswith("Domain")]


def test_where_the_site_is_https_the_cookie_never_travels_in_the_open(new_desk):
    desk = new_desk(site="https://desk.example.com")
    with desk.client(signed_in=False, Host="desk.example.com") as client:
        answer = client.post(desk.link())
        assert "; Secure" in answer.headers["Set-Cookie"]
        client.cookies.set(desk.cookie, desk.session(), domain="127.0.0.1", path="/inbox")
        ended = client.post("/inbox/sign-out")
        assert "; Secure" in ended.headers["Set-Cookie"]


def test_a_session_ends_after_14_days(desk):
    began = time.time()
    with desk.client(desk.ann) as client:
        desk.clock = lambda: began + 14 * DAY - 60
        assert is_in(client)
        desk.clock = lambda: began + 14 * DAY + 1
        assert not is_in(client)


def test_a_session_ends_by_signing_out_and_its_token_opens_nothing_any_more(desk):
    with desk.client(desk.ann) as client:
        token = client.cookies[desk.cookie]
        assert client.post("/inbox/sign-out").headers["Location"] == "/inbox/sign-in"
        client.cookies.set(desk.cookie, token, domain="127.0.0.1", path="/inbox")
        assert not is_in(client)


def test_a_new_password_ends_every_session_and_link_but_this_browsers(desk):
    user = desk.user("Fay", password=PASSWORD)
    link = desk.link(user)
    with desk.client(user) as here, desk.client(user) as elsewhere:
        fields = {"password": PASSWORD, "new_password": "another long password"}
        before = here.cookies[desk.cookie]
        assert here.post("/inbox/settings/password", data=fields).status_code == 303
        assert is_in(here)
        assert here.cookies[desk.cookie] != before
        assert not is_in(elsewhere)
        assert elsewhere.get(link).status_code == 404
        assert sign_in(elsewhere, "fay@example.com").status_code == 401
        assert sign_in(elsewhere, "fay@example.com", "another long password").status_code == 303


def test_a_session_that_began_as_its_user_was_disabled_opens_nothing(desk):
    user = desk.user("Gus")
    with desk.database.write() as tx:
        people.disable(tx, user.id)
    with desk.client(user) as client:
        assert not is_in(client)


def test_a_token_planted_before_signing_in_is_worth_nothing_after(desk):
    """Session fixation: the attacker may even plant a session of their own."""
    with desk.client(desk.first) as client:
        planted = client.cookies[desk.cookie]
        assert sign_in(client).status_code == 303
        assert client.cookies[desk.cookie] != planted
        assert "ann@example.com" in client.get("/inbox/settings").text
    with desk.client(signed_in=False) as attacker:
        attacker.cookies.set(desk.cookie, planted, domain="127.0.0.1", path="/inbox")
        assert not is_in(attacker)


def test_tokens_are_kept_as_digests_alone(desk, client):
    link = desk.link(desk.ann)
    session = desk.session(desk.ann)
    sign_in(client)
    with desk.database.read() as reader:
        held = str(reader.all("SELECT * FROM sessions") + reader.all("SELECT * FROM sign_in_links"))
        held += str(reader.all("SELECT * FROM users"))
    for secret in (session, link.rpartition("/")[2], client.cookies[desk.cookie], PASSWORD):
        assert secret not in held


def test_two_desks_on_one_machine_do_not_sign_each_other_out(desk, new_desk):
    other = new_desk()
    with desk.client(desk.ann) as client:
        client.cookies.set(other.cookie, other.session(), domain="127.0.0.1", path="/inbox")
        assert "ann@example.com" in client.get("/inbox/settings").text
        assert "ann@example.com" not in client.get(f"{other.url}/inbox/settings").text
        client.post(f"{other.url}/inbox/sign-out")
        assert is_in(client)


# What comes after


@pytest.mark.parametrize(
    ("wanted", "comes"),
    [
        ("/inbox/settings", "/inbox/settings"),
        ("/inbox?status=open&q=%22a%20b%22", "/inbox?status=open&q=%22a%20b%22"),
        ("/inbox/sign-in", "/inbox"),
        ("/inbox/sign-in/signin_x", "/inbox"),
        ("/inbox/sign-out", "/inbox"),
        ("https://evil.example/inbox", "/inbox"),
        ("//evil.example/inbox", "/inbox"),
        ("/\\evil.example/inbox", "/inbox"),
        ("/inbox\\evil", "/inbox"),
        ("/inboxes", "/inbox"),
        ("/inbox\r\nSet-Cookie: a=b", "/inbox"),
        ("/inbox/ x", "/inbox"),
        ("/inbox/../api/v1/tickets", "/inbox"),
        ("/inbox/%2e%2e/api/v1/tickets", "/inbox"),
        ("/inbox/..//evil.example", "/inbox"),
        ("/api/v1/tickets", "/inbox"),
        ("javascript:alert(1)", "/inbox"),
        ("", "/inbox"),
    ],
)
def test_signing_in_leads_to_the_page_that_was_wanted_if_it_is_one_of_the_inbox(client, wanted, comes):
    assert sign_in(client, next=wanted).headers["Location"] == comes


def test_a_page_that_needs_a_session_comes_after_signing_in(client):
    asked = client.get("/inbox/settings?a=%26b%20c&d=%C3%A4")
    form = client.get(asked.headers["Location"]).text
    wanted = re.search(r'name="next" value="([^"]*)"', form)[1].replace("&amp;", "&")
    assert sign_in(client, next=wanted).headers["Location"] == "/inbox/settings?a=%26b%20c&d=%C3%A4"


def test_a_token_in_the_address_that_was_wanted_is_not_passed_on(client):
    assert "signin_" not in client.get("/inbox/sign-in?next=/inbox/sign-in/signin_secret").text
