"""What the tests share: the commands as a user runs them, in a folder of their own."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APP = ROOT / "app.py"


def environ(**ours):
    """This process's environment without its KEVA_ variables, which would be options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KEVA_")} | ours


@pytest.fixture
def cli(tmp_path):
    """Runs a command to its end in the test's folder."""

    def run(*words, sent=None, **variables):
        command = [sys.executable, APP, *map(str, words)]
        options = {"input": sent, "capture_output": True, "text": True, "check": False}
        # A server that should have been refused would run for ever.
        return subprocess.run(command, cwd=tmp_path, env=environ(**variables), timeout=30, **options)

    return run


class Running:
    """A server in the test's folder: `origin`, what it has said so far, and its end."""

    def __init__(self, folder, words, variables):
        self.log = folder / "log"
        port = [] if "KEVA_PORT" in variables else ["--port", "0"]
        with self.log.open("a") as log:
            command = [sys.executable, APP, "serve", *port, *map(str, words)]
            self.process = subprocess.Popen(
                command, cwd=folder, env=environ(**variables), stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.first_line = self.process.stdout.readline()
        found = re.fullmatch(r"Keva is listening on (http://\S+)\n", self.first_line)
        if not found:
            self.process.kill()
            self.process.communicate()
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
