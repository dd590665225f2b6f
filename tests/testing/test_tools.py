"""What suites do to time, files and sockets, with the tools themselves: the desk beside them goes on as ever."""

import pytest

from tests.commands import LEFT_OUT

pytest_plugins = ["pytester"]

SUITE = """
import json
import pytest
import urllib.request

NEW = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."}

def post(keva):
    request = urllib.request.Request(keva.url + "/api/v1/tickets", json.dumps(NEW).encode())
    request.add_header("Authorization", f"Bearer {keva.key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        return answer.status

def works(keva):
    assert post(keva) == 201
    assert len(keva.tickets()) == 1
    keva.delay(0.05)
    assert post(keva) == 201
    assert keva.requests()[1].duration >= 0.05
    assert len(keva.wait_for(count=2)) == 2
    with pytest.raises(AssertionError, match="did not come"):
        keva.wait_for(count=3, timeout=0.05)
    keva.reset()
    assert keva.tickets() == []
"""
TIMES = """
import datetime
import time
from unittest import mock
import time_machine
from freezegun import freeze_time

FAR = datetime.datetime(2040, 5, 6, tzinfo=datetime.UTC)
WAYS = [
    lambda: freeze_time(FAR),
    lambda: freeze_time(FAR, tick=True),
    lambda: time_machine.travel(FAR, tick=False),
    lambda: time_machine.travel(FAR, tick=True),
    lambda: time_machine.travel(0, tick=False),
    lambda: mock.patch("time.time", return_value=0),
    lambda: mock.patch("time.monotonic", return_value=0),
    lambda: mock.patch("time.perf_counter", return_value=0),
    lambda: mock.patch("time.sleep", side_effect=AssertionError),
]
TODAY = "%s"

def tells_the_real_time(keva):
    post(keva)
    [ticket] = keva.tickets()
    assert ticket["createdAt"] >= TODAY
    assert ticket["createdAt"][:4] != "2040"
    keva.reset()
"""


@pytest.fixture
def suite(pytester):
    def run(tests, *options):
        pytester.makepyfile(SUITE + tests)
        return pytester.runpytest_subprocess(*LEFT_OUT, "-W", "error", *options, timeout=60)

    return run


def test_a_stopped_or_moved_time_reaches_neither_the_desks_clock_nor_its_waits(suite):
    result = suite(
        TIMES.replace("%s", "2024-01-01")
        + """
@pytest.mark.parametrize("way", WAYS)
def test_it(keva, way):
    with way():
        works(keva)
        tells_the_real_time(keva)

def test_the_desks_own_clock_beside_it(keva):
    with time_machine.travel(FAR):
        keva.freeze("2024-01-15T10:30:00Z")
        post(keva)
    assert keva.tickets()[0]["createdAt"] == "2024-01-15T10:30:00Z"
"""
    )
    result.assert_outcomes(passed=10)


@pytest.mark.parametrize("way", ["freeze_time(FAR)", "time_machine.travel(FAR, tick=False)"])
def test_a_desk_may_start_while_the_time_is_stopped(suite, way):
    result = suite(
        TIMES.replace("%s", "2024-01-01")
        + f"""
@pytest.fixture(scope="session", autouse=True)
def first():
    with {way}:
        yield

def test_it(keva):
    works(keva)
    tells_the_real_time(keva)
"""
    )
    result.assert_outcomes(passed=1)


def test_files_that_are_not_there_are_none_of_the_desks(suite):
    result = suite(
        """
import os
from unittest import mock

def test_beside(keva, fs):
    works(keva)

def test_before(fs):
    from keva.testing import Keva
    with Keva() as keva:
        works(keva)
    assert not os.path.exists(__file__)

@pytest.mark.parametrize("name", ["os.stat", "os.open", "os.path.exists", "builtins.open", "pathlib.Path.exists"])
def test_mocked(keva, name):
    with mock.patch(name, side_effect=FileNotFoundError):
        works(keva)

def test_after(keva):
    works(keva)
"""
    )
    result.assert_outcomes(passed=8)


def test_a_fixture_that_is_first_asked_for_while_files_are_faked(suite):
    result = suite(
        """
import os

def test_first(fs, request):
    works(request.getfixturevalue("keva"))
    assert not os.path.exists(__file__)

def test_then(keva):
    works(keva)
"""
    )
    result.assert_outcomes(passed=2)


def test_an_import_in_the_midst_of_faked_files_says_where_to_import(suite):
    result = suite(
        """
def test_it(fs):
    with pytest.raises(ImportError, match="at the top of the test's module"):
        from keva.testing import Keva
"""
    )
    result.assert_outcomes(passed=1)


def test_sockets_that_are_disabled_elsewhere(suite):
    result = suite(
        """
import socket

@pytest.mark.enable_socket
def test_one(keva):
    works(keva)

def test_two():
    with pytest.warns(UserWarning, match="socket"), pytest.raises(RuntimeError):
        socket.socket()

@pytest.mark.enable_socket
def test_three(keva):
    works(keva)
""",
        "--disable-socket",
    )
    result.assert_outcomes(passed=3)


def test_hosts_that_are_allowed(suite):
    result = suite(
        """
def test_it(keva):
    works(keva)
""",
        "--allow-hosts=127.0.0.1",
    )
    result.assert_outcomes(passed=1)
