"""Sessions are granted in one place, so that no way of signing in leaves locks, switches and the second factor out."""

from __future__ import annotations

import ast
from pathlib import Path

import pylon

ROOT = Path(pylon.__file__).parent
GRANTING = {"grant", "create", "put"}
MAY_GRANT = {
    "auth/sign_in.py": "the one last step",
    "auth/sessions.py": "sessions themselves",
    "auth/methods/session.py": "developers and admins, without a proof",
    "testing/app.py": "tests",
}


def granting(file: Path) -> bool:
    """Whether a module makes or stores sessions: calls of `….sessions.grant`, `create` or `put`."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in GRANTING
        and isinstance(owner := node.func.value, ast.Attribute | ast.Name)
        and (owner.attr if isinstance(owner, ast.Attribute) else owner.id).strip("_") in ("sessions", "Sessions")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
    )


def test_nothing_but_the_last_step_of_signing_in_grants_a_session() -> None:
    found = {str(file.relative_to(ROOT)) for file in ROOT.rglob("*.py") if granting(file)}
    assert found >= {"auth/sign_in.py", "auth/methods/session.py"}
    assert found <= MAY_GRANT.keys()
