"""Settings: one's own password and keys, and what there is to look at."""

import pytest

from keva import identity
from keva.inbox.attempts import ALLOWED
from tests.inbox.conftest import PASSWORD

NEW = "another long password"


def change(client, **fields):
    return client.post("/inbox/settings/password", data=fields)


def test_who_has_no_password_yet_chooses_one(desk, client):
    assert 'name="password"' not in client.get("/inbox/settings").text
    answer = change(client, new_password=NEW)
    assert answer.headers["Location"] == "/inbox/settings?saved=password"
    page = client.get(answer.headers["Location"]).text
    assert "Your password is changed" in page
    assert 'name="password"' in page


def test_who_has_one_tells_it_to_change_it_and_tries_are_counted(desk):
    with desk.client(desk.user("Ann", password=PASSWORD)) as client:
        for _ in range(ALLOWED):
            answer = change(client, password="wrong password", new_password=NEW)
            assert answer.status_code == 400
            assert "not your present password" in answer.text
        assert change(client, password=PASSWORD, new_password=NEW).status_code == 429


@pytest.mark.parametrize("new", ["", "short", "x" * 201])
def test_a_password_that_will_not_do_is_told(client, new):
    answer = change(client, new_password=new)
    assert answer.status_code == 400
    assert "10 to 200 characters" in answer.text


def test_the_keys_can_be_switched_off_and_on(client):
    assert 'data-shortcuts="on"' in client.get("/inbox/settings").text
    assert client.post("/inbox/settings/shortcuts").status_code == 303
    assert 'data-shortcuts="off"' in client.get("/inbox/settings").text
    client.post("/inbox/settings/shortcuts", data={"on": "on"})
    assert 'data-shortcuts="on"' in client.get("/inbox/settings").text


def test_keys_and_users_are_there_to_look_at_without_a_secret(desk, client):
    with desk.database.write() as tx:
        key = identity.create_key(tx, "the shop's <form>", [identity.READ])
    desk.user("Ann", password=PASSWORD)
    page = client.get("/inbox/settings").text
    assert "the shop&#39;s &lt;form&gt;" in page
    assert key["key"][-4:] in page
    assert key["key"] not in page
    assert "ann@example.com" in page
    assert "scrypt" not in page


def test_a_user_of_one_workspace_sees_its_keys_and_no_others(desk):
    home, away = desk.workspace("Home"), desk.workspace("Away")
    with desk.database.write() as tx:
        for name, workspace in (("of all", None), ("of home", home), ("of away", away)):
            identity.create_key(tx, f"key {name}", workspace_id=workspace)
    with desk.client(desk.user("Ann", home)) as client:
        page = client.get("/inbox/settings").text
    assert "key of home" in page
    assert "key of away" not in page
    assert "key of all" not in page
