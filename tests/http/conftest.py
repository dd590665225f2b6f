"""A server for each test, which looks at its connections often."""

from collections.abc import Iterator

import pytest

from keva.http import server

from .serving import Running, running


@pytest.fixture
def running_server() -> Iterator[Running]:
    with running() as it:
        yield it


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.05)
