"""What another Keva says of itself is believed within bounds."""

import json

import pytest

from keva.remote.client import RemoteFailed

EMPTY = {"data": [], "pagination": {"page": 1, "perPage": 100, "total": 5, "totalPages": 1}}
JSON = {"Content-Type": "application/json"}


def test_a_total_that_is_never_reached_ends_at_an_empty_page(keva, remote):
    keva.fail(200, body=json.dumps(EMPTY), headers=JSON, method="GET", times=3)
    assert list(remote.tickets()) == []
    assert len(keva.requests()) == 1


def test_a_limit_whose_clock_is_wrong_is_waited_for_a_minute(keva, remote):
    far = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}
    keva.fail(200, body=json.dumps(EMPTY), headers=JSON | far, method="GET", times=1)
    list(remote.tickets())
    list(remote.tickets())
    assert remote.pauses == [60]


def test_one_that_asks_to_wait_for_hours_is_left_for_later(keva, remote):
    keva.fail(503, headers={"Retry-After": "86400"}, times=None)
    with pytest.raises(RemoteFailed, match="asks to wait for 86,400 s before GET"):
        list(remote.tickets())
    assert remote.pauses == []
