"""The loro containers that stand for fields whose edits merge: how each is made, read, and brought to a value.

Writing a value touches as little as possible: what stays equal stays the same characters, items and nodes, so that
edits which others make meanwhile keep their place. Each field's container is made once, by the server: two made at the
same time would not merge. An empty container stands for null as well as for an empty value.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from loro import LoroCounter, LoroList, LoroMovableList, LoroText, LoroTree, TreeID

from pylon.engine.documents.loro import LoroError
from pylon.model.merging import Merge

MAX_DEPTH = 100
"""Levels of a tree, and of values in lists."""


class Container(NamedTuple):
    """`write` brings an attached container to a value and says whether that took an edit; `is_same` compares what was
    read with a row's value."""

    kind: type
    empty: Any
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], bool]
    is_same: Callable[[Any, Any], bool] = operator.eq


def kept_ends(old: Sequence[Any], new: Sequence[Any]) -> tuple[int, int]:
    """How many items at the beginning, and how many of the others at the end, two texts or lists share."""
    shortest = min(len(old), len(new))
    head = _shared(shortest, lambda n: old[:n] == new[:n])
    tail = _shared(shortest - head, lambda n: old[len(old) - n :] == new[len(new) - n :])
    return head, tail


def _shared(most: int, is_equal: Callable[[int], bool]) -> int:
    """The largest n up to `most` for which it holds; it holds for all below one that it holds for."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if is_equal(middle):
            low = middle
        else:
            high = middle - 1
    return low


def write_text(text: LoroText, value: str | None) -> bool:
    """Replace only what differs between the first and the last difference."""
    old, new = text.to_string(), value or ""
    if old == new:
        return False
    head, tail = kept_ends(old, new)
    if (gone := len(old) - head - tail) > 0:
        text.delete(head, gone)
    if added := new[head : len(new) - tail]:
        text.insert(head, added)
    return True


def _write_counter(counter: LoroCounter, value: float | None) -> bool:
    change = float(value or 0) - counter.value
    if change:
        counter.increment(change)
    return bool(change)


def _write_list(items: LoroList, value: Any) -> bool:
    old, new = plain(items.get_deep_value()), _items(value)
    if old == new:
        return False
    head, tail = kept_ends(old, new)
    if (gone := len(old) - head - tail) > 0:
        items.delete(head, gone)
    for at, item in enumerate(new[head : len(new) - tail], head):
        items.insert(at, item)
    return True


def _write_movable_list(items: LoroMovableList, value: Any) -> bool:
    """Items found elsewhere are moved there, so that edits of them by others go with them."""
    old, new = plain(items.get_deep_value()), _items(value)
    if old == new:
        return False
    head, tail = kept_ends(old, new)
    end = len(old) - tail
    current, wanted = old[head:end], new[head : len(new) - tail]
    for at, item in enumerate(wanted):
        if at < len(current) and current[at] == item:
            continue
        if item in current[at + 1 :]:
            found = current.index(item, at + 1)
            items.mov(head + found, head + at)
            current.insert(at, current.pop(found))
        elif at < len(current) and current[at] not in wanted[at + 1 :]:
            items.set(head + at, item)
            current[at] = item
        else:
            items.insert(head + at, item)
            current.insert(at, item)
    if len(current) > len(wanted):
        items.delete(head + len(wanted), len(current) - len(wanted))
    return True


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise LoroError("expected a list")
    return value


def _read_tree(tree: LoroTree) -> Any:
    nodes: Any = tree.get_value_with_meta()
    return [_node(node, 0) for node in nodes]


def _node(node: dict[str, Any], depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise LoroError("a tree is deeper than allowed")
    return {
        "id": node["id"],
        "meta": plain(node["meta"]),
        "children": [_node(child, depth + 1) for child in node["children"]],
    }


def is_same_tree(nodes: Any, value: Any) -> bool:
    """Whether a tree is this value; nodes that the value gives no id stand for those in their place."""
    if not isinstance(value, list) or len(nodes) != len(value):
        return False
    return all(
        isinstance(item, dict)
        and item.get("id", node["id"]) == node["id"]
        and (item.get("meta") or {}) == node["meta"]
        and is_same_tree(node["children"], item.get("children") or [])
        for node, item in zip(nodes, value, strict=True)
    )


def _write_tree(tree: LoroTree, value: Any) -> bool:
    """Nodes whose `id` is known are kept and moved, others are made, and those that the value leaves out go."""
    nodes = _items(value)
    if is_same_tree(_read_tree(tree), nodes):
        return False
    _Planting(tree, nodes).run()
    return True


class _Planting:
    """Bringing one tree to a value. A node without an id is taken for the one in its place that says the same."""

    def __init__(self, tree: LoroTree, nodes: list[Any]) -> None:
        self._tree = tree
        self._nodes = nodes
        self._known = {_name(node.id): node.id for node in tree.get_nodes(False)}
        self._named: set[str] = set()
        self._kept: set[str] = set()

    def run(self) -> None:
        self._check(self._nodes, 0)
        self._plant(None, self._nodes)
        for name, node in self._known.items():
            if name not in self._kept and not self._tree.is_node_deleted(node):
                self._tree.delete(node)

    def _check(self, nodes: list[Any], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise LoroError("a tree is deeper than allowed")
        for item in nodes:
            if not isinstance(item, dict) or not isinstance(item.get("meta") or {}, dict):
                raise LoroError('expected nodes like {"meta": {}, "children": []}')
            if isinstance(item.get("id"), str):
                self._named.add(item["id"])
            self._check(_items(item.get("children")), depth + 1)

    def _plant(self, parent: TreeID | None, nodes: list[Any]) -> None:
        for at, item in enumerate(nodes):
            meta = item.get("meta") or {}
            node = self._match(parent, at, item.get("id"), meta)
            if node is None:
                node = self._tree.create_at(at, parent)
            else:
                self._kept.add(_name(node))
            _write_meta(self._tree.get_meta(node), meta)
            self._plant(node, _items(item.get("children")))

    def _match(self, parent: TreeID | None, at: int, name: Any, meta: dict[str, Any]) -> TreeID | None:
        siblings = self._tree.children(parent) or []
        there = siblings[at] if at < len(siblings) else None
        if name is None:
            if there is None or _name(there) in self._named or _name(there) in self._kept:
                return None
            return there if plain(self._tree.get_meta(there).get_deep_value()) == meta else None
        node = self._known.get(name) if isinstance(name, str) and name not in self._kept else None
        if node is not None and (there is None or _name(there) != name):
            self._tree.mov_to(node, at, parent)
        return node


def _write_meta(meta: Any, value: dict[str, Any]) -> None:
    old = plain(meta.get_deep_value())
    for key in old.keys() - value.keys():
        meta.delete(key)
    for key, item in value.items():
        if key not in old or old[key] != item:
            meta.insert(key, item)


def _name(node: TreeID) -> str:
    return f"{node.counter}@{node.peer}"


def plain(value: Any, depth: int = 0) -> Any:
    """A loro value as JSON has it. Raises LoroError for what JSON has not."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        if value != value or value in (float("inf"), float("-inf")):
            raise LoroError("a number is not finite")
        return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
    if depth > MAX_DEPTH:
        raise LoroError("a value is nested deeper than allowed")
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: plain(item, depth + 1) for key, item in value.items()}
    raise LoroError("a value is not JSON")


CONTAINERS: dict[Merge, Container] = {
    Merge.TEXT: Container(LoroText, "", lambda text: text.to_string(), write_text),
    Merge.COUNTER: Container(LoroCounter, 0, lambda counter: plain(counter.value), _write_counter),
    Merge.LIST: Container(LoroList, [], lambda items: plain(items.get_deep_value()), _write_list),
    Merge.MOVABLE_LIST: Container(
        LoroMovableList, [], lambda items: plain(items.get_deep_value()), _write_movable_list
    ),
    Merge.TREE: Container(LoroTree, [], _read_tree, _write_tree, is_same_tree),
}
"""All but `lww`, which is a plain value in the map."""
