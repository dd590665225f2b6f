"""What the tests share: the commands as a user runs them, in a folder of their own."""

import functools
import os
import re
import shutil
import signal
import ssl
from pathlib import Path

import pytest

from tests.commands import APP, PIPE, ROOT, Command, environ, run

__all__ = ["APP", "ROOT", "environ"]


def pytest_configure():
    """Saves time: the tests' folders are in memory, and what is compiled is kept for the next of many commands.

    That syncs are made and heeded, no disk has to show.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 2 * 1024**3:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Twice as many as there are cores: the tests wait for much of their time."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once():
    """httpx reads those of all authorities for each client, which takes longer than the most of our calls do."""
    create, shared = ssl.create_default_context, functools.cache(ssl.create_default_context)
    with pytest.MonkeyPatch.context() as patch:
        # httpx names a file of them; the desk does not, and heeds what a test has changed.
        patch.setattr(ssl, "create_default_context", lambda **how: shared(**how) if how else create())
        yield


@pytest.fixture
def cli(tmp_path):
    """Runs a command to its end in the test's folder."""

    return lambda *words, sent=None, **variables: run(*words, sent=sent, cwd=tmp_path, env=environ(**variables))


class Running:
    """A server in the test's folder: `origin`, what it has said so far, and its end."""

    def __init__(self, folder, words, variables):
        self.log = folder / "log"
        port = [] if "KEVA_PORT" in variables else ["--port", "0"]
        with self.log.open("a") as log:
            self.process = Command(
                "serve", *port, *words, cwd=folder, env=environ(**variables), stdout=PIPE, stderr=log
            )
        self.first_line = self.process.stdout.readline()
        found = re.fullmatch(r"Keva is listening on (http://\S+)\n", self.first_line)
        if not found:
            self.process.kill()
            self.process.wait()
        assert found, self.first_line + self.log.read_text()
        self.origin = found[1]
        self.output = ""

    def stop(self, number=signal.SIGTERM):
        """Its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            self.output = self.process.stdout.read()
            self.process.stdout.close()
            self.process.wait(10)
        return self.process.returncode


@pytest.fixture
def serve(tmp_path):
    """Starts a server; each must end well."""
    started = []

    def start(*words, **variables):
        started.append(Running(tmp_path, words, variables))
        return started[-1]

    yield start
    assert [running.stop() for running in started] == [0] * len(started)
