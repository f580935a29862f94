"""Usage and budgets over HTTP."""

from __future__ import annotations

import re
from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.engine.limits.budget import Budget
from pylon.engine.limits.usage import Meter, periods
from pylon.model.errors import PylonError
from pylon.store.protocol import ReadSession
from pylon.web.admin.body import decode_body
from pylon.web.described import ANYTHING, describes
from pylon.web.request import Request, Resource, require_admin, whole_number

_PERIOD = re.compile(r"\d{4}-\d\d(-\d\d)?\Z")
_READ_SECONDS = 5.0
_TOP = 10
_TOP_MAX = 1000


class UsageReport(Resource):
    """`/api/admin/usage`."""

    @describes(dict[str, Any], who="admin", query={"period": str, "user": str, "limit": int}, errors=("QUERY_TIMEOUT",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Totals of a day or month and who used most; `user` asks for one alone, `meter` for one meter's list."""
        require_admin(req)
        engine = req.doors.engine
        period = req.get_param("period") or periods(engine.now())[1]
        if not _PERIOD.match(period):
            raise PylonError("INVALID_QUERY", "period is a month such as 2026-11 or a day such as 2026-11-23")
        user, limit = req.get_param("user"), min(whole_number(req.get_param("limit"), _TOP) or _TOP, _TOP_MAX)
        await engine.usage.flush()

        def read(session: ReadSession) -> dict[str, object]:
            if user is not None:
                return {"period": period, "user": user, "used": session.usage_of(period, user)}
            top = {meter.value: session.usage_top(period, meter.value, limit) for meter in Meter}
            return {"period": period, "used": session.usage_totals(period), "top": top}

        report = await engine.reads.run(read, _READ_SECONDS)
        resp.data = msgspec.json.encode(
            {**report, "pollers": engine.gate.talkers.pollers.top(_TOP), "budgets": engine.budgets.states}
        )


class BudgetList(Resource):
    """`/api/admin/budgets`."""

    @describes({"budgets": list[dict[str, Any]], "states": ANYTHING}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """All budgets, and how they stand."""
        require_admin(req)
        budgets = req.doors.engine.budgets
        shown = [{"key": budget.key, **msgspec.to_builtins(budget)} for budget in budgets.all()]
        resp.data = msgspec.json.encode({"budgets": shown, "states": budgets.states})

    @describes({"key": str}, body=Budget, who="admin", status=201, errors=("INVALID_DATA", "CONFLICT"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Set one."""
        require_admin(req)
        budget = decode_body(await req.body(), Budget)
        await req.doors.engine.budgets.put(req.caller, budget)
        resp.status = 201
        resp.data = msgspec.json.encode({"key": budget.key, **msgspec.to_builtins(budget)})


class BudgetItem(Resource):
    """`/api/admin/budgets/{key}`."""

    @describes({"deleted": Literal[True]}, who="admin", errors=("NOT_FOUND",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, key: str) -> None:
        """Forget it."""
        require_admin(req)
        await req.doors.engine.budgets.delete(req.caller, key)
        resp.data = b'{"deleted":true}'


ROUTES: dict[str, object] = {
    "/api/admin/usage": UsageReport(),
    "/api/admin/budgets": BudgetList(),
    "/api/admin/budgets/{key}": BudgetItem(),
}
