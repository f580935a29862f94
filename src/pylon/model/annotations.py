"""The types that fields and arguments are annotated with (`Id`, `RichText`, `Json`), and how an annotation is read.

Annotations may be values or text (`from __future__ import annotations`), and may name classes that do not exist yet:
such a name becomes a `ForwardName`, which only `Id[...]` accepts.
"""

from __future__ import annotations

import builtins
import enum
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin


class Mark(enum.Enum):
    """What an `Annotated` type of ours means beyond its Python type."""

    RICHTEXT = "richtext"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ForwardName:
    """A name in a textual annotation that nothing defines yet. It survives `|` and `[]`, so that the whole annotation
    can be evaluated and the name be reported."""

    name: str

    def __or__(self, other: object) -> ForwardName:
        return self

    def __ror__(self, other: object) -> ForwardName:
        return self

    def __getitem__(self, item: object) -> ForwardName:
        return self


@dataclass(frozen=True, slots=True)
class IdOf:
    """What `Id[X]` leaves in its `Annotated`: the entity class, or its name."""

    target: type | str


if TYPE_CHECKING:
    from typing_extensions import TypeAliasType

    _T = TypeVar("_T")
    Id = TypeAliasType("Id", str, type_params=(_T,))
else:

    class Id:
        """The id of a row of another entity: `Id[User]`, or `Id["User"]` before it is defined. A `str` at run time."""

        def __class_getitem__(cls, target: Any) -> Any:
            if isinstance(target, ForwardName):
                target = target.name
            if not isinstance(target, type | str):
                raise TypeError(f"Id[{target!r}]: write Id[User] or Id['User']")
            return Annotated[str, IdOf(target)]


RichText = Annotated[str, Mark.RICHTEXT]
"""Text that several people edit at once: merged character by character on a CRDT entity. A `str` at run time."""

Json = Annotated[Any, Mark.JSON]
"""Any JSON value."""


def class_annotations(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations of a class body under construction: values or text, as they were written."""
    return dict(namespace.get("__annotations__", {}))


def evaluate(annotation: Any, *scopes: Mapping[str, Any]) -> Any:
    """The value of a textual annotation, looked up in the scopes in their order; other annotations as they are.
    Raises whatever evaluating the text raises."""
    if not isinstance(annotation, str):
        return annotation
    value = eval(annotation, {}, _Names(*scopes, vars(builtins)))  # noqa: S307 - the developer's own source text
    return evaluate(value, *scopes) if isinstance(value, str) else value


class _Names(Mapping[str, Any]):
    def __init__(self, *scopes: Mapping[str, Any]) -> None:
        self._scopes = scopes

    def __getitem__(self, name: str) -> Any:
        for scope in self._scopes:
            if name in scope:
                return scope[name]
        return ForwardName(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def is_union(hint: Any) -> bool:
    """True for `A | B`, `Union[A, B]` and `Optional[A]`."""
    return get_origin(hint) in (Union, types.UnionType)


def split_optional(hint: Any) -> tuple[Any, bool]:
    """The hint without None, and whether None was there."""
    if not is_union(hint):
        return hint, False
    kept = tuple(arg for arg in get_args(hint) if arg is not type(None))
    return (Union[kept] if kept else type(None)), len(kept) < len(get_args(hint))  # noqa: UP007 - made at run time


def split_annotated(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type under an `Annotated`, and its metadata."""
    if get_origin(hint) is Annotated:
        inner, *metadata = get_args(hint)
        return inner, tuple(metadata)
    return hint, ()


def forward_names(hint: Any) -> list[str]:
    """Every undefined name in the hint."""
    if isinstance(hint, ForwardName):
        return [hint.name]
    return [name for arg in get_args(hint) for name in forward_names(arg)]


def describe(hint: Any) -> str:
    """The hint as its author would write it."""
    if isinstance(hint, str):
        return hint
    if isinstance(hint, ForwardName):
        return hint.name
    for mark in split_annotated(hint)[1]:
        if isinstance(mark, IdOf):
            return f"Id[{describe(mark.target)}]"
        if isinstance(mark, Mark):
            return {Mark.RICHTEXT: "RichText", Mark.JSON: "Json"}[mark]
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return repr(hint).replace("typing.", "").replace("collections.abc.", "")
