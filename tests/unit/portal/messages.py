"""Every message id the portal can show: from the templates and from the tables of labels."""

from __future__ import annotations

import ast
from pathlib import Path

from jinja2 import Environment
from jinja2.ext import extract_from_ast

import veildesk.portal as portal

ROOT = Path(portal.__file__).parent


def in_templates() -> set[str]:
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    found: set[str] = set()
    for path in sorted((ROOT / "templates").glob("*.html")):
        tree = environment.parse(path.read_text("utf-8"))
        for _line, _function, message in extract_from_ast(tree, babel_style=False):
            found.update(part for part in ([message] if isinstance(message, str) else message) if part)
    return found


def in_labels() -> set[str]:
    tree = ast.parse((ROOT / "labels.py").read_text("utf-8"))
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "N_"
    }
