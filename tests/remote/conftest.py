"""A desk that stands for the hosted Keva, with a client of it that never really waits."""

import httpx
import pytest

from keva.remote.client import Remote
from keva.times import parse


@pytest.fixture
def remote(keva):
    """Its pauses move the desk's clock on; `pauses` has them."""
    pauses = []

    def sleep(seconds):
        if seconds:
            pauses.append(seconds)
            keva.advance(seconds)

    keva.freeze("2026-01-15T10:30:10Z")
    made = Remote(keva.url, keva.key, now=lambda: parse(keva.now).timestamp(), sleep=sleep)
    made.pauses = pauses
    return made


@pytest.fixture
def there(keva):
    """Calls to the desk as whoever uses it in a browser makes them."""
    with httpx.Client(base_url=f"{keva.url}/api/v1", headers={"Authorization": f"Bearer {keva.key}"}) as client:
        yield client
