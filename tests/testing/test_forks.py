"""Processes that a suite forks, which hold copies of all that is open."""

import os
import socket
import warnings
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from keva.testing import Keva
from tests.testing.conftest import TICKETS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@contextmanager
def forked():
    """A child that lives as long as the block."""
    wait, let_go = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, since there are threads
        child = os.fork()
    if child == 0:
        os.close(let_go)
        os.read(wait, 1)
        os._exit(0)
    os.close(wait)
    try:
        yield
    finally:
        os.close(let_go)
        os.waitpid(child, 0)


@pytest.fixture
def keva():
    with Keva() as keva:
        yield keva


@pytest.mark.parametrize(
    ("how", "error"),
    [("close", httpx.RemoteProtocolError), ("partial", httpx.RemoteProtocolError), ("reset", httpx.ReadError)],
)
def test_a_dropped_connection_ends_though_a_child_holds_a_copy(keva, client, how, error):
    assert client.get(TICKETS).status_code == 200  # on the connection that is dropped next
    with forked():
        keva.drop(how)
        with pytest.raises(error):
            client.get(TICKETS, timeout=5)
        assert client.get(TICKETS).status_code == 200


def test_a_stopped_desk_accepts_no_more_though_a_child_holds_a_copy_of_its_door(keva):
    port = urlsplit(keva.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as idle, forked():
        keva.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        assert idle.recv(1) == b""
