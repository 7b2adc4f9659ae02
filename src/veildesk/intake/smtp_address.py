"""The addresses and parameters of MAIL and RCPT, read strictly (RFC 5321 § 4.1.2).

A path must stand in angle brackets. Nothing that could end or split a line, and nothing that a later
reader might take for a second address, gets through.
"""

from __future__ import annotations

import re

__all__ = ["NULL_PATH", "parse_path"]

NULL_PATH = "<>"

_MAX_PATH = 512
_ATOM = r"[^\x00-\x20\x7f\"(),:;<>@\[\\\].\ud800-\udfff]+"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f\ud800-\udfff]|\\[\x20-\x7e])*"'
_DOMAIN = rf"(?:{_DOT_STRING}|\[[0-9A-Za-z:.]+\])"
_ROUTE = rf"(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"
_PATH = re.compile(rf"<(?:{_ROUTE}((?:{_DOT_STRING}|{_QUOTED})@{_DOMAIN})|(postmaster))?>", re.IGNORECASE)


def parse_path(argument: str) -> tuple[str, str] | None:
    """Split "<path> parameters" into address and parameters; None if the path is malformed.

    The null path comes back as `NULL_PATH`, a source route is dropped (RFC 5321 § 4.1.1.3).
    """
    argument = argument.strip(" ")
    match = _PATH.match(argument)
    if match is None or match.end() > _MAX_PATH:
        return None
    rest = argument[match.end() :]
    if rest and not rest.startswith(" "):
        return None
    return match.group(1) or match.group(2) or NULL_PATH, rest.strip(" ")
