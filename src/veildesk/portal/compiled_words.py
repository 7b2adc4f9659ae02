"""Messages put into templates when they are compiled, once for each language, not at each request.

Only calls with one literal and no values are replaced; the result is what the call would give (newstyle
gettext: safe markup, `%%` stands for `%`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, nodes
from jinja2.visitor import NodeTransformer

__all__ = ["LanguageEnvironment"]


class _Replace(NodeTransformer):
    def __init__(self, gettext: Callable[[str], str]) -> None:
        self._gettext = gettext

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - the name jinja2 looks for
        plain = isinstance(node.node, nodes.Name) and node.node.name == "_" and len(node.args) == 1
        if plain and not (node.kwargs or node.dyn_args or node.dyn_kwargs):
            (message,) = node.args
            if isinstance(message, nodes.Const) and isinstance(message.value, str):
                text = nodes.Const(self._gettext(message.value) % {}, lineno=node.lineno)
                return nodes.MarkSafe(text, lineno=node.lineno)
        visited = self.generic_visit(node)
        assert isinstance(visited, nodes.Node)
        return visited


class LanguageEnvironment(Environment):
    """An environment of one language."""

    def __init__(self, gettext: Callable[[str], str], **options: Any) -> None:
        super().__init__(**options)
        self._gettext = gettext

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = _Replace(self._gettext).visit(super()._parse(source, name, filename))
        assert isinstance(tree, nodes.Template)
        return tree
