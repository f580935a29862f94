"""Why a policy decides as it does, for operators: nobody else is ever shown an expression."""

from __future__ import annotations

from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.model.schema import Action
from pylon.policy.cases import Person
from pylon.policy.explain import Situation, Verdict, explain
from pylon.store.protocol import ReadSession
from pylon.web.admin.body import decode_body
from pylon.web.described import READS, WRITES, describes
from pylon.web.request import Request, Resource, require_admin

_READ_SECONDS = 5.0


class ExplainOrder(msgspec.Struct, forbid_unknown_fields=True, rename={"who": "as"}):
    """The body: whose right to do what with which row. `data` is a row that needn't be stored, `new` what an update
    would set."""

    entity: str
    action: Literal["read", "insert", "update", "delete"] = "read"
    who: Person = Person()
    row: str | None = None
    data: dict[str, Any] | None = None
    new: dict[str, Any] = {}


class Explain(Resource):
    """`/api/admin/policy/explain`."""

    @describes(dict[str, Any], body=ExplainOrder, who="admin", errors=("NOT_FOUND", *READS, *WRITES))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The verdict and its reasons."""
        require_admin(req)
        order = decode_body(await req.body(), ExplainOrder)
        engine = req.doors.engine
        plan = engine.plans.for_read(order.entity, req.caller.identity)
        rule = plan.policy.rule(Action(order.action))

        def ask(session: ReadSession) -> Verdict:
            if order.row is not None:
                values = session.get(plan.name, order.row)
                if values is None:
                    raise PylonError("NOT_FOUND", f'{plan.name} with id "{order.row[:100]}" not found')
                row = plan.types.load(values)
            else:
                row = plan.types.convert_insert(order.data or {})
            new = None
            if order.action == "update":
                new = msgspec.structs.replace(row, **plan.types.convert_patch(order.new))
            return explain(rule, Situation(order.who.identity(), row, new, engine.now(), session.exists))

        verdict = await engine.reads.run(ask, _READ_SECONDS, caller=req.caller, what="policy explain")
        await engine.audit.note(
            req.caller, "policy.explain", plan.name, row=order.row, user=order.who.user, asked=order.action
        )
        resp.data = msgspec.json.encode(verdict)


ROUTES: dict[str, object] = {"/api/admin/policy/explain": Explain()}
