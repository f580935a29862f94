"""Organisations, as what a kill-switch of scope `auth` names: `pylon switch on auth orgs`."""

from __future__ import annotations

from pylon.auth.organisations.organisations import Organisations
from pylon.auth.registry import Method

METHOD = Method("orgs", "Organisations", Organisations)
