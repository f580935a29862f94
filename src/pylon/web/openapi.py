"""`/api/openapi.json`: the API of one app as OpenAPI 3.1 (spec 01 §7), made from what the app declares and from what
each route says of itself (`web/described.py`). Paths of entities and functions are written out, one for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pylon.model.errors import REGISTRY
from pylon.model.json_schema import (
    OPERATORS,
    JsonSchema,
    RowOf,
    argument_types,
    entity_schemas,
    field_schema,
    result_type,
)
from pylon.model.schema import AppSpec, EntitySpec, Field, FunctionSpec, Kind
from pylon.plugins.requests import Route
from pylon.web.described import AnyOf, Description, Media, Ref, Shape, description_of
from pylon.web.edge import is_open

REFERENCE = "#/components/schemas/{}"
EVENTS = Description(Media(("text/event-stream",)), query={"token": str}, errors=("STREAM_OVERLOADED",))
"""`/api/sync/events`, which is answered beside the other routes."""

_METHODS = ("get", "post", "put", "patch", "delete")
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_SENTENCE = re.compile(r"(?<=[.?!])\s")
_NAMES = {
    "get /health": "healthCheck",
    "get /api/manifest": "getManifest",
    "get /api/openapi.json": "getOpenApiSpec",
    "post /api/query": "graphQuery",
    "post /api/batch": "batchOperations",
    "post /api/transact": "atomicTransaction",
    "get /api/export": "exportAll",
    "get /api/entities/{entity}": "list{}",
    "post /api/entities/{entity}": "create{}",
    "get /api/entities/{entity}/{id}": "get{}ById",
    "put /api/entities/{entity}/{id}": "put{}",
    "patch /api/entities/{entity}/{id}": "update{}",
    "delete /api/entities/{entity}/{id}": "delete{}",
    "get /api/entities/{entity}/cursor": "list{}ByCursor",
    "get /api/entities/{entity}/count": "count{}",
    "post /api/query/{entity}": "query{}",
    "get /api/lookup/{entity}/{field}/{value}": "lookup{}",
    "post /api/aggregate/{entity}": "aggregate{}",
    "post /api/search/{entity}": "search{}",
}
_TAGS = (
    ("/api/auth", "auth"),
    ("/api/admin", "admin"),
    ("/studio", "admin"),
    ("/api/sync", "sync"),
    ("/api/crdt", "sync"),
    ("/api/rooms", "rooms"),
    ("/api/fn", "functions"),
    ("/api/query", "queries"),
    ("/api/search", "queries"),
    ("/api/transact", "bulk"),
    ("/api/batch", "bulk"),
    ("/api/export", "bulk"),
    ("/api/import", "bulk"),
)
_EVERY = ("BLOCKED", "SESSION_EXPIRED", "SESSION_CHANGED", "RATE_LIMITED", "MAINTENANCE", "OVERLOADED", "SHUTTING_DOWN")
_CREDENTIALS = tuple(code for code in ("INVALID_API_KEY", "INVALID_JWT") if code in REGISTRY)
_BODY = ("INVALID_JSON", "INVALID_JSON@408", "PAYLOAD_TOO_LARGE")
_WHO = {
    "anybody": (),
    "policy": ("POLICY_DENIED", "TENANT_REQUIRED"),
    "session": ("AUTH_REQUIRED", "API_KEY_AUTH_FORBIDDEN"),
    "user": ("AUTH_REQUIRED", "API_KEY_AUTH_FORBIDDEN"),
    "admin": ("FORBIDDEN",),
}
_WRITE_HEADERS = {
    "Idempotency-Key": "A key of the caller's own: the write happens once, however often it is sent.",
    "If-Match": "The row's entity tag: write only while it is the row's.",
    "If-None-Match": "`*`: write only when there is no such row.",
}
_CALLERS = {"public": "anybody", "guest": "guests and users", "user": "signed-in users", "admin": "admins"}
_ERROR: JsonSchema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "Stable: match on it."},
                "message": {"type": "string"},
                "hint": {"type": "string"},
            },
        }
    },
}


def undescribed(routes: Mapping[str, object]) -> list[str]:
    """`METHOD path` of each responder that says nothing of itself."""
    return [
        f"{method.upper()} {path}"
        for path, resource in routes.items()
        for method in _METHODS
        if (responder := getattr(resource, f"on_{method}", None)) and description_of(responder) is None
    ]


def openapi(
    app: AppSpec, routes: Mapping[str, object], added: Sequence[Route] = (), *, cookie: str = "pylon_session"
) -> JsonSchema:
    """The document, with the routes that plugins add. The same app and routes give the same one."""
    return _Writer(app, routes, added, cookie).document()


class _Writer:
    def __init__(self, app: AppSpec, routes: Mapping[str, object], added: Sequence[Route], cookie: str) -> None:
        self._app = app
        self._cookie = cookie
        self._functions = [function for function in app.functions if not function.internal]
        self._operations = list(self._found(routes, added))
        self._error = "Error" if app.entity("Error") is None else "ErrorEnvelope"
        self._schemas: JsonSchema = {self._error: _ERROR, "Operators": OPERATORS}
        for entity in app.entities:
            self._schemas.update(entity_schemas(entity, REFERENCE))
        self._responses: dict[str, JsonSchema] = {}
        self._types = self._read_types()

    def document(self) -> JsonSchema:
        """All of it."""
        paths: dict[str, JsonSchema] = {}
        for method, path, responder, description in self._operations:
            for shown, operation in self._expanded(method, path, responder, description):
                paths.setdefault(shown, {})[method] = operation
        tags = [{"name": e.name, "description": f"Rows of {e.name}."} for e in self._app.entities]
        others = sorted({o["tags"][0] for p in paths.values() for o in p.values()} - {t["name"] for t in tags})
        return {
            "openapi": "3.1.0",
            "info": {
                "title": self._app.name,
                "version": self._app.version,
                "description": f"Auto-generated API documentation for {self._app.name}",
            },
            "servers": [{"url": "/"}],
            "tags": [*tags, *({"name": name} for name in others)],
            "paths": paths,
            "components": {
                "schemas": self._schemas,
                "responses": self._responses,
                "securitySchemes": {
                    "BearerAuth": {"type": "http", "scheme": "bearer"},
                    "CookieAuth": {"type": "apiKey", "in": "cookie", "name": self._cookie},
                },
            },
        }

    # -- what there is -------------------------------------------------------------------------------------------

    def _found(
        self, routes: Mapping[str, object], added: Sequence[Route]
    ) -> Iterator[tuple[str, str, Any, Description]]:
        for path, resource in routes.items():
            for method in _METHODS:
                responder = getattr(resource, f"on_{method}", None)
                if responder is not None:
                    yield method, _shown(path), responder, description_of(responder) or Description(Any)
        yield "get", "/api/sync/events", _Events.on_get, EVENTS
        for route in added:
            yield (
                route.method.lower(),
                _shown(route.path),
                route.handler,
                description_of(route.handler) or Description(Any),
            )

    def _expanded(
        self, method: str, path: str, responder: Any, description: Description
    ) -> Iterator[tuple[str, JsonSchema]]:
        if "{entity}" in path:
            for entity in self._app.entities:
                yield (
                    path.replace("{entity}", entity.name),
                    self._operation(method, path, responder, description, entity),
                )
        elif path == "/api/fn/{name}":
            for function in self._functions:
                yield f"/api/fn/{function.name}", self._call(method, path, responder, description, function)
        else:
            yield path, self._operation(method, path, responder, description, None)

    def _operation(
        self, method: str, path: str, responder: Any, description: Description, entity: EntitySpec | None
    ) -> JsonSchema:
        summary, told = _told(responder)
        operation: JsonSchema = {
            "operationId": _operation_id(method, path, entity),
            "tags": [entity.name if entity is not None else _tag(path)],
            "summary": summary,
            **({"description": told} if told else {}),
            "security": _security(description),
        }
        if parameters := self._parameters(path, description, entity):
            operation["parameters"] = parameters
        if description.body is not None:
            operation["requestBody"] = {"required": True, "content": self._content(description.body, entity)}
        operation["responses"] = self._answers(method, path, description, entity)
        return operation

    def _call(
        self, method: str, path: str, responder: Any, description: Description, function: FunctionSpec
    ) -> JsonSchema:
        operation = self._operation(method, path, responder, description, None)
        summary, more = _told(function.handler)
        operation |= {
            "operationId": f"call{function.name}",
            "tags": ["queries" if function.kind == "query" else "actions"],
        }
        operation["summary"] = summary or f"Call the {function.kind}"
        operation["x-pylon-function"] = {"kind": function.kind, "auth": function.auth}
        operation["parameters"] = [one for one in operation.get("parameters", ()) if one["in"] != "path"]
        operation["description"] = more or f"A {function.kind}, for {_CALLERS[function.auth]}."
        arguments = argument_types(function)
        schema: JsonSchema = {"type": "object", "properties": {name: self._type(of) for name, of, _ in arguments}}
        if required := [name for name, _, is_required in arguments if is_required]:
            schema["required"] = required
        self._schemas[f"{function.name}Input"] = schema
        reference = {"$ref": REFERENCE.format(f"{function.name}Input")}
        operation["requestBody"] = {"required": bool(required), "content": {"application/json": {"schema": reference}}}
        result: JsonSchema = {"application/json": {"schema": self._type(result_type(function))}}
        if function.streams:
            result["text/event-stream"] = {}
        operation["responses"]["200"]["content"] = result
        if function.auth == "public":
            operation["security"] = [{}, {"BearerAuth": []}, {"CookieAuth": []}]
        return operation

    def _parameters(self, path: str, description: Description, entity: EntitySpec | None) -> list[JsonSchema]:
        found: list[JsonSchema] = []
        for name in _PARAMETER.findall(path):
            if name == "entity":
                continue
            schema: JsonSchema = {"type": "string", "minLength": 1}
            if name == "field" and entity is not None:
                schema = {"enum": ["id", *(f.name for f in entity.fields if not (f.server_only or f.encrypted))]}
            found.append({"name": name, "in": "path", "required": True, "schema": schema})
        for name, shape in description.query.items():
            found.append({"name": name, "in": "query", "schema": self._schema(shape, entity)})
        if "sort" in description.query and entity is not None:
            fields = {f.name: _compared(f) for f in entity.fields if _is_filterable(f)}
            schema = {"type": "object", "properties": fields}
            found.append({"name": "filter", "in": "query", "style": "deepObject", "explode": True, "schema": schema})
        if "Idempotency-Replayed" in description.headers:  # the routes whose writes look at these
            for name, told in _WRITE_HEADERS.items():
                if name == "Idempotency-Key" or path.startswith("/api/entities/"):
                    found.append({"name": name, "in": "header", "description": told, "schema": {"type": "string"}})
        return found

    def _answers(
        self, method: str, path: str, description: Description, entity: EntitySpec | None
    ) -> dict[str, JsonSchema]:
        answers: dict[str, JsonSchema] = {}
        for status in description.status:
            answer: JsonSchema = {"description": _STATUS[status]}
            answers[str(status)] = answer
            if status not in (204, 302, 303, 304):
                answer["content"] = self._content(description.answer, entity)
            if description.headers:
                answer["headers"] = {name: {"schema": {"type": "string"}} for name in description.headers}
            if status == 201 and path == _ROWS and entity is not None:
                answer["links"] = _links(entity)
        for status, shape in description.refusals.items():
            refusal = AnyOf((Ref(self._error), shape))
            answers[str(status)] = {"description": _STATUS[status], "content": self._content(refusal, entity)}
        codes = [*description.errors, *_WHO[description.who]]
        codes.append("INVALID_QUERY")
        if not is_open(path):
            codes += [*_EVERY, *_CREDENTIALS]
        if method != "get":
            codes.append("CSRF_REJECTED")
        if description.body is not None:
            codes += _BODY
        by_status: dict[int, list[str]] = {}
        for code in sorted(set(codes)):
            name, _, status_text = code.partition("@")
            by_status.setdefault(int(status_text or REGISTRY[name].status), []).append(name)
        for status, names in sorted(by_status.items()):
            answers.setdefault(str(status), {"$ref": f"#/components/responses/{self._refusal(status, names)}"})
        return answers

    def _refusal(self, status: int, codes: list[str]) -> str:
        """The name of the response that lists these codes."""
        response = {
            "description": "\n".join(f"* `{code}`: {REGISTRY[code].summary}" for code in codes),
            "content": {"application/json": {"schema": {"$ref": REFERENCE.format(self._error)}}},
        }
        for number in range(1, len(self._responses) + 2):
            name = f"Refused{status}" if number == 1 else f"Refused{status}-{number}"
            if self._responses.setdefault(name, response) == response:
                return name
        raise AssertionError("one more name than there are responses is free")

    # -- shapes --------------------------------------------------------------------------------------------------

    def _content(self, shape: Shape, entity: EntitySpec | None) -> JsonSchema:
        if isinstance(shape, Media):
            return {name: {"schema": {"type": "string"}} for name in shape.types}
        if isinstance(shape, tuple) and not hasattr(shape, "_fields"):  # JSON, and what isn't
            return {name: value for part in shape for name, value in self._content(part, entity).items()}
        return {"application/json": {"schema": self._schema(shape, entity)}}

    def _schema(self, shape: Shape, entity: EntitySpec | None) -> JsonSchema:
        if isinstance(shape, Ref):
            return {"$ref": REFERENCE.format(shape.name.format(entity.name if entity is not None else ""))}
        if isinstance(shape, AnyOf):
            return {"anyOf": [self._schema(one, entity) for one in shape.shapes]}
        if isinstance(shape, list):
            return {"type": "array", "items": self._schema(shape[0], entity)}
        if isinstance(shape, dict):
            properties = {name.rstrip("?"): self._schema(of, entity) for name, of in shape.items()}
            required = [name for name in shape if not name.endswith("?")]
            found: JsonSchema = {"type": "object", "properties": properties}
            return found | {"required": required} if required else found
        return self._type(shape)

    def _type(self, hint: Any) -> JsonSchema:
        return self._types[id(hint)][1] if id(hint) in self._types else self._read(hint)

    def _read_types(self) -> dict[int, tuple[Any, JsonSchema]]:
        """Every type that a description or a function names, read at once so that no two get the same name."""
        hints: list[Any] = []
        for _, _, _, description in self._operations:
            for shape in (
                description.answer,
                description.body,
                *description.query.values(),
                *description.refusals.values(),
            ):
                hints += _leaves(shape)
        found, components = msgspec.json.schema_components(
            hints, schema_hook=self._custom, ref_template=REFERENCE.format("pylon.{name}")
        )
        self._schemas |= {f"pylon.{name}": schema for name, schema in components.items()}
        return {id(hint): (hint, schema) for hint, schema in zip(hints, found, strict=True)}

    def _read(self, hint: Any) -> JsonSchema:
        """A type of the app's own; one that has the name of another schema gets a longer one."""
        for prefix in ("", "types."):
            template = REFERENCE.format(prefix + "{name}")
            try:
                (schema,), found = msgspec.json.schema_components(
                    [hint], schema_hook=self._custom, ref_template=template
                )
            except (TypeError, NotImplementedError):  # no type of JSON
                return {}
            if all(self._schemas.get(prefix + name, of) == of for name, of in found.items()):
                self._schemas |= {prefix + name: of for name, of in found.items()}
                return schema
        return {}

    def _custom(self, kind: type) -> JsonSchema:
        if issubclass(kind, RowOf) and self._app.entity(kind.entity) is not None:
            return {"$ref": REFERENCE.format(kind.entity)}
        return {}


class _Events:
    async def on_get(self) -> None:
        """Changes as they happen, as server-sent events."""


_ROWS = "/api/entities/{entity}"
_STATUS = {
    200: "Done.",
    201: "Made.",
    202: "Begun.",
    204: "Done.",
    302: "Go there.",
    303: "Go there.",
    304: "The caller holds it already.",
    400: "Refused.",
    503: "Not ready.",
}


def _leaves(shape: Shape) -> Iterator[Any]:
    if shape is None or isinstance(shape, Ref | Media):
        return
    if isinstance(shape, AnyOf):
        shape = shape.shapes
    if isinstance(shape, dict):
        shape = list(shape.values())
    if isinstance(shape, list | tuple):
        for part in shape:
            yield from _leaves(part)
        return
    yield shape


def _shown(path: str) -> str:
    shown = _PARAMETER.sub(r"{\1}", path)
    return shown.replace("{row_id}", "{id}") if shown.startswith("/api/entities/") else shown


def _is_filterable(field: Field) -> bool:
    return not (field.server_only or field.encrypted) and field.kind not in (Kind.JSON, Kind.VECTOR)


def _compared(field: Field) -> JsonSchema:
    """A value to compare a field with: of its type, also where no row can have it."""
    return {"type": field_schema(field)["type"]}


def _told(responder: Any) -> tuple[str, str]:
    """The first sentence of a docstring, and the rest."""
    text = " ".join((responder.__doc__ or "").split())
    first, *rest = _SENTENCE.split(text, 1)
    return first.rstrip("."), rest[0] if rest else ""


def _tag(path: str) -> str:
    return next((tag for prefix, tag in _TAGS if path.startswith(prefix)), "server")


def _links(entity: EntitySpec) -> JsonSchema:
    """What can be done with a row that was made, by its id."""
    operations = [_operation_id(method, f"{_ROWS}/{{id}}", entity) for method in ("get", "patch", "delete")]
    return {name: {"operationId": name, "parameters": {"id": "$response.body#/id"}} for name in operations}


def _operation_id(method: str, path: str, entity: EntitySpec | None) -> str:
    name = _NAMES.get(f"{method} {path}")
    if name is None:
        words = re.findall(r"\w+", path.removeprefix("/api/").replace("{entity}", "").replace("-", "_"))
        name = method + "".join(part[:1].upper() + part[1:] for word in words for part in word.split("_")) + "{}"
    return name.format("" if entity is None else entity.name)


def _security(description: Description) -> list[JsonSchema]:
    signed: list[JsonSchema] = [{"BearerAuth": []}, {"CookieAuth": []}]
    if description.who == "admin":
        return [{"BearerAuth": []}]
    return signed if description.who in ("session", "user") else [{}, *signed]
