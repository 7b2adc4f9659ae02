"""Mail addresses, internationalised ones included (RFC 5321 § 4.1.2, RFC 6531).

Spelled-out forms are undone by `veildesk.redact.decode` first. Package versions (`name@1.2.3`),
retina images, systemd units and the git user of code hosts are no addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["RULES"]

_ADDRESS = re.compile(
    r"(?:(?<![\w.!#$&'*+/=?^`{|}~-])|(?<=[\u2e80-\uffdc])(?=[A-Za-z0-9]))"
    r"(?P<local>\"[^\"\r\n]{1,64}\"|[\w.!#$%&'*+/=?^`{|}~-]{1,64}) ?@ ?"
    r"(?P<domain>(?:[^\W_](?:[\w-]{0,61}[^\W_])?[.\u3002\uff0e] ?){1,8}(?P<tld>xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})"
    r"|\[(?:IPv6:)?[0-9A-Fa-f:.]{3,45}\]|(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![\w-])",
    re.IGNORECASE,
)
_NOT_TLD = frozenset(
    "png jpg jpeg gif svg webp bmp ico js mjs cjs ts tsx jsx css scss json jsonl xml yml yaml toml txt log md html htm "
    "tgz gz bz2 xz tar rar exe dll dylib jar war apk ipa whl deb rpm lock conf cfg ini sql php java class cpp hpp "
    "service socket target timer mount slice scope device path swap automount pem crt key csr asc sig".split()
)
_HOSTED_GIT = re.compile(
    r"(?:git|hg)@(?:[\w-]+\.)*(?:github|gitlab|bitbucket|codeberg|gitea|sr|launchpad)\.[a-z]+", re.I
)
_USERINFO = re.compile(r"://[^\s/@?#]{0,100}@(?=\Z)")
_CUES = re.compile(r".*(?:是|为|為|至|到|给|給|从|從|由|用|：|于|は|が|を|へ|に)", re.DOTALL)


def _judge(match: re.Match[str], text: str) -> Iterator[Finding]:
    if _USERINFO.search(text, max(0, match.start() - 160), match.end("local") + 1):
        return
    tld = (match["tld"] or "").lower()
    if tld in _NOT_TLD:
        return
    if _HOSTED_GIT.fullmatch(match[0]) and text[match.end() : match.end() + 1] in (":", "/"):
        return
    start, end = match.span()
    if " " in match[0] and not _spaced_ok(match):
        return
    local = match["local"]
    if not local.isascii() and not local.startswith('"'):
        start += _script_cut(local)
    start += len(local[start - match.start() :]) - len(local[start - match.start() :].lstrip(".'`{|/=*"))
    if text[start] == "@":
        return
    yield finding(start, _ascii_end(match, end), "EMAIL", "email")


def _spaced_ok(match: re.Match[str]) -> bool:
    """Spaces around @ or dots are taken for disguise only if all of them are spaced alike."""
    return " @ " in match[0] and "." in match["domain"] and ". " not in match["domain"]


def _script_cut(local: str) -> int:
    """How much of a local part written without spaces before it is prose ("my address is")."""
    cue = _CUES.match(local)
    cut = cue.end() if cue and cue.end() < len(local) else 0
    tail = re.search(r"[!-~]+\Z", local[cut:])
    if tail and cut + tail.start() > 0 and "\u2e80" <= local[cut + tail.start() - 1] <= "\uffdc":
        return cut + tail.start()
    return cut


def _ascii_end(match: re.Match[str], end: int) -> int:
    """Cut prose of a script without spaces off an ASCII top-level domain."""
    tld = match["tld"]
    if not tld or match["domain"].isascii():
        return end
    head = re.match(r"[a-z]{2,24}", tld, re.IGNORECASE)
    return match.start("tld") + head.end() if head else end


RULES = (Rule("email", (rb"@",), pattern_search(_ADDRESS, _judge), back=140, ahead=280, exact=True),)
