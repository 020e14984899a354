"""Finds thousands of names in a text at once: a tree of their words, and of characters in Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from finetune.self_kg.records import node_key

_UNIT = re.compile(
    "[\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\\W\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
_END = ""  # marks a node of the tree where a name ends


class NameIndex:
    """Names by their keys (`records.node_key`). Names of a single letter are not looked for."""

    def __init__(self, names: Iterable[str]) -> None:
        self._tree: dict[str, Any] = {}
        for name in names:
            key = node_key(name)
            units = _UNIT.findall(key)
            if not units or len(key) < 2:
                continue
            place = self._tree
            for unit in units:
                place = place.setdefault(unit, {})
            place.setdefault(_END, key)

    def found(self, text: str) -> list[str]:
        """The keys of the names in `text`, in order, each once; of names within names only the longest."""
        units = _UNIT.findall(node_key(text))
        keys: dict[str, None] = {}
        at = 0
        while at < len(units):
            place, longest, length = self._tree, "", 0
            for ahead in range(at, len(units)):
                following = place.get(units[ahead])
                if following is None:
                    break
                place = following
                if _END in place:
                    longest, length = place[_END], ahead - at + 1
            if length:
                keys.setdefault(longest)
            at += max(1, length)
        return list(keys)
