"""Signatures by Standard Webhooks 1.0."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

_BYTES = 32
_PREFIX = "whsec_"


def new_secret() -> bytes:
    return secrets.token_bytes(_BYTES)


def secret_text(secret: bytes) -> str:
    """A secret as its receiver is given it."""
    return _PREFIX + base64.b64encode(secret).decode()


def headers(event_id: str, timestamp: int, body: bytes, secrets: Iterable[bytes]) -> dict[str, str]:
    """The three headers of one try at `timestamp`; several secrets sign while one is being replaced."""
    signatures = " ".join(_signature(secret, event_id, timestamp, body) for secret in secrets)
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def _signature(secret: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    signed = b"%s.%d.%s" % (event_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
