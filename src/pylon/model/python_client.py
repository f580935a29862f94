"""An app as a client in Python: a typed `AsyncApi` and `Api` on `pylon.client`, with rows, filters and writes of each
entity, functions, and the same over a replica.

python_client(AppSpec) -> str      the whole file; the same app gives the same text
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pylon.model.client_surface import Names, changed, may_be_left_out, result_hint, shown, stamped, written
from pylon.model.python_types import WORDS, PythonTypes, is_plain, literal
from pylon.model.schema import AppSpec, DefaultLiteral, EntitySpec, Field, FunctionSpec, Kind

_TYPED = "pylon.client.typed"
_HEAD = '''# Written by `pylon codegen client --language python`. Run it again after a change of the app; do not edit.
# ruff: noqa
# fmt: off
"""The API of {app} for Python: `AsyncApi` for asyncio, `Api` for everybody else."""

from __future__ import annotations
'''
_COMPARED = {
    Kind.STRING: "TextIs",
    Kind.RICHTEXT: "TextIs",
    Kind.ID: "TextIs",
    Kind.INT: "IntIs",
    Kind.FLOAT: "NumberIs",
    Kind.BOOL: "BoolIs",
    Kind.DATETIME: "TimeIs",
}
_FILE = {"AsyncApi", "Api", "AsyncFunctions", "Functions", "AsyncLive", "Live", "AsyncLiveFunctions", "LiveFunctions"}
_BASES = {
    *("ActionStream", "AsyncCalls", "AsyncClient", "AsyncEntityRows", "AsyncLiveCalls", "AsyncLiveRows"),
    *("BlockingReplica", "BlockingStream", "BoolIs", "Calls", "Client", "EntityRows", "IntIs", "LiveCall", "LiveCalls"),
    *("LiveRows", "NumberIs", "Replica", "Struct", "TextIs", "TimeIs", "UNSET", "UnsetType", "Writes", "named"),
    *("Iterator", "NotRequired", "TypedDict", "Unpack"),
}
"""What a file defines itself and what it imports."""

_OF_ENTITY = ("", "Insert", "Update", "Filter", "Order", "Writes", "Rows", "Live")
_PREFIXES = ("", "Async", "Local")
CLIENT_NAMES = {
    *("act_as", "call", "close", "delete", "fn", "get", "guest", "insert", "live", "me", "one", "query", "replica"),
    *("request", "rows", "sign_out", "stream", "token", "transact", "update"),
}
"""What a client has already; an entity of such a name gets a `_`."""


class _Entity(NamedTuple):
    """An entity with its names: of the class of its rows, and of the attribute that leads to them."""

    spec: EntitySpec
    row: str
    attribute: str

    @property
    def local(self) -> str:
        """The class of its rows in a replica: another one where such rows lack something."""
        is_other = any(f.sync_omit or stamped(self.spec, f) for f in shown(self.spec))
        return f"Local{self.row}" if is_other else self.row


def python_client(spec: AppSpec) -> str:
    """The file. Nothing that no client may see is in it: server-only fields and internal functions are left out."""
    return _Writer(spec).text()


class _Writer:
    def __init__(self, spec: AppSpec) -> None:
        self._spec = spec
        self._names = Names([*WORDS, *_FILE, *_BASES])
        attributes = Names([*CLIENT_NAMES, *WORDS])
        self._entities = [
            _Entity(entity, self._free(entity.name), _attribute(attributes, entity.name)) for entity in spec.entities
        ]
        self._types = PythonTypes(self._names, {one.spec.name: one.row for one in self._entities})
        self._functions = [function for function in spec.functions if not function.internal]
        methods = Names([*WORDS, "_call", "_stream", "_follow", "_client", "_replica"])
        self._methods = {function.name: _attribute(methods, function.name) for function in self._functions}

    def text(self) -> str:
        blocks = [block for one in self._entities for block in self._entity(one)]
        functions = [*self._calls(), *self._live_calls()] if self._functions else []
        tops = self._tops()
        head = _HEAD.format(app=self._spec.name.replace("\\", "").replace('"', "'"))
        everything = [*self._types.classes.values(), *blocks, *functions, *tops]
        return "\n".join([head, *self._imports(), ""]) + "\n\n" + "\n\n\n".join(everything) + "\n"

    def _free(self, name: str) -> str:
        """A name for the rows of an entity that leaves room for the names of what belongs to them."""
        taken = self._names.taken
        name = f"Of{name}" if name.startswith("__") else name  # which a class would take for its own
        wanted, number = name, 1
        while any(f"{prefix}{wanted}{part}" in taken for part in _OF_ENTITY for prefix in _PREFIXES):
            number += 1
            wanted = f"{name}{number}"
        taken.update(f"{prefix}{wanted}{part}" for part in _OF_ENTITY for prefix in _PREFIXES)
        return wanted

    def _use(self, *names: str) -> None:
        for name in names:
            self._types.use(_TYPED, name)

    def _imports(self) -> Iterator[str]:
        found = self._types.imported
        groups = [sorted(module for module in found if module != _TYPED), [_TYPED] if _TYPED in found else []]
        for i, modules in enumerate(group for group in groups if group):
            if i:
                yield ""
            for module in modules:
                names = sorted(found[module], key=lambda name: (not name.isupper(), name.islower(), name))
                one_line = f"from {module} import {', '.join(names)}"
                if len(one_line) <= 88:
                    yield one_line
                else:
                    yield from [f"from {module} import (", *(f"    {name}," for name in names), ")"]

    # -- entities ------------------------------------------------------------------------------------------------

    def _entity(self, one: _Entity) -> Iterator[str]:
        self._types.use("typing", "TypedDict")
        for name in ("NotRequired", "Unpack"):
            self._types.use("typing", name)
        self._use("Struct", "Writes", "AsyncEntityRows", "EntityRows", "AsyncLiveRows", "LiveRows")
        row = one.row
        yield self._row(one, one.row, f"A row of {one.spec.name}.")
        if one.local != row:
            told = f"A row of {one.spec.name} in a replica; what the server stamps is None until it has."
            yield self._row(one, one.local, told)
        yield self._typed_dict(f"{row}Insert", f"A new row of {one.spec.name}.", written(one.spec), is_new=True)
        yield self._typed_dict(f"{row}Update", f"The fields of a {one.spec.name} to change.", changed(one.spec))
        yield self._filter(one)
        yield self._order(one)
        parameters = f"[{row}, {row}Filter, {row}Order]"
        yield _class(
            f"Async{row}Rows(AsyncEntityRows{parameters})",
            f"Rows of {one.spec.name} on the server, for asyncio.",
            f"    async def insert(self, /, **values: Unpack[{row}Insert]) -> str:",
            '        """Insert a row; its id."""',
            "        return await self._insert(values)",
            "",
            f"    async def update(self, row_id: str, /, **changes: Unpack[{row}Update]) -> None:",
            '        """Change fields of a row."""',
            "        await self._update(row_id, changes)",
        )
        yield _class(
            f"{row}Writes(Writes)",
            f"Writing rows of {one.spec.name}.",
            f"    def insert(self, /, **values: Unpack[{row}Insert]) -> str:",
            '        """Insert a row; its id."""',
            "        return self._insert(values)",
            "",
            f"    def update(self, row_id: str, /, **changes: Unpack[{row}Update]) -> None:",
            '        """Change fields of a row."""',
            "        self._update(row_id, changes)",
        )
        yield _class(f"{row}Rows({row}Writes, EntityRows{parameters})", f"Rows of {one.spec.name} on the server.")
        told = f"Rows of {one.spec.name} in a replica"
        parameters = f"[{one.local}, {row}Filter, {row}Order]"
        yield _class(f"Async{row}Live({row}Writes, AsyncLiveRows{parameters})", f"{told}, for asyncio.")
        yield _class(f"{row}Live({row}Writes, LiveRows{parameters})", f"{told}.")

    def _row(self, one: _Entity, name: str, told: str) -> str:
        lines = [f"class {name}(Struct, frozen=True, kw_only=True):", f'    """{told}"""', ""]
        if name != one.spec.name:
            lines += [f"    __pylon_name__ = {literal(one.spec.name)}", ""]
        lines.append("    id: str")
        is_local = name != one.row
        for field in shown(one.spec):
            if is_local and field.sync_omit:
                continue
            of, default = self._types.of_field(field), ""
            if field.optional or (is_local and stamped(one.spec, field)):
                of, default = self._types.or_none(of), "None"
            elif isinstance(field.default, DefaultLiteral):
                default = literal(field.default.value) if is_plain(field.default.value) else ""
            if field.kind is Kind.JSON:
                default = default or "None"
            lines += self._types.assigned(field.name, of, default)
        return "\n".join(lines)

    def _typed_dict(self, name: str, told: str, fields: Sequence[Field], *, is_new: bool = False) -> str:
        lines = [f"class {name}(TypedDict):", f'    """{told}"""', ""]
        if is_new:
            lines.append("    id: NotRequired[str]")
        for field in fields:
            of = self._types.of_field(field)
            of = self._types.or_none(of) if field.optional else of
            of = of if is_new and not may_be_left_out(field) else f"NotRequired[{of}]"
            lines.append(f"    {self._types.attribute(field.name)}: {of}")
        return "\n".join(lines[:-1] if not lines[-1] else lines)

    def _filter(self, one: _Entity) -> str:
        name = f"{one.row}Filter"
        lines = ['        "id": "str | TextIs",']
        self._use("TextIs")
        for field in shown(one.spec):
            if field.kind is Kind.VECTOR or (field.encrypted and not field.lookup):
                continue
            of = self._types.of_field(field)
            if field.kind is not Kind.JSON and not field.encrypted:
                compared = _COMPARED[field.kind]
                self._use(compared)
                of = f"{of} | {compared}"
            if field.kind is Kind.DATETIME:
                of = f"str | {of}"
            attribute = self._types.attribute(field.name)
            lines.append(f"        {literal(attribute)}: {literal(self._types.or_none(of))},")
        joined = {"$and": f"list[{name}]", "$or": f"list[{name}]", "$not": name}
        lines += [f"        {literal(key)}: {literal(of)}," for key, of in joined.items()]
        return "\n".join([f"{name} = TypedDict(", f'    "{name}",', "    {", *lines, "    },", "    total=False,", ")"])

    def _order(self, one: _Entity) -> str:
        self._types.use("typing", "Literal")
        fields = [f for f in shown(one.spec) if f.kind not in (Kind.JSON, Kind.VECTOR) and not f.encrypted]
        names = ["id", *(self._types.attribute(field.name) for field in fields)]
        choices = ", ".join(f"{literal(name)}, {literal(f'-{name}')}" for name in names)
        return f"{one.row}Order = Literal[{choices}]"

    # -- functions -----------------------------------------------------------------------------------------------

    def _calls(self) -> Iterator[str]:
        self._use("AsyncCalls", "Calls")
        for is_async in (True, False):
            methods = [self._method(function, is_async=is_async) for function in self._functions]
            base = "AsyncFunctions(AsyncCalls)" if is_async else "Functions(Calls)"
            told = "The functions, for asyncio." if is_async else "The functions."
            yield _class(base, told, "\n\n".join(methods))

    def _live_calls(self) -> Iterator[str]:
        queries = [function for function in self._functions if function.kind == "query"]
        if not queries:
            return
        self._use("AsyncLiveCalls", "LiveCalls", "LiveCall")
        self._types.use("collections.abc", "Iterator")
        told = "The query functions, followed: the result now, and again when what was read has changed"
        for is_async in (True, False):
            methods = [self._followed(function, "LiveCall" if is_async else "Iterator") for function in queries]
            base = "AsyncLiveFunctions(AsyncLiveCalls)" if is_async else "LiveFunctions(LiveCalls)"
            yield _class(base, f"{told}, for asyncio." if is_async else f"{told}.", "\n\n".join(methods))

    def _method(self, function: FunctionSpec, *, is_async: bool) -> str:
        takes, given = self._arguments(function)
        name, told = self._methods[function.name], _told(function)
        if function.streams:
            stream = "ActionStream" if is_async else "BlockingStream"
            self._use(stream)
            return "\n".join(
                [
                    f"    def {name}(self, /{takes}) -> {stream}:",
                    *told,
                    f"        return self._stream({literal(function.name)}, {given})",
                ]
            )
        gives = self._types.result(result_hint(function))
        into = "None" if gives == "Any" else gives
        waits, begins = ("await ", "async ") if is_async else ("", "")
        call = f"{waits}self._call({literal(function.name)}, {into}, {given})"
        body = [f"        {call}"] if gives == "None" else [f"        found: {gives} = {call}", "        return found"]
        return "\n".join([f"    {begins}def {name}(self, /{takes}) -> {gives}:", *told, *body])

    def _followed(self, function: FunctionSpec, kind: str) -> str:
        takes, given = self._arguments(function)
        gives = self._types.result(result_hint(function))
        into = "None" if gives == "Any" else gives
        return "\n".join(
            [
                f"    def {self._methods[function.name]}(self, /{takes}) -> {kind}[{gives}]:",
                *_told(function),
                f"        return self._follow({literal(function.name)}, {into}, {given})",
            ]
        )

    def _arguments(self, function: FunctionSpec) -> tuple[str, str]:
        """What a method takes, behind `self`, and the dict that it sends."""
        arguments = getattr(function.arguments, "__pylon_arguments__", ())
        takes, given = [], []
        for argument in sorted(arguments, key=lambda one: not one.required):
            of, name = self._types.hint(argument.type), self._types.attribute(argument.name)
            if not argument.required:
                self._use("UNSET", "UnsetType")
                of = of if of == "Any" else f"{of.removesuffix(' | None')} | UnsetType | None"
            takes.append(f"{name}: {of}{'' if argument.required else ' = UNSET'}")
            given.append(f"{literal(argument.name)}: {name}")
        return (f", *, {', '.join(takes)}" if takes else "", f"{{{', '.join(given)}}}")

    # -- the clients ---------------------------------------------------------------------------------------------

    def _tops(self) -> Iterator[str]:
        self._use("AsyncClient", "Client", "Replica", "BlockingReplica")
        self._types.use("typing", "Any")
        for prefix, client in (("Async", "AsyncClient"), ("", "Client")):
            lines = ["    def __init__(self, url: str, token: str | None = None, **options: Any) -> None:"]
            lines += ["        super().__init__(url, token, **options)"]
            lines += self._places(f"{prefix}{{}}Rows", "self")
            if self._functions:
                lines.append(f"        self.fn = {prefix}Functions(self)")
            yield _class(
                f"{prefix}Api({client})", f"A client of the server at `url`; options are `{client}`'s.", *lines
            )
        has_queries = any(function.kind == "query" for function in self._functions)
        for prefix, replica in (("Async", "Replica"), ("", "BlockingReplica")):
            lines = [f"    def __init__(self, replica: {replica}) -> None:", "        self.replica = replica"]
            lines += self._places(f"{prefix}{{}}Live", "replica")
            if has_queries:
                lines.append(f"        self.fn = {prefix}LiveFunctions(replica)")
            yield _class(f"{prefix}Live", f"A replica with the types of this app: `{prefix}Live(replica)`.", *lines)

    def _places(self, kind: str, of: str) -> list[str]:
        return [
            f"        self.{one.attribute} = {kind.format(one.row)}({of}, {one.local if of == 'replica' else one.row})"
            for one in self._entities
        ]


def _attribute(names: Names, name: str) -> str:
    wanted = f"{name}_" if name in names.taken else name
    return names.free(f"of{wanted}" if wanted.startswith("__") else wanted)


def _class(head: str, told: str, *body: str) -> str:
    return "\n".join([f"class {head}:", f'    """{told}"""', *(["", *body] if body else [])])


def _told(function: FunctionSpec) -> list[str]:
    """The first paragraph of a handler's docstring."""
    text = inspect.getdoc(inspect.unwrap(function.handler)) or ""
    first = " ".join(text.split("\n\n")[0].split()).replace("\\", "\\\\").replace('"', "'")
    return [f'        """{first}"""'] if first else []
