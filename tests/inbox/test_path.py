"""A desk under a path of a site, behind nginx: every address that it gives has the path, as long as one comes by it."""

import re
import shutil
import subprocess
from html import unescape
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.inbox.conftest import KEY, Desk
from tests.receiver import unused_port
from tests.reliability.served import until

NGINX = shutil.which("nginx")
CONFIGURATION = """
pid {folder}/pid; error_log {folder}/error.log; daemon off; master_process off;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /desk/ {{
            proxy_pass {desk};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
LINK = re.compile(r'(?:href|src|data-news)="([^"#?][^"]*)"')
FORM = re.compile(r'action="([^"]*)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The desk, and the address at which nginx has it."""
    if not NGINX:
        pytest.skip("nginx is not on this machine: apt-get install nginx")
    folder, port = tmp_path_factory.mktemp("nginx"), unused_port()
    desk = Desk(folder, site=f"http://127.0.0.1:{port}/desk")
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port, desk=desk.url))
    nginx = subprocess.Popen([NGINX, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    try:
        url = f"http://127.0.0.1:{port}/desk"
        until(lambda: _answers(f"{url}/healthz"))
        yield desk, url
    finally:
        nginx.terminate()
        nginx.wait()
        desk.stop()


def _answers(url):
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def client(site):
    """Signed in by a link, as a browser would be."""
    desk, url = site
    with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        signed_in = client.post(f"{url}{desk.link()}")
        assert signed_in.headers["Location"] == "/desk/inbox"
        assert "; Path=/desk/inbox" in signed_in.headers["Set-Cookie"]
        yield client


def create(url):
    new = {
        "subject": "It broke",
        "customerEmail": "customer@example.com",
        "body": "Really.",
    }
    made = httpx.post(f"{url}/api/v1/tickets", json=new, headers={"Authorization": f"Bearer {KEY}"})
    assert made.status_code == 201
    return made


def test_the_api_gives_addresses_with_the_path(site):
    _, url = site
    location = create(url).headers["Location"]
    assert location.startswith("/desk/api/v1/tickets/tkt_")
    assert httpx.get(urljoin(url, location), headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    assert httpx.get(f"{url}/openapi.json").json()["servers"] == [{"url": "/desk"}]
    assert set(httpx.get(f"{url}/").json().values()) == {"/desk/openapi.json", "/desk/healthz"}
    assert httpx.get(f"{url}/", headers={"Accept": "text/html"}).headers["Location"] == "/desk/inbox"
    assert httpx.get(url).headers["Location"].endswith("/desk/")  # nginx itself


def test_every_address_on_every_page_has_the_path_and_leads_somewhere(site, client):
    desk, url = site
    ticket = create(url).json()["data"]["id"]
    html = {"body": "See", "bodyHtml": "<p>See", "senderEmail": "customer@example.com"}
    assert desk.api("POST", f"/api/v1/tickets/{ticket}/messages", json=html).status_code == 201
    desk.workspace()
    seen, posted, waiting = set(), set(), ["/desk/inbox", "/desk/inbox/sign-in"]
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        page = client.get(urljoin(url, address), follow_redirects=True)
        assert page.status_code in (200, 204), address
        posted |= set(FORM.findall(page.text))
        waiting += [unescape(one).partition("#")[0] for one in LINK.findall(page.text)]
    assert [one for one in seen | posted if not one.startswith("/desk/inbox")] == []
    paths = {urlsplit(one).path.replace(ticket, "ID") for one in seen}
    assert {"/desk/inbox/new", "/desk/inbox/ID", "/desk/inbox/ID/news", "/desk/inbox/settings"} <= paths
    assert {f"/desk/inbox/{ticket}/reply", "/desk/inbox/sign-out", "/desk/inbox/new", "/desk/inbox"} <= posted
    assert any(one.startswith("/desk/inbox/static/script-") for one in paths)


def test_forms_lead_to_pages_with_the_path(site, client):
    _, url = site
    ticket = create(url).json()["data"]["id"]
    changed = client.post(
        f"{url}/inbox/{ticket}/change", data={"status": "solved", "seen": "9999", "back": "/inbox?status=open"}
    )
    assert changed.headers["Location"] == "/desk/inbox?status=open"
    new = {"customerEmail": "customer@example.com", "subject": "By phone", "body": "Help", "form": "x"}
    assert client.post(f"{url}/inbox/new", data=new).headers["Location"].startswith("/desk/inbox/tkt_")
    out = client.post(f"{url}/inbox/sign-out")
    assert out.headers["Location"] == "/desk/inbox/sign-in"
    assert "Path=/desk/inbox" in out.headers["Set-Cookie"]
    wanted = client.get(f"{url}/inbox/{ticket}").headers["Location"]
    assert wanted == f"/desk/inbox/sign-in?next=%2Finbox%2F{ticket}"
    ended = client.post(f"{url}/inbox/{ticket}/reply", data={"body": "On its way"})
    assert 'action="/desk/inbox/sign-in"' in ended.text


def test_a_foreign_page_is_refused_under_a_path_too(site, client):
    _, url = site
    origin = url.removesuffix("/desk")
    for given, status in ((origin, 303), ("http://evil.example", 403)):
        sent = client.post(f"{url}/inbox/sign-out", headers={"Sec-Fetch-Site": "", "Origin": given})
        assert sent.status_code == status


def test_who_comes_without_the_path_is_given_none(site):
    desk, _ = site
    assert create(desk.url).headers["Location"].startswith("/api/v1/tickets/")
    assert httpx.get(f"{desk.url}/openapi.json").json()["servers"] == [{"url": "/"}]
    with desk.client() as client:
        page = client.get("/inbox")
    assert page.status_code == 200
    assert "/desk" not in page.text
    assert httpx.get(f"{desk.url}/desks/inbox").status_code == 404


def test_the_keys_of_the_page_keep_the_path(site, browse):
    desk, url = site
    tickets = [create(url).json()["data"]["id"] for _ in range(2)]
    page = browse(desk, signed_in=False, base_url=url)
    page.goto(f"{url}{desk.link()}")
    page.locator("form button").first.click()
    page.wait_for_url(f"{url}/inbox")
    page.keyboard.press("j")
    page.keyboard.press("r")
    page.wait_for_url(f"{url}/inbox/{tickets[1]}#body")
    page.goto(f"{url}/inbox?q=broke")  # where one is on the ticket where one was
    with page.expect_navigation():
        page.keyboard.press("s")
    assert desk.api("GET", f"/api/v1/tickets/{tickets[1]}").json()["data"]["status"] == "solved"
    page.keyboard.press("Escape")
    page.wait_for_url(f"{url}/inbox")


@pytest.mark.parametrize(
    ("trusted", "scheme", "secure"),
    [("127.0.0.1", "https", True), ("127.0.0.1", "http", False), ("192.0.2.1", "https", False)],
)
def test_the_cookie_is_secure_when_a_trusted_proxy_says_https(new_desk, trusted, scheme, secure):
    desk = new_desk(trusted_proxy=trusted)
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": scheme, "Sec-Fetch-Site": "same-origin"}
    answer = httpx.post(f"{desk.url}{desk.link()}", headers=forwarded)
    assert ("; Secure" in answer.headers["Set-Cookie"]) is secure
