"""What the tests share: the commands as a user runs them, in a folder of their own."""

import re
import signal
import ssl

import certifi
import pytest

from tests.commands import APP, PIPE, ROOT, Command, environ, run

__all__ = ["APP", "ROOT", "environ"]


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once():
    """httpx reads those of all authorities for each client, which takes longer than the most of our calls do."""
    authorities, create = {"cafile": certifi.where()}, ssl.create_default_context
    shared = create(**authorities)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda **how: shared if how == authorities else create(**how))
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
