"""A desk for each worker of a suite: several on one server, of which none knows of the others."""

import json
import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from keva.errors import Unavailable
from keva.inbox.site import Site
from keva.testing import desks
from keva.testing.desk import DeskOptions
from keva.testing.service import ControlService
from tests.http.serving import wait_until
from tests.receiver import Receiver
from tests.testing.conftest import NEW, TICKETS

KEY = "keva_live_control"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desks")
    service = ControlService(folder, DeskOptions(Site("127.0.0.1")), api_key=KEY)
    thread = threading.Thread(target=service.run)
    thread.start()
    yield service
    service.stop()
    thread.join(10)


@pytest.fixture
def main(service):
    with client(service.url, KEY) as main:
        assert main.post("/__keva__/reset").status_code == 204
        yield main
    for desk_id in list(service._desks._desks):
        service._desks.end(desk_id)


@pytest.fixture
def make(main):
    """Makes a desk, and gives a client of it; its id is `desk_id`."""
    clients = []

    def make():
        answer = main.post("/__keva__/desks")
        assert answer.status_code == 201
        made = answer.json()["data"]
        clients.append(client(made["url"], made["key"]))
        clients[-1].made = made
        return clients[-1]

    yield make
    for one in clients:
        one.close()


def client(url, key):
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10)


def total(client):
    return client.get(TICKETS).json()["pagination"]["total"]


def test_each_has_an_origin_a_key_and_ids_of_its_own(main, make):
    first, second = make(), make()
    assert len({main.base_url, first.base_url, second.base_url}) == 3
    assert first.made["key"] != second.made["key"]
    for one in (main, first, second):
        assert one.post(TICKETS, json=NEW).json()["data"]["id"] == "tkt_000001"
    for one, other in ((main, first), (first, main), (first, second)):
        assert one.get(TICKETS, headers={"Authorization": other.headers["Authorization"]}).status_code == 401
        path = "/__keva__/reset"
        assert one.post(path, headers={"Authorization": other.headers["Authorization"]}).status_code == 401
    assert total(first) == 1


def test_control_calls_of_one_reach_no_other(main, make):
    first, second = make(), make()
    for one in (main, first, second):
        one.post(TICKETS, json=NEW)
    assert first.post("/__keva__/faults", json={"status": 503, "times": None}).status_code == 201
    first.put("/__keva__/clock", json={"now": "2024-01-15T10:30:00Z"})
    assert [one.get(TICKETS).status_code for one in (main, first, second)] == [200, 503, 200]
    assert len(second.get("/__keva__/requests").json()["data"]) == 2
    assert second.post(TICKETS, json=NEW).json()["data"]["createdAt"] > "2024-02"

    assert first.post("/__keva__/reset").status_code == 204
    assert [total(one) for one in (main, first, second)] == [1, 0, 2]
    assert main.post("/__keva__/reset").status_code == 204
    assert [total(one) for one in (main, first, second)] == [0, 0, 2]


def test_each_sends_its_own_webhooks(make):
    first, second = make(), make()
    with Receiver() as receiver:
        assert first.post("/__keva__/webhooks", json={"url": receiver.url}).status_code == 201
        second.post(TICKETS, json=NEW)
        first.post(TICKETS, json=NEW | {"subject": "The first desk's"})
        [call] = receiver.wait_for(1)
    assert call.event["data"]["subject"] == "The first desk's"
    assert second.get("/__keva__/events").json()["data"][0]["data"]["subject"] == NEW["subject"]


def test_each_has_an_inbox_into_which_its_own_link_leads(make):
    first, second = make(), make()
    first.post(TICKETS, json=NEW | {"subject": "The first desk's"})
    path = urlsplit(first.made["inbox"]).path
    page = first.post(path, headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=True)
    assert "The first desk&#39;s" in page.text
    assert second.get(urlsplit(first.made["inbox"]).path).status_code != 200


def test_one_that_is_ended_is_gone_with_its_files_and_connections(service, main, make, monkeypatch):
    first, second = make(), make()
    folder = service._desks._desks[first.made["id"]].folder
    assert total(first) == 0
    assert main.delete(f"/__keva__/desks/{first.made['id']}").status_code == 204
    with pytest.raises(httpx.ConnectError):
        first.get(TICKETS)
    assert not folder.exists()
    assert main.delete(f"/__keva__/desks/{first.made['id']}").status_code == 404
    assert total(second) == 0


def test_one_ends_at_once_though_calls_are_held_and_waited_for(service, main, make):
    desk = make()
    desk.post("/__keva__/faults", json={"delay": 600})
    open_desk = service._desks._desks[desk.made["id"]]
    with ThreadPoolExecutor() as callers:
        held = callers.submit(desk.get, TICKETS)
        waits = callers.submit(desk.get, "/__keva__/requests?count=9&wait=60")
        wait_until(lambda: open_desk.desk._inside == 2)
        answer = main.delete(f"/__keva__/desks/{desk.made['id']}")
        assert answer.status_code == 204
        assert answer.elapsed.total_seconds() < 4  # a reader that is not let go is waited for so long
        for call in (held, waits):
            assert isinstance(call.exception(), httpx.TransportError) or call.result().status_code in (408, 503)


def test_one_that_nobody_calls_ends_by_itself(service, make, monkeypatch):
    held_one, first = make(), make()
    held = service._desks._desks[held_one.made["id"]].desk
    folder = service._desks._desks[first.made["id"]].folder
    with held._used():  # a call that is under way for long, on the desk that was made first
        monkeypatch.setattr(desks, "IDLE_SECONDS", 0.05)
        service._desks.end(make().made["id"])  # which has the one that watches look again
        wait_until(lambda: not folder.exists())  # its last step: it is closed by then
        with pytest.raises(httpx.ConnectError):
            first.get(TICKETS)
        monkeypatch.undo()
    assert set(service._desks._desks) == {held_one.made["id"]}
    assert total(held_one) == 0


def test_a_hundred_at_once_take_no_thread_each(service, make):
    before = threading.active_count()
    with ThreadPoolExecutor(8) as callers:
        made = list(callers.map(lambda _: make(), range(100)))
        assert {one.post(TICKETS, json=NEW).json()["data"]["id"] for one in made} == {"tkt_000001"}
        assert list(callers.map(total, made)) == [1] * 100
    assert threading.active_count() <= before + 1


def test_beyond_a_number_there_are_no_more(main, make, monkeypatch):
    monkeypatch.setattr(desks, "MOST", 2)
    first = make()
    make()
    answer = main.post("/__keva__/desks")
    assert (answer.status_code, answer.json()["error"][:27]) == (503, "There are 2 desks already: ")
    main.delete(f"/__keva__/desks/{first.made['id']}")
    make()


def test_where_the_server_listens_on_all_addresses_the_origin_is_what_the_caller_can_reach(tmp_path):
    service = ControlService(tmp_path, DeskOptions(), api_key=KEY, host="0.0.0.0")
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        port = urlsplit(service.url).port
        with client(f"http://localhost:{port}", KEY) as main:
            made = main.post("/__keva__/desks").json()["data"]
        assert urlsplit(made["url"]).hostname == "localhost"
        assert made["inbox"] is None
        with client(made["url"], made["key"]) as desk:
            assert total(desk) == 0
    finally:
        service.stop()
        thread.join(10)


def test_only_a_key_of_everything_makes_one(main, make):
    key = main.post("/__keva__/keys", json={"scopes": ["tickets:read"]}).json()["data"]["key"]
    assert main.post("/__keva__/desks", headers={"Authorization": f"Bearer {key}"}).status_code == 403
    assert make().post("/__keva__/desks").status_code == 404  # which the first desk alone does


def test_files_that_fail_leave_no_desk_behind(service, main, monkeypatch):
    def fails(*_):
        raise Unavailable("The disk is full.")

    before = list(service._desks._folder.iterdir())
    monkeypatch.setattr(service._server, "add", fails)
    assert main.post("/__keva__/desks").status_code == 503
    assert list(service._desks._folder.iterdir()) == before
    assert service._desks._desks == {}


NODE = """
import assert from "node:assert";
import { after, before, beforeEach, test } from "node:test";

let desk;
const call = async (origin, key, method, path, body) => {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const answer = await fetch(origin + path, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.status === 204 ? null : (await answer.json()).data;
};
const first = (method, path) => call(process.env.KEVA_BASE_URL, process.env.KEVA_API_KEY, method, path);
const mine = (method, path, body) => call(desk.url, desk.key, method, path, body);

before(async () => { desk = await first("POST", "/__keva__/desks"); });
beforeEach(() => mine("POST", "/__keva__/reset"));
after(() => first("DELETE", `/__keva__/desks/${desk.id}`));

for (let number = 0; number < 10; number++) {
  test(`a desk holds what its own file made (${number})`, async () => {
    const made = [];
    for (let ticket = 0; ticket < 3; ticket++)
      made.unshift((await mine("POST", "/api/v1/tickets", NEW)).id);
    assert.deepEqual(made, ["tkt_000003", "tkt_000002", "tkt_000001"]);
    assert.deepEqual((await mine("GET", "/api/v1/tickets")).map((ticket) => ticket.id), made);
    assert.equal((await mine("GET", "/__keva__/requests")).length, 4);
  });
}
"""


@pytest.mark.skipif(not shutil.which("node"), reason="node is missing")
def test_four_files_of_nodes_runner_at_once_each_with_a_desk(service, main, tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.test.mjs").write_text(NODE.replace("NEW", json.dumps(NEW)))
    variables = os.environ | {"KEVA_BASE_URL": service.url, "KEVA_API_KEY": KEY}
    done = subprocess.run(
        ["node", "--test", "--test-concurrency=4"], cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 40" in done.stdout
    assert service._desks._desks == {}
