"""Webhooks out: each change that an endpoint wants is posted to it, at least once and in order.

app = App("shop", plugins=[Webhooks(Endpoint("crm", "https://crm.example.com/in", entities=["Order"], secret=KEY))])

$ pylon webhooks list
"""

from pylon.plugins.webhooks.endpoints import Endpoint
from pylon.plugins.webhooks.plugin import Webhooks
from pylon.plugins.webhooks.signing import verify

__all__ = ["Endpoint", "Webhooks", "verify"]
