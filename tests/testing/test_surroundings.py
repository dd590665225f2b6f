"""What is around a desk for tests: proxies in its environment, signals to its process, the folder of its files."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from keva.testing import Keva
from tests.conftest import ROOT

SCRIPT = """
import os, signal, sys, tempfile, threading
from keva.testing import Keva
{before}
keva = Keva().start()
[folder] = [name for name in os.listdir(tempfile.gettempdir()) if name.startswith("keva-")]
print(folder, flush=True)
{after}
threading.Event().wait(30)
"""


@pytest.fixture
def running(tmp_path):
    """Starts a process that holds a desk, whose temporary folder is `tmp_path`; it has started once this returns."""
    processes = []

    def start(before="", after=""):
        code = SCRIPT.format(before=before, after=after)
        environ = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline().startswith("keva-")
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


unix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@unix
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_signal_that_ends_the_process_takes_the_folder_with_it(running, tmp_path, number):
    process = running()
    process.send_signal(getattr(signal, number))
    assert process.wait(30) == -getattr(signal, number)
    assert list(tmp_path.iterdir()) == []


@unix
def test_a_suites_own_handler_is_left_alone(running, tmp_path):
    process = running(before="signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 7


@unix
def test_a_signal_to_a_forked_child_ends_the_child_alone(running, tmp_path):
    # The child says when it is there: Python drops a signal that comes in the middle of a fork.
    after = """
here, there = os.pipe()
child = os.fork()
if child == 0:
    os.write(there, b"here")
    signal.pause()
os.read(here, 4)
os.kill(child, signal.SIGTERM)
print(os.waitpid(child, 0)[1], flush=True)
print(len(keva.tickets()), os.path.isdir(os.path.join(tempfile.gettempdir(), folder)), flush=True)
"""
    process = running(after=after)
    assert int(process.stdout.readline()) == signal.SIGTERM
    assert process.stdout.readline() == "0 True\n"


@unix
def test_the_last_desk_to_stop_leaves_signals_as_they_were():
    before = signal.getsignal(signal.SIGTERM)
    with Keva() as first:
        with Keva():
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        folder = first._sandbox.database.path.parent
        assert folder.parent == Path(tempfile.gettempdir()).resolve()
    assert signal.getsignal(signal.SIGTERM) is before
    assert not folder.exists()


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_where_no_call_came_a_report_hints_at_a_proxy(keva, monkeypatch, no_proxies, name):
    assert keva.journal() == "no call at all"
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert f"{name} is set" in keva.journal()
    assert "add 127.0.0.1 to NO_PROXY" in keva.journal()
    with pytest.raises(AssertionError, match=f"{name} is set"):
        keva.wait_for(timeout=0)
    monkeypatch.setenv("NO_PROXY", "example.com,127.0.0.1")
    assert keva.journal() == "no call at all"


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_the_environment_for_a_subprocess_keeps_the_list_of_what_needs_no_proxy(keva, monkeypatch, no_proxies, name):
    assert keva.environ["NO_PROXY"] == keva.environ["no_proxy"] == "127.0.0.1"
    monkeypatch.setenv(name, "example.com,.internal")
    assert keva.environ["NO_PROXY"] == keva.environ["no_proxy"] == "example.com,.internal,127.0.0.1"
