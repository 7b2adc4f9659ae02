# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Mail addresses, internationalised ones included (RFC 5321 § 4.1.2, RFC 6531).

Spelled-out forms are undone by `veildesk.redact.decode` first. Package versions (`name@1.2.3`),
retina images, systemd units and the git user of code hosts are no addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect.domains import is_top_level
from veildesk.redact.rule import Rule, finding

__all__ = ["RULES"]

_DOMAIN = re.compile(
    r"(?P<gap> ?)@(?P<gap2> ?)(?P<domain>(?:[^\W_](?:[\w-]{0,61}[^\W_])?[.\u3002\uff0e]){1,8}(?P<tld>xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})"
    r"|\[(?:IPv6:)?[0-9A-Fa-f:.]{3,45}\]|(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![0-9A-Za-z_-])",
    re.IGNORECASE,
)
_LOCAL = re.compile(r"\"[^\"\r\n]{1,64}\"|[\w.!#$%&'*+/=?^`{|}~-]{1,64}")
_NOT_TLD = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "bmp",
        "ico",
        "js",
        "mjs",
        "cjs",
        "ts",
        "tsx",
        "jsx",
        "css",
        "scss",
        "json",
        "jsonl",
        "xml",
        "yml",
        "yaml",
        "toml",
        "txt",
        "log",
        "md",
        "html",
        "htm",
        "tgz",
        "gz",
        "bz2",
        "xz",
        "tar",
        "rar",
        "exe",
        "dll",
        "dylib",
        "jar",
        "war",
        "apk",
        "ipa",
        "whl",
        "deb",
        "rpm",
        "lock",
        "conf",
        "cfg",
        "ini",
        "sql",
        "php",
        "java",
        "class",
        "cpp",
        "hpp",
        "service",
        "socket",
        "target",
        "timer",
        "mount",
        "slice",
        "scope",
        "device",
        "path",
        "swap",
        "automount",
        "pem",
        "crt",
        "key",
        "csr",
        "asc",
        "sig",
    ]
)
_HOSTED_GIT = re.compile(
    r"(?:[\w-]+\.)*(?:github|gitlab|bitbucket|codeberg|gitea|sr|launchpad)\.[a-z]+", re.IGNORECASE
)
_USERINFO = re.compile(r"://[^\s/?#]{0,100}@(?=\Z)")
# "user=anna@..." is a key and an address; "bounce+anna=example.org@..." is one address (VERP).
_KEY = re.compile(
    r"(?:[\w.-]*[_.-])?(?:e?-?mail|user|username|login|from|to|cc|bcc|addr|address|contact|account|acct|name|uid|sender|"
    r"recipient|rcpt|owner|admin|id|author|reply-to|subject|who|cn|emailaddress|email_address|principal|peer)=['\"]?",
    re.IGNORECASE,
)
_CUES = re.compile(r".*(?:是|为|為|至|到|给|給|从|從|由|用|：|于|は|が|を|へ|に)", re.DOTALL)


_GLUED = re.compile(
    r"(?P<gap>)@(?P<gap2>)(?P<domain>(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?P<tld>[^\W\d_]{2,24}?))(?=[0-9_-]|(?<=[a-z])[A-Z])",
)


def _glued(text: str, at: int) -> re.Match[str] | None:
    """A domain with something right behind it, as in file names: its last label must be a true one."""
    match = _GLUED.match(text, at)
    return match if match and (is_top_level(match["tld"]) or match["tld"].lower() in _SPECIAL) else None


_SPECIAL = frozenset({"example", "test", "invalid", "onion", "i2p"})


def _search(text: str, start: int, end: int) -> Iterator[Finding]:
    at = text.find("@", start, end)
    while at >= 0:
        spaced = text[at - 1 : at] == " "
        domain = _DOMAIN.match(text, at - spaced)
        if domain is None or (domain["tld"] or "").lower() in _NOT_TLD:
            domain = _glued(text, at) or domain
        if domain is not None:
            yield from _address(text, at, domain)
        else:
            yield from _matrix(text, at)
        at = text.find("@", at + 1, end)


_MATRIX = re.compile(
    r"@[a-z0-9._=/+-]{1,64}:(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,5}(?P<tld>[a-z]{2,24})(?![\w-])"
)


def _matrix(text: str, at: int) -> Iterator[Finding]:
    """A Matrix user id, `@name:server` (Matrix specification, appendix on identifiers)."""
    match = _MATRIX.match(text, at)
    if (
        match
        and is_top_level(match["tld"])
        and match["tld"] not in _NOT_TLD
        and not text[at - 1 : at].isalnum()
    ):
        yield finding(at, match.end(), "EMAIL", "matrix-id", 0.8)


def _address(text: str, at: int, domain: re.Match[str]) -> Iterator[Finding]:
    """The address around the sign at `at`, if it is one."""
    if domain["gap"] != domain["gap2"] or (
        " " in domain["domain"] and (not domain["gap"] or ". " in domain["domain"])
    ):
        return
    if (domain["tld"] or "").lower() in _NOT_TLD:
        return
    if (
        domain["tld"] is None
        and domain["domain"][0] != "["
        and max(map(int, domain["domain"].split("."))) < 32
    ):
        return  # "package@1.2.3.4"
    backwards = _LOCAL.match(text[max(0, domain.start() - 66) : domain.start()][::-1])
    if backwards is None:
        return
    local = backwards[0][::-1]
    start = domain.start() - len(local)
    if "://" in text[max(0, start - 120) : domain.start()] and _USERINFO.search(
        text, max(0, start - 160), at + 1
    ):
        return
    if (
        local in ("git", "hg")
        and _HOSTED_GIT.fullmatch(domain["domain"])
        and text[domain.end() : domain.end() + 1] in (":", "/")
    ):
        return
    if not local.isascii() and not local.startswith('"'):
        start += _script_cut(local)
    start += len(text[start : domain.start()]) - len(
        text[start : domain.start()].lstrip(".,'`{|}/=*#&?!$^~-")
    )
    key = _KEY.match(text, start, domain.start())
    if key is not None and key.end() < domain.start():
        start = key.end()
    if start < domain.start():
        yield finding(start, _ascii_end(domain), "EMAIL", "email")


def _script_cut(local: str) -> int:
    """How much of a local part written without spaces before it is prose ("my address is")."""
    cue = _CUES.match(local)
    cut = cue.end() if cue and cue.end() < len(local) else 0
    tail = re.search(r"[!-~]+\Z", local[cut:])
    if tail and cut + tail.start() > 0 and "\u2e80" <= local[cut + tail.start() - 1] <= "\uffdc":
        return cut + tail.start()
    return cut


def _ascii_end(match: re.Match[str]) -> int:
    """Where an address ends: prose of a script without spaces is cut off an ASCII top-level domain."""
    tld = match["tld"]
    if not tld or match["domain"].isascii():
        return match.end()
    head = re.match(r"[a-z]{2,24}", tld, re.IGNORECASE)
    return match.start("tld") + head.end() if head else match.end()


RULES = (Rule("email", (rb"@",), _search, back=2, ahead=2, exact=True),)
