"""The pytest plugin, as a suite that has just installed it meets it."""

import pytest

from tests.commands import LEFT_OUT

pytest_plugins = ["pytester"]

SUITE = """
import json
import urllib.request


def post(keva, body):
    request = urllib.request.Request(keva.url + "/api/v1/tickets", json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {keva.key}")
    request.add_header("Content-Type", "application/json")
    return urllib.request.urlopen(request).status


NEW = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."}
"""


@pytest.fixture
def suite(pytester):
    def run(tests, *options):
        pytester.makepyfile(SUITE + tests)
        return pytester.runpytest_subprocess(*LEFT_OUT, "-W", "error", *options)

    return run


def test_each_test_finds_the_desk_as_new(suite):
    result = suite(
        """
def test_one(keva):
    assert post(keva, NEW) == 201
    assert [ticket["id"] for ticket in keva.tickets()] == ["tkt_000001"]

def test_two(keva):
    assert keva.tickets() == []
    assert post(keva, NEW) == 201
    assert [ticket["id"] for ticket in keva.tickets()] == ["tkt_000001"]
"""
    )
    result.assert_outcomes(passed=2)


def test_a_failing_test_shows_its_journal_and_a_passing_one_nothing(suite):
    result = suite(
        """
import pytest

def test_passes(keva):
    post(keva, NEW)

def test_fails(keva):
    post(keva, NEW | {"subject": ""})
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Keva's journal*", "<POST /api/v1/tickets 400 'subject must not be blank.'>"])
    result.stdout.no_fnmatch_line("*tickets 201*")
    result.stdout.no_fnmatch_line("*Captured log*")


def test_a_failing_set_up_shows_it_too(suite):
    result = suite(
        """
import pytest

@pytest.fixture
def ticket(keva):
    post(keva, NEW | {"body": ""})

def test_never_gets_there(ticket):
    pass
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Keva's journal*", "<POST /api/v1/tickets 400 'body must not be blank.'>"])


def test_options_may_be_overridden_and_a_module_may_have_it(suite):
    result = suite(
        """
import pytest

@pytest.fixture(scope="session")
def keva_options():
    return {"api_key": "keva_live_ours"}

@pytest.fixture(scope="module")
def full(keva_server):
    keva_server.seed()
    return keva_server

def test_it(full):
    assert full.key == "keva_live_ours"
    assert len(full.tickets()) == 1
"""
    )
    result.assert_outcomes(passed=1)


def test_each_worker_of_xdist_has_its_own(suite):
    result = suite(
        """
import pytest

@pytest.mark.parametrize("number", range(8))
def test_it(keva, number):
    assert post(keva, NEW) == 201
    assert len(keva.tickets()) == len(keva.requests()) == 1
""",
        "-n",
        "2",
    )
    result.assert_outcomes(passed=8)


def test_a_suite_that_does_not_use_it_loads_nothing_of_it(suite):
    result = suite(
        """
import sys

def test_it():
    assert "keva.pytest_plugin" in sys.modules
    assert not {"sqlite3", "flask", "pydantic", "waitress", "keva.testing"} & set(sys.modules)
"""
    )
    result.assert_outcomes(passed=1)


MISTAKES = [
    "keva.fail(status='503')",
    "keva.fail(path='/nowhere')",
    "keva.ticket('tkt_nope')",
    "keva.seed(status='new')",
    "keva.seed([{'id': 'tkt_1'}, {'id': 'tkt_1'}])",
    "keva.create_key(scopes=['everything'])",
    "keva.create_workspace('')",
    "keva.freeze('today')",
    "keva.wait_for(timeout=0)",
    "keva.wait_for(count=0)",
    "keva.webhook('example.com')",
    "keva.answer('tkt_nope', 'Hello.')",
    "keva.send('ticket.closed')",
    "keva.restore(None)",
]


def test_a_mistake_in_a_test_shows_the_tests_line_and_none_of_ours(suite):
    result = suite("".join(f"def test_{number}(keva):\n    {use}\n\n" for number, use in enumerate(MISTAKES)))
    result.assert_outcomes(failed=len(MISTAKES))
    for use in MISTAKES:
        result.stdout.fnmatch_lines([f">   *{use.replace('[', '[[]')}"])
    result.stdout.no_re_match_line(r".*(keva/\w+|validation)\.py:\d+")


def test_a_bug_of_ours_shows_where_it_is(suite):
    result = suite(
        """
def test_it(keva, monkeypatch):
    monkeypatch.delattr("keva.testing.sandbox.Sandbox.tickets")
    keva.tickets()
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r".*testing/keva\.py:\d+: AttributeError"])
