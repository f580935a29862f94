"""Hooks of writes as a stage of the write path: so they fire on every door, and cost nothing where nobody has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pylon.engine.plan import EntityPlan
from pylon.engine.stages import Stage
from pylon.engine.transaction import Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.plugins.spec import WRITE_HOOKS
from pylon.plugins.write import Write
from pylon.signals.logs import Log

if TYPE_CHECKING:
    from pylon.plugins.host import Plugins

log = Log("pylon.plugins")

MAX_DEPTH = 40
"""Writes of hooks within writes of hooks, before it is taken for a loop."""


class HookStage(Stage):
    """The hooks that one entity's writes pass."""

    def __init__(self, host: Plugins, hooks: dict[str, Any]) -> None:
        self._host = host
        self._before_insert, self._before_update, self._before_delete, *after = (hooks[name] for name in WRITE_HOOKS)
        self._after = dict(zip(("insert", "update", "delete"), after, strict=True))

    def inserting(self, transaction: Transaction, plan: EntityPlan, row: Any) -> None:
        if self._before_insert is not None:
            self._call(self._before_insert, Write(self._host, transaction, plan, "insert", row=row))

    def updating(self, transaction: Transaction, plan: EntityPlan, old: Any, patch: dict[str, Any]) -> None:
        if self._before_update is not None and patch:
            self._call(self._before_update, Write(self._host, transaction, plan, "update", old=old, patch=patch))

    def deleting(self, transaction: Transaction, plan: EntityPlan, old: Any) -> dict[str, Any] | None:
        if self._before_delete is None:
            return None
        write = Write(self._host, transaction, plan, "delete", old=old)
        self._call(self._before_delete, write)
        return write.instead

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        hook = self._after[change.kind]
        if hook is not None:
            old = change.row if change.kind == "delete" else change.old
            row = None if change.kind == "delete" else change.row
            patch = None if change.kind != "update" else {name: getattr(row, name) for name in change.fields}
            write = Write(self._host, transaction, plan, change.kind, row=row, old=old, patch=patch, frozen=True)
            self._call(hook, write)

    def _call(self, hook: Any, write: Write) -> None:
        host = self._host
        if host.depth >= MAX_DEPTH:
            raise PylonError("HOOK_FAILED", f"{MAX_DEPTH} hooks deep at {write.entity}: do they write in a circle?")
        host.depth += 1
        try:
            hook(write=write)
        except PylonError:
            raise
        except Exception as error:  # the boundary to a plugin's own code
            log.exception("hook failed", entity=write.entity, kind=write.kind, request_id=write.caller.request_id)
            raise PylonError("HOOK_FAILED", "A plugin failed; nothing was written") from error
        finally:
            host.depth -= 1
