# ruff: noqa: E501 -- patterns are read best unbroken

"""Secrets in the words of protocols and command lines: IMAP logins, SNMP communities, answers to challenges."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect.secret import PLACEHOLDER
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["RULES"]

_ATOM = r"(?:\"(?P<{0}>(?:[^\"\\\r\n]|\\.){{1,200}})\"|(?P<{0}b>[^\s\"(){{}}\ue000]{{1,200}}))"
_IMAP = re.compile(
    r"(?<![^\s>:\])])(?:[A-Za-z]{0,4}[0-9]{1,8}|[A-Za-z.]{1,2})[ ]LOGIN[ ]"
    + _ATOM.format("user")
    + "[ ]"
    + _ATOM.format("value")
    + r"(?=[ \t]*(?:\r?\n|\Z))"
)


def _imap(match: re.Match[str], text: str) -> Iterator[Finding]:
    """LOGIN (RFC 9051 § 6.2.3): the name and the password in clear."""
    for name, type_ in (("user", "NAME"), ("value", "PASSWORD")):
        group = name if match[name] is not None else name + "b"
        if not PLACEHOLDER.fullmatch(match[group]):
            yield finding(match.start(group), match.end(group), type_, "imap-login", 0.9)


_SNMP = re.compile(
    r"(?:(?<![\w-])snmp(?:walk|get|getnext|bulkwalk|bulkget|set|trap|table|status|df)[ ][^\n|;]{0,80}?-c[ ]?|\b(?:ro|rw)community6?[ ]|\bsnmp-server community[ ]|\bcommunity(?: string)?[ \t]{0,3}[:=][ \t]{0,3})[\"']?(?P<value>[^\s\"'\ue000]{3,64})",
    re.IGNORECASE,
)
_KNOWN = frozenset({"public", "private", "string", "name", "edition", "forum"})
_ANSWER = re.compile(
    r"(?:\b(?:response|cnonce|nt-?response|ntlmhash|nthash|lmhash|nt hash|ntlm)=?[\"']?[ \t]{0,2}[:=][ \t]{0,2}[\"']?)(?P<value>[0-9a-f]{32,256})(?![0-9a-z])",
    re.IGNORECASE,
)
_STORED = re.compile(
    r"(?<![A-Za-z0-9$])(?:\$apr1\$[^\s:$]{1,8}\$[./A-Za-z0-9]{22}|\{(?:SSHA|SHA|SMD5|MD5|SSHA256|SSHA512|SHA256|SHA512|CRYPT|PBKDF2[A-Z0-9-]{0,8}|ARGON2I?D?|BLF-CRYPT|SHA512-CRYPT|PLAIN|CLEARTEXT|CRAM-MD5|SCRAM-SHA-(?:1|256))(?:\.(?:HEX|B64|b64))?\}[^\s\"',;<>\ue000]{4,300})"
)
_VNC = re.compile(
    r"(?<![\w-])(?:vncpasswd|x11vnc[ ][^\n]{0,60}?-passwd|storepasswd)[ ](?P<value>(?!-)[^\s\"'\ue000]{4,64})"
)
_NTLM = re.compile(r"(?<![A-Za-z])(?:NTLM|Negotiate)[ ](?P<value>[A-Za-z0-9+/]{40,8000}={0,2})")
_CREDENTIAL = re.compile(
    r"(?<=--macaroon=)[0-9a-f]{60,4000}|(?<=macaroon[:=] )[0-9a-f]{60,4000}|(?<![0-9a-f])0201036c6e64[0-9a-f]{60,4000}",
    re.IGNORECASE,
)


_SEALED = re.compile(
    r"(?<![A-Za-z0-9])(?:Fe26\.[12]\*[^\s\"',;<>\ue000]{60,4000}|AQ\.Ab8RN6[A-Za-z0-9_-]{30,100}|st\.[0-9a-f-]{24,36}\.[0-9a-f]{32}\.[0-9a-f]{32})(?![A-Za-z0-9])"
)
"""Sealed sessions and keys whose parts are apart by marks of their own."""


def _secret(type_: str, name: str) -> Callable[[re.Match[str], str], Iterator[Finding]]:
    def judge(match: re.Match[str], text: str) -> Iterator[Finding]:
        group = "value" if "value" in match.re.groupindex else 0
        value = match[group]
        if (
            value.lower() not in _KNOWN
            and not PLACEHOLDER.fullmatch(value)
            and not (value.startswith(("$", "%", "-")) and name != "stored")
        ):
            yield finding(match.start(group), match.end(group), type_, name, 0.85)

    return judge


RULES = (
    Rule("imap-login", (rb"[A-Za-z0-9] LOGIN [\"A-Za-z0-9]",), pattern_search(_IMAP, _imap), back=24, ahead=420, cased=True),
    Rule("snmp", (rb"snmp", rb"rocommunity", rb"rwcommunity", rb"community"), pattern_search(_SNMP, _secret("PASSWORD", "community")), back=24, ahead=160),
    Rule("answer", (rb"response=", rb"response\"?:", rb"cnonce=", rb"hash[:=]", rb"ntlm[:=]"), pattern_search(_ANSWER, _secret("BEARER", "answer")), back=30, ahead=270),
    Rule("stored-password", (rb"\$apr1\$", rb"\{(?:ssha|sha|smd5|md5|crypt|pbkdf2|argon2|blf-crypt|plain|cleartext|cram-md5|scram)"), pattern_search(_STORED, _secret("PASSWORD", "stored")), back=12, ahead=320),
    Rule("vnc", (rb"vncpasswd", rb"-passwd ", rb"storepasswd"), pattern_search(_VNC, _secret("PASSWORD", "command")), back=80, ahead=70),
    Rule("ntlm", (rb"ntlm [a-z0-9+/]{12}", rb"negotiate [a-z0-9+/]{12}"), pattern_search(_NTLM, _secret("BEARER", "ntlm")), back=40, ahead=8000),
    Rule("sealed", (rb"fe26\.[12]\*", rb"aq\.ab8rn6", rb"[^a-z0-9]st\.[0-9a-f]{8}"), pattern_search(_SEALED, _secret("API_TOKEN", "sealed")), back=50, ahead=4000),
    Rule("macaroon", (rb"0201036c6e64", rb"macaroon"), pattern_search(_CREDENTIAL, _secret("BEARER", "macaroon")), back=20, ahead=4000),
)  # fmt: skip
