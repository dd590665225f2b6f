"""All control endpoints that a desk for tests has by itself."""

from typing import TYPE_CHECKING

from keva.api.registry import Endpoint
from keva.testing.control import control_endpoints
from keva.testing.snapshot_control import snapshot_endpoints
from keva.testing.webhook_control import webhook_endpoints

if TYPE_CHECKING:
    from keva.testing.sandbox import Sandbox


def every_endpoint(sandbox: "Sandbox") -> list[Endpoint]:
    """For `create_app`."""
    return [*control_endpoints(sandbox), *webhook_endpoints(sandbox), *snapshot_endpoints(sandbox)]
