"""Server functions: reading a handler's signature into a FunctionSpec, and decoding what callers send.

Hints are the validators. Arguments that the function does not declare are ignored (spec 04 §2.4); null for an
argument that has a default means the default.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import msgspec

from pylon.model.annotations import describe, evaluate, split_optional
from pylon.model.arguments import NotAnArgumentType, manifest_type, read_argument_type
from pylon.model.errors import PylonError
from pylon.model.findings import DeclarationError, error
from pylon.model.names import camel_case, name_problem
from pylon.model.rows import MAX_NESTING, check_nesting, decode_json
from pylon.model.schema import FunctionAuth, FunctionKind, FunctionSpec

RESERVED = frozenset({"traces"})
_LOCATED = re.compile(r"(?P<text>.*?)(?: - at `\$(?P<path>.*)`)?\Z", re.DOTALL)


class Argument(msgspec.Struct, frozen=True):
    """One argument of a function: its msgspec type without null, and its validator of spec 04 §2.4."""

    name: str
    type: Any
    schema: dict[str, Any]
    required: bool


# -- declaring ---------------------------------------------------------------------------------------------------


def read_function(
    handler: Callable[..., Any],
    kind: FunctionKind,
    *,
    scope: Mapping[str, Any],
    auth: FunctionAuth = "user",
    internal: bool = False,
    timeout: float | None = None,
    name: str | None = None,
) -> FunctionSpec:
    """The spec of a handler. `scope` are the names around its definition, besides those of its module.
    Raises DeclarationError, naming the function, the parameter and the mend."""
    shown = getattr(handler, "__name__", repr(handler))
    function = inspect.unwrap(handler)
    if not inspect.isfunction(function):
        raise _refusal(shown, "is not a function", f"Decorate a def with @app.{kind}.")
    wire_name = shown if name is None else name
    if wire_name in RESERVED:
        raise _refusal(shown, f"the name {wire_name!r} is reserved", "Give it another name, or name=.")
    if problem := name_problem(wire_name):
        raise _refusal(shown, f"the name {wire_name!r} can't be used: {problem}", "Give it a name=.")
    _check_colour(shown, function, kind)
    if auth not in get_args(FunctionAuth):
        raise _refusal(shown, f"auth={auth!r} is unknown", f"Use one of {', '.join(get_args(FunctionAuth))}.")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0):
        raise _refusal(shown, f"timeout={timeout!r} is not a number of seconds above 0", None)
    arguments, schema = _read_parameters(shown, function, scope)
    alias = camel_case(wire_name)
    return FunctionSpec(
        name=wire_name,
        aliases=(alias,) if alias != wire_name else (),
        kind=kind,
        handler=handler,
        arguments=arguments,
        args_schema=schema,
        auth=auth,
        internal=internal,
        timeout=timeout,
        streams=inspect.isasyncgenfunction(function),
    )


def _check_colour(shown: str, function: Callable[..., Any], kind: FunctionKind) -> None:
    waits = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if kind == "action":
        if not waits:
            raise _refusal(shown, "an action is an async def", "Write `async def`, or make it a mutation or a query.")
    elif waits:
        raise _refusal(
            shown,
            f"a {kind} is a plain def: it runs inside a transaction and can't wait for the network",
            "Make it an action (@app.action), or write `def`.",
        )
    elif inspect.isgeneratorfunction(function):
        raise _refusal(shown, f"a {kind} returns its result and can't yield", "Make it an action to stream.")


def _read_parameters(
    shown: str, function: Callable[..., Any], scope: Mapping[str, Any]
) -> tuple[type[msgspec.Struct], dict[str, Any]]:
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise _refusal(shown, "takes no context", f"Write `def {shown}(ctx, ...)`: the first parameter is the context.")
    fields: list[tuple[str, Any, Any]] = []
    found: list[Argument] = []
    defaults: dict[str, Any] = {}
    for parameter in parameters[1:]:
        where = f"{shown}({parameter.name})"
        argument, nullable = _read_parameter(where, parameter, function, scope)
        found.append(argument)
        if argument.required:
            fields.append((argument.name, argument.type, msgspec.NODEFAULT))
            continue
        default = None if parameter.default is parameter.empty else parameter.default
        _check_default(where, argument, default)
        fields.append((argument.name, argument.type | None, _field_default(default)))
        if default is not None and not nullable:
            defaults[argument.name] = default
    struct = msgspec.defstruct(
        f"{camel_case(shown)}Arguments", fields, kw_only=True, namespace=_fill_defaults(defaults), module=__name__
    )
    schema = {a.name: a.schema if a.required else a.schema | {"optional": True} for a in found}
    try:
        struct.__pylon_decode__ = msgspec.json.Decoder(struct).decode  # type: ignore[attr-defined]
    except TypeError as reason:
        raise _refusal(shown, f"its hints can't be told apart in JSON: {reason}", None) from None
    struct.__pylon_arguments__ = tuple(found)  # type: ignore[attr-defined]
    return struct, schema


def _read_parameter(
    where: str, parameter: inspect.Parameter, function: Callable[..., Any], scope: Mapping[str, Any]
) -> tuple[Argument, bool]:
    if parameter.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
        raise _refusal(where, "arguments are passed by name", "Write each as `name: type`.")
    if parameter.annotation is parameter.empty:
        raise _refusal(where, "has no type hint", f"Write `{parameter.name}: str`, or what it is; hints validate.")
    try:
        hint, nullable = split_optional(evaluate(parameter.annotation, scope, function.__globals__))
        read, schema = read_argument_type(hint)
    except NotAnArgumentType as verdict:
        raise _refusal(where, verdict.reason, verdict.mend) from None
    except Exception as reason:  # evaluating the developer's text may raise anything
        raise _refusal(where, f"{describe(parameter.annotation)} can't be read: {reason}", None) from None
    required = parameter.default is parameter.empty and not nullable
    return Argument(parameter.name, read, schema, required), nullable


def _check_default(where: str, argument: Argument, default: Any) -> None:
    if default is None:
        return
    try:
        msgspec.convert(msgspec.to_builtins(default), argument.type)
    except (msgspec.ValidationError, TypeError) as reason:
        raise _refusal(where, f"the default {default!r} does not fit the hint: {reason}", None) from None


def _field_default(default: Any) -> Any:
    if default is None or isinstance(default, str | int | float):
        return default
    return msgspec.field(default_factory=lambda: copy.deepcopy(default))


def _fill_defaults(defaults: dict[str, Any]) -> dict[str, Any] | None:
    if not defaults:
        return None
    items = tuple(defaults.items())

    def __post_init__(self: msgspec.Struct) -> None:  # noqa: N807 - the hook's name
        for name, default in items:
            if getattr(self, name) is None:
                setattr(self, name, copy.deepcopy(default))

    return {"__post_init__": __post_init__}


def _refusal(where: str, message: str, mend: str | None) -> DeclarationError:
    return DeclarationError([error("FUNCTION_INVALID", f"{where}: {message}", mend)])


# -- calling -----------------------------------------------------------------------------------------------------


def decode_arguments(spec: FunctionSpec, body: bytes) -> msgspec.Struct:
    """The arguments in a request body, as an instance of `spec.arguments`. An empty body means no arguments.
    Raises INVALID_JSON, and INVALID_ARGS naming every argument that is wrong."""
    decode: Callable[[bytes], msgspec.Struct] = spec.arguments.__pylon_decode__  # type: ignore[attr-defined]
    try:
        arguments = decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as reason:
        raise _explain(spec, decode_json(body or b"{}"), str(reason)) from None
    if body.count(b"[") + body.count(b"{") > MAX_NESTING:
        check_nesting(body)
    return arguments


def convert_arguments(spec: FunctionSpec, values: Mapping[str, Any]) -> msgspec.Struct:
    """The same for values that are Python objects already: calls from other functions, jobs and schedules."""
    try:
        return msgspec.convert(dict(values), spec.arguments)
    except msgspec.ValidationError as reason:
        raise _explain(spec, dict(values), str(reason)) from None


def _explain(spec: FunctionSpec, data: Any, otherwise: str) -> PylonError:
    if not isinstance(data, dict):
        return PylonError("INVALID_ARGS", f"args must be an object, got {_json_type(data)}")
    problems = list(_problems(spec, data))
    return PylonError("INVALID_ARGS", "; ".join(problems) or f"args: {_reword(otherwise, None, None)[1]}")


def _problems(spec: FunctionSpec, data: dict[str, Any]) -> Iterator[str]:
    arguments: tuple[Argument, ...] = spec.arguments.__pylon_arguments__  # type: ignore[attr-defined]
    for argument in arguments:
        value = data.get(argument.name)
        if value is None:
            if argument.required:
                yield f"args.{argument.name}: missing required argument ({_type_name(argument.schema)})"
            continue
        try:
            msgspec.convert(value, argument.type, str_keys=True)
        except msgspec.ValidationError as reason:
            path, text = _reword(str(reason), argument.schema, value)
            yield f"args.{argument.name}{path}: {text}"


def _reword(reason: str, schema: dict[str, Any] | None, value: Any) -> tuple[str, str]:
    """Path below the argument, and text, of a msgspec message."""
    located = _LOCATED.match(reason)
    assert located is not None
    path, text = located["path"] or "", located["text"].replace("`", "")
    if text.startswith(("Expected datetime with a timezone", "Invalid RFC3339")):
        return path, "expected a date and time with its zone, as in 2026-11-23T04:42:05Z"
    if text.startswith("Invalid enum value") and schema is not None and not path:
        return path, f"expected {_type_name(schema)}, got {value!r}"
    return path, text[:1].lower() + text[1:]


def _type_name(schema: dict[str, Any]) -> str:
    """What a developer calls the type of a validator."""
    kind = schema["type"]
    if kind == "literal":
        return repr(schema["value"])
    if kind == "union":
        return " or ".join(_type_name(v) for v in schema["variants"])
    if kind == "id":
        return f"id of {schema['table']}"
    names = {"string": "str", "number": "float", "boolean": "bool", "any": "any JSON"}
    return names.get(kind, str(kind))


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {str: "str", int: "int", float: "float", list: "array"}.get(type(value), "null")


def input_fields(spec: FunctionSpec) -> list[dict[str, Any]]:
    """The arguments as the input fields of a manifest (spec 05 §1.5)."""
    arguments: tuple[Argument, ...] = spec.arguments.__pylon_arguments__  # type: ignore[attr-defined]
    return [
        {"name": a.name, "type": manifest_type(a.schema, a.type), "optional": not a.required, "unique": False}
        for a in arguments
    ]
