"""How long those who are refused are told to wait: never shorter than needed, and never all equally long.

Those who were refused together should not return together.
"""

from __future__ import annotations

import math
import random

JITTER = 0.5
"""Waiting times are told with up to this share on top."""


def spread(seconds: float) -> int:
    """Whole seconds for `Retry-After`."""
    return max(1, math.ceil(seconds * (1 + random.random() * JITTER)))  # noqa: S311 - spreads retries, guards nothing
