"""What the commands tell of the inbox and of the people who work in it."""

import os
import pty
import re
import signal
import subprocess
import sys

import httpx
import pytest

from tests.commands import ROOT, Command

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def link_in(told):
    return re.search(r"http\S+/inbox/sign-in/signin_[\w-]{43}", told)[0]


def path_of(link):
    return "/" + link.split("/", 3)[3]


def one_sentence(done, words):
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


class TestUsers:
    def test_one_is_made_invited_and_disabled_while_the_desk_is_served(self, cli, serve):
        running = serve("--api-key", "keva_live_fixed")
        made = cli("users", "create", "--name", "Ann", "--email", "Ann@example.com", "--site", running.origin)
        user = made.stdout.split()[0]
        assert re.fullmatch(r"user_[0-9a-z]{20}", user)
        link = link_in(made.stdout)
        assert link.startswith(running.origin)
        with httpx.Client(headers=SAME_ORIGIN) as client:
            assert "Sign in as Ann" in client.get(link).text
            signed_in = client.post(link, data={"password": "a long password"})
            assert signed_in.status_code == 303
            assert client.get(f"{running.origin}/inbox").status_code == 200
            again = link_in(cli("users", "invite", user, "--site", running.origin).stdout)
            assert client.get(again).status_code == 200

            assert cli("users", "disable", user).stdout == f"Disabled {user}.\n"
            assert client.get(f"{running.origin}/inbox").status_code == 303
            assert client.get(again).status_code == 404
        one_sentence(cli("users", "invite", user), "disabled")

    def test_the_first_is_made_with_the_file(self, cli):
        cli("seed", "1")
        [_, support] = cli("users", "list").stdout.splitlines()
        assert re.match(r"user_[0-9a-z]{20} +Support +support@example.com +(- +)?no ", support)

    def test_a_list_shows_each_without_a_secret(self, cli):
        cli("import", os.devnull)
        workspace = cli("workspaces", "create", "--name", "Second desk").stdout.split()[0]
        link = link_in(
            cli("users", "create", "--name", "Ann", "--email", "a@example.com", "--workspace", workspace).stdout
        )
        listed = cli("users", "list").stdout
        assert re.search(rf"Ann +a@example.com +{workspace} +no", listed)
        assert link.rpartition("/")[2] not in listed

    @pytest.mark.parametrize("email", ["ann@example.com", "ANN@EXAMPLE.COM"])
    def test_an_email_is_one_users_whatever_its_case(self, cli, email):
        cli("import", os.devnull)
        assert cli("users", "create", "--name", "Ann", "--email", "Ann@example.com").returncode == 0
        one_sentence(cli("users", "create", "--name", "Bea", "--email", email), "already")

    def test_what_cannot_be_is_told(self, cli):
        cli("seed", "1")
        one_sentence(cli("users", "create", "--name", "Ann", "--email", "ann"), "email must be an email address")
        one_sentence(
            cli("users", "create", "--name", "A", "--email", "a@example.com", "--workspace", "ws_nope"),
            "There is no workspace ws_nope",
        )
        one_sentence(cli("users", "disable", "user_nope"), "no such user")
        one_sentence(cli("users", "invite", "user_nope"), "no such user")
        one_sentence(cli("users", "invite", "x", "--site", "desk"), "is not the address of a site")
        assert cli("users", "create", "--name", " ", "--email", "a@example.com").returncode == 2

    def test_a_link_names_the_site_or_else_this_machine(self, cli):
        cli("import", os.devnull)
        words = ["users", "create", "--name", "Ann", "--email"]
        assert link_in(cli(*words, "a@example.com").stdout).startswith("http://127.0.0.1:8080/inbox/")
        of_site = cli(*words, "b@example.com", KEVA_SITE="https://desk.example.com/").stdout
        assert link_in(of_site).startswith("https://desk.example.com/inbox/")


def served_on_a_terminal(folder, *words):
    """What `serve` tells on a terminal, up to the line of the inbox."""
    ours, theirs = pty.openpty()
    process = Command("serve", "--port", "0", *words, cwd=folder, stdout=theirs)
    os.close(theirs)
    told = b""
    while b"Inbox:" not in told or not told.endswith(b"\n"):
        told += os.read(ours, 4096)
    return process, told.decode(), ours


def test_on_a_terminal_serve_shows_a_link_that_signs_the_first_user_in(tmp_path):
    process, told, terminal = served_on_a_terminal(tmp_path)
    try:
        link = link_in(told)
        assert f"\nInbox: {link}" in told.replace("\r", "")
        with httpx.Client(headers=SAME_ORIGIN) as client:
            assert "Sign in as Support" in client.get(link).text
            assert client.post(link).status_code == 303
            assert client.get(link.partition("/inbox")[0] + "/inbox").status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        os.close(terminal)


def test_elsewhere_than_on_a_terminal_no_link_is_written_down(serve):
    running = serve()
    running.stop()
    assert "/inbox" not in running.output + running.log.read_text()


def test_a_browser_at_the_root_is_sent_to_the_inbox_and_a_program_is_told_of_it(serve):
    running = serve()
    browser = httpx.get(running.origin + "/", headers=HTML)
    assert (browser.status_code, browser.headers["Location"]) == (303, "/inbox")
    assert "Accept" in browser.headers["Vary"]
    program = httpx.get(running.origin + "/")
    assert program.json() == {"openapi": "/openapi.json", "health": "/healthz", "inbox": "/inbox"}


def test_without_the_inbox_none_of_it_is_there(serve):
    running = serve("--no-inbox")
    for path in ("/inbox", "/inbox/sign-in", "/inbox/settings"):
        assert httpx.get(running.origin + path, headers=HTML).status_code == 404
    assert httpx.get(running.origin + "/", headers=HTML).json() == {"openapi": "/openapi.json", "health": "/healthz"}


def test_a_desk_whose_inbox_nobody_opens_does_without_its_modules():
    code = (
        "import sys, keva.cli; "
        "sys.exit(bool([name for name in sys.modules if name.startswith('keva.inbox.') "
        "and name.rpartition('.')[2] not in ('front', 'journal', 'site')]))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_site_that_is_none_is_told_in_one_sentence(cli):
    one_sentence(
        cli("serve", "--port", "0", "--site", "desk.example.com"), "give --site one such as https://desk.example.com"
    )


def test_no_token_is_ever_in_the_log(serve, cli):
    running = serve("--verbose", "--api-key", "keva_live_fixed")
    link = link_in(cli("users", "create", "--name", "Ann", "--email", "a@example.com", "--site", running.origin).stdout)
    token = link.rpartition("/")[2]
    written = "/inbox/sign-in/" + "".join(f"%{ord(character):02x}" for character in token)
    with httpx.Client(base_url=running.origin, headers=SAME_ORIGIN) as client:
        client.get(link)
        client.request("DELETE", link)
        client.post(link, headers={"Sec-Fetch-Site": "cross-site"})
        client.get(link, headers={"Host": token})
        client.get(written)
        client.get(f"{link}/more")
        client.get(f"/api/v1/tickets/{token}")
        client.get(f"/inbox/sign-in?next={link}")
        client.get(f"/inbox/{token}?x={token}")
        client.post(link, data={"password": "a long password"})
        session = client.cookies[f"keva_{running.origin.rpartition(':')[2]}"]
        client.get("/inbox/settings")
        client.post(link)
    running.stop()
    told = running.log.read_text() + running.output
    assert "/inbox/sign-in/<token>" in told
    for secret in (token[7:], token[10:], session, "a long password"):
        assert secret not in told
