"""The pytest plugin: a Keva for each run, as new for each test, and its journal in the report of a failing test."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from keva import clocks as clocks  # loaded now, before a test can have replaced what they are made of
from keva.files import real_files

if TYPE_CHECKING:
    from keva.testing import Keva

_SERVER: "pytest.StashKey[Keva]" = pytest.StashKey()


@pytest.fixture(scope="session")
def keva_options() -> dict[str, Any]:
    """The arguments of `keva.testing.Keva`, for a suite to override."""
    return {}


@pytest.fixture(scope="session")
def keva_server(keva_options: dict[str, Any], pytestconfig: pytest.Config) -> "Iterator[Keva]":
    """A Keva for the whole run."""
    # Loaded only here: every run of pytest loads this file, whether its tests want a Keva or not.
    with real_files():
        from keva.testing import Keva

    with Keva(**keva_options) as server:
        pytestconfig.stash[_SERVER] = server
        yield server
        del pytestconfig.stash[_SERVER]


@pytest.fixture
def keva(keva_server: "Keva") -> "Keva":
    """The Keva of this run, as new."""
    keva_server.reset()
    return keva_server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    server = item.config.stash.get(_SERVER, None)
    if report.failed and server and "keva_server" in getattr(item, "fixturenames", ()):
        report.sections.append(("Keva's journal", server.journal()))
    return report
