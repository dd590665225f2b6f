"""What keva.http stands on in waitress, which promises none of it."""

import inspect
import select
import socket
from importlib.metadata import version

import pytest
from waitress import task, trigger, utilities, wasyncore
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer, TcpWSGIServer

READ = (
    "waitress is not what keva.http was written for: read keva/http/__init__.py and the head of channel.py, compare "
    "waitress/{file} with what is named here, then move the pin in pyproject.toml and requirements.txt."
)


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("waitress").startswith("3.0."), READ.format(file="*")


@pytest.mark.parametrize(
    ("owner", "names", "file"),
    [
        (wasyncore, ["dispatcher", "loop", "read", "close_all"], "wasyncore.py"),
        (
            wasyncore.dispatcher,
            ["add_channel", "del_channel", "recv", "close", "handle_read_event", "handle_write_event", "accept"],
            "wasyncore.py",
        ),
        (TcpWSGIServer, ["handle_accept", "pull_trigger", "close", "accept_connections", "fix_addr"], "server.py"),
        (trigger.trigger, ["pull_trigger", "close"], "trigger.py"),
        (
            task.ThreadedTaskDispatcher,
            ["handler_thread", "set_thread_count", "start_new_thread", "add_task", "stop_count"],
            "task.py",
        ),
        (utilities, ["build_http_date"], "utilities.py"),
        (
            Adjustments(),
            ["backlog", "log_socket_errors", "clear_untrusted_proxy_headers", "server_name"],
            "adjustments.py",
        ),
    ],
)
def test_each_name_is_there(owner: object, names: list[str], file: str) -> None:
    missing = [name for name in names if not hasattr(owner, name)]
    assert missing == [], READ.format(file=file)


@pytest.mark.parametrize(
    ("function", "parameters", "file"),
    [
        (wasyncore.loop, ["timeout", "use_poll", "map", "count"], "wasyncore.py"),
        (wasyncore.dispatcher.__init__, ["self", "sock", "map"], "wasyncore.py"),
        (task.ThreadedTaskDispatcher.start_new_thread, ["self", "target", "thread_no"], "task.py"),
        (task.ThreadedTaskDispatcher.handler_thread, ["self", "thread_no"], "task.py"),
    ],
)
def test_each_function_takes_what_it_is_given(function: object, parameters: list[str], file: str) -> None:
    assert list(inspect.signature(function).parameters) == parameters, READ.format(file=file)


def test_a_connection_is_made_by_the_class_that_the_listener_names() -> None:
    source = inspect.getsource(BaseWSGIServer.handle_accept)
    assert "self.channel_class(self, conn, addr, self.adj, map=self._map)" in source, READ.format(file="server.py")


def test_the_listener_has_what_a_request_is_told() -> None:
    listening = TcpWSGIServer(
        None,
        {},
        adj=Adjustments(clear_untrusted_proxy_headers=False),
        dispatcher=object(),
        sockinfo=(socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", 0)),
    )
    try:
        for name in ("application", "accepting", "adj", "effective_port", "server_name", "task_dispatcher", "trigger"):
            assert hasattr(listening, name), READ.format(file="server.py")
    finally:
        listening.close()


def test_a_thread_takes_the_oldest_from_the_queue_and_has_it_serve() -> None:
    served = []

    class Task:
        def __init__(self, name: str) -> None:
            self.name = name

        def service(self) -> None:
            served.append(self.name)
            if self.name == "last":
                workers.stop_count = 1

    workers = task.ThreadedTaskDispatcher()
    with workers.lock:
        workers.queue.extend([Task("first"), Task("last")])
        workers.queue_cv.notify()
    workers.handler_thread(0)
    assert served == ["first", "last"], READ.format(file="task.py")


@pytest.mark.skipif(not hasattr(select, "poll"), reason="this system has no poll")
def test_the_loop_asks_a_connection_what_it_waits_for_and_tells_it() -> None:
    ours, theirs = socket.socketpair()
    told = []

    class Connection(wasyncore.dispatcher):
        def readable(self) -> bool:
            return True

        def writable(self) -> bool:
            return True

        def handle_read(self) -> None:
            told.append(("read", self.recv(10)))

        def handle_write(self) -> None:
            told.append(("write", b""))

    connections: dict[int, wasyncore.dispatcher] = {}
    connection = Connection(ours, connections)
    connection.connected = True
    with theirs:
        theirs.sendall(b"data")
        wasyncore.loop(timeout=1, use_poll=True, map=connections, count=1)
        connection.close()
    assert (told, connections, connection.socket) == ([("read", b"data"), ("write", b"")], {}, None), READ.format(
        file="wasyncore.py"
    )
