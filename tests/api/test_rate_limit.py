"""The rate limit: exact, for each key, in fixed minutes."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from keva.api.rate_limit import RateLimit
from keva.testing import Keva

TICKETS = "/api/v1/tickets"


@pytest.fixture
def keva():
    with Keva(rate_limit=100) as keva, httpx.Client(base_url=keva.url) as keva.client:
        keva.freeze("2024-01-15T10:30:20Z")
        yield keva


def get(keva, key=None):
    return keva.client.get(TICKETS, headers={"Authorization": f"Bearer {key or keva.key}"})


def test_each_answer_tells_what_is_left_and_one_too_many_is_told_when_to_come_again(keva):
    first = get(keva)
    assert first.headers["x-ratelimit-limit"] == "100"
    assert first.headers["x-ratelimit-remaining"] == "99"
    assert first.headers["x-ratelimit-reset"] == "1705314660"  # 10:31:00
    for _ in range(99):
        last = get(keva)
    refused = get(keva)

    assert (last.status_code, last.headers["x-ratelimit-remaining"]) == (200, "0")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert list(refused.json()) == ["error"]


def test_the_next_minute_begins_anew(keva):
    for _ in range(101):
        get(keva)
    keva.advance(39)
    assert get(keva).status_code == 429
    keva.advance(1)
    assert get(keva).headers["x-ratelimit-remaining"] == "99"


def test_it_is_exact_under_concurrency(keva):
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: get(keva).status_code, range(150)))
    assert statuses.count(200) == 100
    assert statuses.count(429) == 50


class Slow(float):
    """A time that every look at gives other threads their turn."""

    def __floordiv__(self, other):
        time.sleep(0.001)
        return super().__floordiv__(other)


def test_it_is_exact_when_a_minute_begins_for_many_at_once():
    limit = RateLimit(10, lambda: Slow(1705314660))
    with ThreadPoolExecutor(20) as pool:
        refusals = list(pool.map(lambda _: limit.count("key_1")[1], range(20)))
    assert refusals.count(None) == 10


def test_each_key_has_its_own_and_an_unknown_one_counts_for_nobody(keva):
    other = keva.create_key()
    for _ in range(101):
        get(keva)
    assert get(keva, other).headers["x-ratelimit-remaining"] == "99"
    unknown = get(keva, "keva_live_unknown")
    assert unknown.status_code == 401
    assert "x-ratelimit-limit" not in unknown.headers


def test_a_refused_call_counts_and_is_limited_before_its_scope_is_looked_at(keva):
    reader = keva.create_key(scopes=["tickets:read"])
    headers = {"Authorization": f"Bearer {reader}"}
    statuses = [keva.client.post(TICKETS, json={}, headers=headers).status_code for _ in range(101)]
    assert statuses == [403] * 100 + [429]


def test_without_one_there_are_no_headers():
    with Keva() as keva, httpx.Client(base_url=keva.url) as keva.client:
        assert "x-ratelimit-limit" not in get(keva).headers
