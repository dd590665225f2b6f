"""One delivery, to receivers of every kind: it ends, in bounded time and memory, and says in words what came of it."""

import contextlib
import http.server
import resource
import socket
import ssl
import subprocess
import threading
import time
from urllib.parse import urlsplit

import pytest

from keva.errors import Invalid
from keva.webhooks import addresses, sockets
from keva.webhooks.client import Client, Cut
from tests.receiver import OK, Receiver, drip, status, unused_port

SECRETS = (b"s" * 32,)
BODY = b'{"id":"evt_1"}'
SHORT = 0.4  # seconds, where the time has to run out


def post(url, seconds=5.0):
    client = Client(seconds)
    try:
        return client.post(url, "evt_1", BODY, SECRETS)
    finally:
        client.close()


# What is sent


def test_it_posts_the_body_with_the_headers_of_the_contract():
    with Receiver() as receiver:
        assert post(f"{receiver.url}?a=b").error is None
    [call] = receiver.calls
    assert call.line == "POST /keva?a=b HTTP/1.1"
    assert call.body == BODY
    assert call.headers["content-type"] == "application/json"
    assert call.headers["user-agent"].startswith("Keva/")
    assert call.headers["webhook-id"] == "evt_1"
    assert abs(int(call.headers["webhook-timestamp"]) - time.time()) < 10
    assert call.headers["webhook-signature"].startswith("v1,")
    assert call.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "authorization" not in call.headers


def test_the_user_and_password_of_a_url_are_sent_as_it_asks():
    with Receiver() as receiver:
        post(receiver.url.replace("http://", "http://al%20ice:s%3Aecret@"))
    assert receiver.calls[0].headers["authorization"] == "Basic YWwgaWNlOnM6ZWNyZXQ="


def test_variables_that_name_a_proxy_are_ignored(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    with Receiver() as receiver:
        assert post(receiver.url).status == 200


def test_a_connection_is_kept_between_deliveries_and_made_anew_once_it_was_closed():
    connections = set()

    def answer(call, connection):
        connections.add(connection)
        return OK

    with Receiver(answer) as receiver:
        client = Client()
        for _ in range(3):
            assert client.post(receiver.url, "evt_1", BODY, SECRETS).error is None
        assert len(connections) == 1
        for connection in connections:
            connection.shutdown(socket.SHUT_RDWR)
        assert client.post(receiver.url, "evt_1", BODY, SECRETS) == client.post(receiver.url, "evt_1", BODY, SECRETS)
        client.close()
    assert len(connections) == 2
    assert len(receiver.calls) == 5


@pytest.mark.parametrize(
    "answer",
    [
        status(204).replace(b"Content-Length: 0\r\n", b""),
        status(200, "Connection: close", body="ok"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    ],
    ids=["no body", "close", "chunked", "HTTP/1.0", "continue"],
)
def test_every_form_of_a_success_is_one_and_the_next_delivery_comes_too(answer):
    def serve(call, connection):
        if b"Connection: close" in answer or b"HTTP/1.0" in answer:
            connection.sendall(answer)
            return None
        return answer

    with Receiver(serve) as receiver:
        client = Client(5)
        outcomes = [client.post(receiver.url, f"evt_{number}", BODY, SECRETS) for number in range(3)]
        client.close()
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert [call.id for call in receiver.calls] == ["evt_0", "evt_1", "evt_2"]


# What comes back


@pytest.mark.parametrize(
    ("answered", "error"),
    [
        (200, None),
        (201, None),
        (202, None),
        (299, None),
        (302, "answered 302: redirects are not followed"),
        (308, "answered 308: redirects are not followed"),
        (400, "answered 400"),
        (404, "answered 404"),
        (410, "answered 410"),
        (429, "answered 429"),
        (500, "answered 500"),
        (503, "answered 503"),
    ],
)
def test_a_2xx_is_delivered_and_nothing_else(answered, error):
    with Receiver(lambda *_: status(answered, "Location: /elsewhere", "Retry-After: 7", body="said")) as receiver:
        answer = post(receiver.url)
    assert (answer.status, answer.error, answer.text, answer.retry_after) == (answered, error, "said", 7.0)
    assert len(receiver.calls) == 1


def test_two_hundred_characters_of_an_answer_are_kept_on_one_line():
    with Receiver(lambda *_: status(500, body="é\r\n" + "a" * 300)) as receiver:
        text = post(receiver.url).text
    assert len(text) == 200
    assert text.startswith("é a")


def test_where_nobody_listens():
    assert post(f"http://127.0.0.1:{unused_port()}/").error == "refused the connection"


def test_a_name_that_does_not_resolve():
    assert post("http://there-is-no-such-name.invalid/").error == "the name does not resolve"


def test_a_receiver_that_never_lets_us_in(monkeypatch):
    """Its queue of connections is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        assert post(f"http://127.0.0.1:{listener.getsockname()[1]}/", SHORT).error == "no answer within 0.4 s"


def test_a_receiver_that_says_nothing():
    with Receiver(lambda *_: time.sleep(5)) as receiver:
        assert post(receiver.url, SHORT).error == "no answer within 0.4 s"


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nX-Header: "], ids=["status", "header"])
def test_a_receiver_that_drips_its_head(begins):
    with Receiver(lambda _, connection: drip(connection, begins)) as receiver:
        assert post(receiver.url, SHORT).error == "no answer within 0.4 s"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
    ],
    ids=["length", "to the end", "chunked"],
)
def test_a_receiver_that_drips_its_body_has_got_it_all_the_same(head):
    with Receiver(lambda _, connection: drip(connection, head)) as receiver:
        answer = post(receiver.url, SHORT)
    assert (answer.status, answer.error) == (200, None)
    assert answer.text.startswith("x")


def test_a_receiver_that_resets_the_connection():
    def reset(_, connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with Receiver(reset) as receiver:
        assert post(receiver.url).error in ("reset the connection", "closed the connection without an answer")


def test_a_receiver_that_hangs_up():
    with Receiver(lambda *_: None) as receiver:
        assert post(receiver.url).error == "closed the connection without an answer"


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 two hundred\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"],
    ids=["another protocol", "no number", "many headers"],
)
def test_a_receiver_that_does_not_speak_http(answer):
    with Receiver(lambda *_: answer) as receiver:
        assert post(receiver.url).error == "answered what is not HTTP"


def test_a_receiver_that_sends_a_hundred_megabytes_is_read_to_64_kib():
    sent = []

    def flood(_, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(1600):
                connection.sendall(b"x" * 65536)
                sent.append(65536)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Receiver(flood) as receiver:
        assert post(receiver.url).error is None
    assert sum(sent) < 50e6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


@pytest.mark.parametrize("piece", [b"x", b"X: y\r\n", b"X: " + b"y" * 60_000 + b"\r\n"], ids=["line", "many", "long"])
def test_a_head_is_read_to_64_kib(piece):
    with Receiver(lambda *_: b"HTTP/1.1 200 OK\r\nX: " + piece * (1_000_000 // len(piece))) as receiver:
        assert post(receiver.url).error in ("answered with a head over 64 KiB", "answered what is not HTTP")


# Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """One for 127.0.0.1, one for another name, one that has expired."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, subject, days in (("good", "IP:127.0.0.1", "30"), ("other", "DNS:other.example", "30")):
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=keva", "-days", days]
        command += ["-addext", f"subjectAltName={subject}", "-keyout", folder / f"{name}.key", "-out", folder / name]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def secure(certificates):
    """Serves over TLS with a certificate, and gives the URL."""
    with contextlib.ExitStack() as stack:

        def serve(name):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates / name, certificates / f"{name}.key")
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Taking))
            server.handle_error = lambda *_: None  # the handshake that we refuse
            server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"https://127.0.0.1:{server.server_port}/keva"

        yield serve


class _Taking(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def trusting(certificates, monkeypatch):
    def trust(name):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / name))
        sockets._tls.cache_clear()

    yield trust
    sockets._tls.cache_clear()


def test_a_certificate_of_a_trusted_authority_is_taken(secure, trusting):
    trusting("good")
    client = Client(5)
    url = secure("good")
    assert [client.post(url, "evt_1", BODY, SECRETS).error for _ in range(2)] == [None, None]
    client.close()


def test_a_certificate_for_another_name_is_not(secure, trusting):
    trusting("other")
    assert "the certificate is for another" in post(secure("other")).error


def test_a_certificate_of_nobody_we_trust_is_not(secure):
    assert "not trust" in post(secure("good")).error or "self-signed" in post(secure("good")).error


def test_a_receiver_without_tls_is_told_apart():
    def answer_in_the_clear(listener):
        connection, _ = listener.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_in_the_clear, args=(listener,), daemon=True).start()
        assert post(f"https://127.0.0.1:{listener.getsockname()[1]}/").error.startswith("does not speak TLS")


def test_a_receiver_that_never_ends_the_handshake():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert post(f"https://127.0.0.1:{listener.getsockname()[1]}/", SHORT).error == "no answer within 0.4 s"


# Being cut off


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_try_under_way_is_cut_off_from_another_thread_and_none_begins_after(scheme):
    def cut():
        connection, _ = listener.accept()
        client.cut()
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        client, url = Client(30), f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/"
        cutting = threading.Thread(target=cut)
        cutting.start()
        for _ in range(2):
            with pytest.raises(Cut):
                client.post(url, "evt_1", BODY, SECRETS)
        cutting.join()


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080/keva",
        "https://example.com",
        "http://[::1]:80/",
        "http://user:secret@example.com/a?b=c%20d",
        "http://10.0.0.1/",
    ],
)
def test_a_url_that_can_be_sent_to_is_taken(url):
    assert addresses.check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com/a b",
        "http://example.com/é",
        "http://example.com/\r\nX: y",
        "http://[::1/",
        "http://example.com/#part",
        "http://" + "a" * 64 + ".com/",
        "http://example.com/" + "a" * 2000,
    ],
)
def test_any_other_url_is_refused_with_how_to_mend_it(url):
    with pytest.raises(Invalid, match=": "):
        addresses.check_url(url)


def test_a_password_is_never_shown():
    assert addresses.shown("https://user:secret@example.com:8443/a") == "https://user:***@example.com:8443/a"
    assert addresses.shown("https://user@example.com/") == "https://user@example.com/"
    assert urlsplit(addresses.shown("http://a:b@c@d/")).password == "***"
