# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Secrets inside addresses of the web: login before the host, tokens in query, fragment or path (RFC 3986)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["RULES"]

_LOGIN = re.compile(
    r"(?<![A-Za-z0-9])(?P<scheme>[a-z][a-z0-9+.-]{1,30})://(?P<user>[^\s/@:?#\"'<>]{0,100}):(?P<pass>[^\s/?#\"'<>]{1,200}|[^\s/\"'<>]{1,200}?|[^\s\"'<>@]{1,200})"
    r"@(?=[\w\[%-])",
    re.IGNORECASE,
)
_USER_ONLY = re.compile(
    r"(?<![A-Za-z0-9])[a-z][a-z0-9+.-]{1,30}://(?P<user>[^\s/@:?#\"'<>]{1,100})@(?=[\w\[])",
    re.IGNORECASE,
)
_SHARED_USERS = frozenset({"git", "hg", "anonymous", "svn", "ftp"})


def _login(match: re.Match[str], text: str) -> Iterator[Finding]:
    start = match.start("user") if match["user"] else match.start("pass")
    if match["pass"].startswith(("$", "{", "<")) and not match["user"]:
        return
    yield finding(start, match.end("pass"), "URL_CRED", "url-login", 0.95)


def _user(match: re.Match[str], text: str) -> Iterator[Finding]:
    if match["user"].lower() not in _SHARED_USERS:
        yield finding(match.start("user"), match.end("user"), "URL_CRED", "url-user", 0.9)


_NAMES = (
    r"(?:[\w.-]{0,40}[_.-])?(?:access_?token|refresh_?token|id_?token|auth_?token|token|tok|access_?key|api_?key|apikey|client_?secret|"
    r"secret|sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|hmac|hash|code|auth|authorization|"
    r"authkey|key|pass|passwd|password|pwd|session|session_?id|sessid|sid|jwt|ticket|otp|invite|invitation|reset|verify|verification|confirm|"
    r"confirmation|magic|nonce|state_?token|csrf|xsrf|bearer|assertion|samlresponse|se?ssion_?key|share|st|at|rt|t|k|s|h|c)"
)
_QUERY = re.compile(
    rf"[?&;#](?:amp;)?(?P<name>{_NAMES})=(?P<value>[^\s&#;\"'<>()\\`，。；、）】]{{6,2000}})", re.IGNORECASE
)
_SHORT_NAMES = re.compile(
    r"t|k|s|h|c|st|at|rt|code|state|hash|key|ticket|reset|verify|confirm|share|nonce|magic|invite|auth|sig|session|sid",
    re.I,
)


def _query(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["value"].rstrip(".,!?:")
    base = match["name"].lower()
    strong = not _SHORT_NAMES.fullmatch(base)
    if not _random(value, 8 if strong else 12):
        return
    yield finding(match.start("value"), match.start("value") + len(value), "URL_TOKEN", "url-query", 0.85)


def _random(value: str, least: int) -> bool:
    """Whether a value looks drawn by chance: long enough and no plain word or number."""
    body = re.sub(r"%[0-9A-Fa-f]{2}", "x", value)
    if len(body) < least or not re.search(r"[A-Za-z]", body):
        return False
    if re.fullmatch(r"[a-z]+(?:[-_][a-z]+)*", body, re.IGNORECASE) and len(body) < 20:
        return False
    return bool(re.search(r"[0-9]", body) or re.search(r"[a-z][A-Z]", body) or len(body) >= 24)


_PATH = re.compile(
    r"://[^\s\"'<>]{1,200}?/(?:reset|verify|confirm|activate|activation|invite|invitation|magic|magic-link|login|signin|auth|token|share|s|unsubscribe|"
    r"password[-_]?reset|reset[-_]?password|email-?verification|recover|recovery|onetime|otp|t|r|d|dl|download|join|session)s?/"
    r"(?P<value>[A-Za-z0-9_=.~-]{20,600})(?![A-Za-z0-9])",
    re.IGNORECASE,
)


def _drawn(value: str) -> bool:
    """Capitals, small letters and digits that take turns as chance has them."""
    kinds = [0 if char.isdigit() else 1 if char.islower() else 2 for char in value if char.isalnum()]
    return len(set(kinds)) >= 2 and sum(a != b for a, b in pairwise(kinds)) * 3 >= len(kinds)


def _path(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["value"]
    if (
        (len(re.findall(r"[0-9]", value)) >= 3 or _drawn(value))
        and not re.search(r"\.[a-z]{2,4}\Z", value)
        and not re.search(r"[0-9]\.[0-9]", value)
    ):
        yield finding(match.start("value"), match.end("value"), "URL_TOKEN", "url-path", 0.7)


_INVITE = re.compile(
    r"(?<![A-Za-z0-9.-])(?:t\.me/(?:\+|joinchat/)|chat\.whatsapp\.com/|signal\.group/#|(?P<phone>wa\.me/\+?(?=[0-9]{7,15}(?![0-9A-Za-z]))))(?P<value>[A-Za-z0-9_-]{7,200})",
    re.IGNORECASE,
)


def _invite(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(
        match.start("value"), match.end("value"), "PHONE" if match["phone"] else "URL_TOKEN", "invite", 0.85
    )


RULES = (
    Rule("invite", (rb"t\.me/", rb"chat\.whatsapp\.com/", rb"signal\.group/", rb"wa\.me/"), pattern_search(_INVITE, _invite), back=24, ahead=210),
    Rule("url-login", (rb"://[^\x20/@?\n\x22<>:]{0,60}:[^\x20\n\x22<>/]",), pattern_search(_LOGIN, _login), back=180, ahead=300, exact=True),
    Rule("url-user", (rb"://[^\x20/@?\n\x22<>:]{1,60}@",), pattern_search(_USER_ONLY, _user), back=140, ahead=60),
    Rule("url-query", (rb"[?&;#][a-z0-9_.-]{1,40}=[^\x20\n&]{6}",), pattern_search(_QUERY, _query), back=110, ahead=2010),
    Rule("url-path", (rb"/(?:reset|verify|confirm|activate|activation|invite|invitation|magic|magic-link|login|signin|auth|token|share|s|unsubscribe|recover|recovery|onetime|otp|[trd]|dl|download|join|session|[a-z_-]{5,9}reset|reset[a-z_-]{5,9}|email-?verification)s?/[a-z0-9_=.~-]{20}",),
         pattern_search(_PATH, _path), back=260, ahead=610),
)  # fmt: skip
