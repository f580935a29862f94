"""One's own account, to take along or to leave (spec 03 §20), as what a kill-switch of scope `auth` names."""

from __future__ import annotations

from pylon.auth.foundation import Foundation
from pylon.auth.privacy.erasure import Erasure
from pylon.auth.privacy.export import Export
from pylon.auth.registry import Method


class Account:
    """Both for one server."""

    def __init__(self, foundation: Foundation) -> None:
        self.erasure = Erasure(foundation)
        self.export = Export(foundation)


METHOD = Method("account", "Account", Account)
