"""Servers to kill and disks to break; and the figures, told at the end of a run."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .served import Server

_FIGURES: Counter[str] = Counter()


@pytest.fixture(scope="session")
def figures() -> Counter[str]:
    return _FIGURES


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "keva.db"


@pytest.fixture
def serve(db: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts a server of `db`; whatever befell it, it never failed on a request by a bug."""
    started: list[Server] = []
    logs = tmp_path_factory.mktemp("logs")

    def start(*options: str, **more: object) -> Server:
        started.append(Server(more.pop("db", db), logs, *options, **more))
        return started[-1]

    yield start
    for server in started:
        server.kill()
    for server in started:
        assert "Traceback" not in server.log, server.log


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _FIGURES:
        terminalreporter.section("reliability, in figures")
        for what, number in _FIGURES.items():
            terminalreporter.write_line(f"{number:>10,}  {what}")
