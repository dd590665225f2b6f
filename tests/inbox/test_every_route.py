"""What holds for every page and every form, read from the routes, so that a new one cannot be forgotten."""

import sqlite3
from contextlib import closing

import pytest

from keva import people
from keva.inbox.access import is_fragment, is_public
from keva.inbox.headers import HEADERS
from tests.inbox.conftest import Desk
from tests.inbox.test_isolation import FORMS

OTHERWISE = [
    "/%69nbox",
    "/%69%6E%62%6f%78",
    "/inbo%78",
]
STRANGE_PATHS = [
    "/inbox/",
    "/inbox//",
    "//inbox",
    "/inbox/.",
    "/inbox/../inbox",
    "/./inbox",
    "/inbox;x",
    "/inbox%00",
    "/inbox%2fsettings",
    "/inbox%2Fstatic%2f..%2fsettings",
    "/inbox/static/../settings",
    "/inbox/static/..%2fsettings",
    "/inbox/static/%2e%2e/settings",
    "/INBOX",
    "/inbox/%ff",
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("routes"))
    desk.ticket = desk.api("POST", "/api/v1/tickets", json=FORMS["new"]).json()["data"]["id"]
    yield desk
    desk.stop()


def routes(inbox):
    """Each method and path of the pages, with the view's marks."""
    for rule in inbox.url_map.iter_rules():
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield method, rule, inbox.view_functions[rule.endpoint]


def path_of(desk, rule):
    values = {"ticket_id": desk.ticket, "token": "signin_none", "name": "style.css"}
    path = rule.rule
    for name in rule.arguments:
        path = path.replace(f"<{name}>", values.get(name, "msg_none"))
    return path


def contents(desk):
    with closing(sqlite3.connect(desk.database.path)) as connection:
        return list(connection.iterdump())


def test_there_are_pages_and_forms(desk):
    assert {method for method, _, _ in routes(desk.inbox)} == {"GET", "POST"}
    assert all(rule.rule == "/inbox" or rule.rule.startswith("/inbox/") for _, rule, _ in routes(desk.inbox))


def test_without_a_session_a_page_shows_the_way_in_and_a_form_changes_nothing(desk):
    with desk.client(signed_in=False) as client:
        before = contents(desk)
        for method, rule, view in routes(desk.inbox):
            path = path_of(desk, rule)
            answer = client.request(method, path)
            if is_public(view):
                assert answer.status_code in (200, 303, 401, 404, 429), path
            elif is_fragment(view):
                assert answer.status_code == 401, path
            elif method == "GET":
                assert answer.status_code == 303, path
                assert answer.headers["Location"].startswith("/inbox/sign-in"), path
            else:
                assert answer.status_code == 401, path
        assert contents(desk) == before


def test_public_are_only_the_ways_in_and_out_and_the_style(desk):
    public = {rule.rule for _, rule, view in routes(desk.inbox) if is_public(view)}
    assert public == {"/inbox/sign-in", "/inbox/sign-in/<token>", "/inbox/sign-out", "/inbox/static/<name>"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "Same-Origin"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "OWN"},
        {"Sec-Fetch-Site": "", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "", "Origin": "null"},
        {"Sec-Fetch-Site": "", "Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "", "Origin": ""},
        {},
    ],
    ids=str,
)
def test_a_form_from_elsewhere_is_refused_and_changes_nothing(desk, headers):
    headers = {name: desk.url if value == "OWN" else value for name, value in headers.items()}
    with desk.client() as client:
        client.headers.pop("Sec-Fetch-Site")
        before = contents(desk)
        for method, rule, _ in routes(desk.inbox):
            if method == "POST":
                answer = client.post(path_of(desk, rule), headers=headers)
                assert answer.status_code == 403, rule
                assert "another site" in answer.text
        assert contents(desk) == before


def test_a_form_of_the_sites_own_is_taken_by_its_origin_where_nothing_else_is_sent(desk):
    with desk.client(signed_in=False) as client:
        client.headers.pop("Sec-Fetch-Site")
        assert client.post("/inbox/sign-in", headers={"Origin": desk.url}, data={"email": "x"}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "a b"])
def test_under_a_name_that_is_not_the_desks_nothing_is_shown(desk, host):
    with desk.client() as client:
        for method, rule, _ in routes(desk.inbox):
            answer = client.request(method, path_of(desk, rule), headers={"Host": host})
            assert answer.status_code in (400, 403), rule
            assert "Support" not in answer.text


def test_the_api_takes_any_name(desk):
    assert desk.api("GET", "/api/v1/tickets").status_code == 200
    with desk.client(Host="evil.example", Authorization="Bearer keva_live_for_the_inbox") as client:
        assert client.get("/api/v1/tickets").status_code == 200


def test_the_session_of_a_disabled_user_opens_no_page(desk):
    ann = desk.user("Disabled")
    with desk.client(ann) as client:
        assert client.get("/inbox/settings").status_code == 200
        with desk.database.write() as tx:
            people.disable(tx, ann.id)
        before = contents(desk)
        for method, rule, view in routes(desk.inbox):
            if not is_public(view):
                assert client.request(method, path_of(desk, rule)).status_code in (303, 401)
        assert contents(desk) == before


@pytest.mark.parametrize("path", OTHERWISE)
def test_a_path_written_otherwise_meets_the_same_gate(desk, path):
    with desk.client(signed_in=False) as client:
        for method, rule, view in routes(desk.inbox):
            written = path + path_of(desk, rule).removeprefix("/inbox")
            assert client.get(written, headers={"Host": "evil.example"}).status_code == 403, written
            if method == "POST":
                foreign = client.post(written, headers={"Sec-Fetch-Site": "same-site"})
                assert foreign.status_code == 403, written
            if not is_public(view):
                assert client.request(method, written).status_code in (303, 401), written


@pytest.mark.parametrize("path", STRANGE_PATHS)
def test_a_path_that_is_no_page_shows_nothing(desk, path):
    with desk.client(signed_in=False) as client:
        answer = client.get(desk.url + path)
        assert answer.status_code in (303, 400, 404)
        assert "Support" not in answer.text


def test_every_answer_has_the_headers_that_keep_others_away(desk):
    assert HEADERS == {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    own_policy = {"/inbox/<ticket_id>/<message_id>.html"}
    with desk.client() as client:
        paths = [path_of(desk, rule) for method, rule, _ in routes(desk.inbox) if rule.rule not in own_policy]
        for path in [*paths, "/inbox/nowhere", "/inbox/"]:
            for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
                answer = client.request(method, path)
                found = {name: answer.headers.get(name) for name in HEADERS}
                assert found == HEADERS, (method, path)
    with desk.client(signed_in=False, Host="evil.example") as client:
        answer = client.get("/inbox")
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_other_methods_are_refused_and_told_in_a_page(desk):
    with desk.client() as client:
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = client.request(method, "/inbox/sign-in")
            assert answer.status_code == 405
            assert answer.headers["Allow"] == "GET, HEAD, POST"
            assert "<h1>" in answer.text
