"""The threads that call the application: what waits keeps none of them."""

import threading
from types import SimpleNamespace

from keva.http.workers import Turns

from .serving import GET, read_answer, running, wait_until

WAITING = b"GET /waiting HTTP/1.1\r\nHost: desk\r\n\r\n"


def test_calls_that_wait_keep_no_thread_from_the_others() -> None:
    with running(threads=1) as running_server:
        waiting = [running_server.send(WAITING) for _ in range(50)]
        running_server.wait_for_calls(50)
        assert running_server.ask(GET).status == 200
        running_server.app.release.set()
        assert [read_answer(client).status for client in waiting] == [200] * 50
        wait_until(lambda: workers() == 1)
        assert running_server.ask(GET).status == 200


def test_a_call_that_waits_holds_up_no_stop() -> None:
    with running(threads=1) as running_server:
        waiting = [running_server.send(WAITING) for _ in range(5)]
        running_server.wait_for_calls(5)
        running_server.release_in_the_stop()
        running_server.stop()
        assert [read_answer(client).status for client in waiting] == [200] * 5


def test_first_calls_and_answers_that_go_on_have_their_turns() -> None:
    turns = Turns()
    for name in ("long 1", "long 2", "long 3", "new 1", "new 2"):
        turns.append(SimpleNamespace(name=name, begun=name.startswith("long"), queued_at=0.0))
    order = [turns.popleft().name for _ in range(len(turns))]
    assert order in (["long 1", "new 1", "long 2", "new 2", "long 3"], ["new 1", "long 1", "new 2", "long 2", "long 3"])


def workers() -> int:
    return sum(thread.name.startswith("keva-") for thread in threading.enumerate())
