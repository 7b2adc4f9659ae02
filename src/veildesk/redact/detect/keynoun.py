# ruff: noqa: E501 -- patterns are read best unbroken

"""Values behind a bare word for a key: "my OpenWeather key is ...", "mein X-Schlüssel lautet ...".

The words of `keywords` say for themselves that a secret follows; "key" says it only if nothing around it
tells of another kind of key and the value looks drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.detect.issuers import mixed
from veildesk.redact.detect.prefixes import drawn
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search, pattern_search

__all__ = ["RULES"]

_NOUNS = (
    "key", "keys", "schlüssel", "clé", "clés", "clave", "llave", "ключ", "ключа", "ключом", "ключи", "chave", "chiave", "klucz", "klucza", "sleutel", "anahtar", "anahtarı",
    "anahtarım", "nyckel", "nøgle", "nøkkel", "klíč", "avain", "kulcs", "cheia", "κλειδί", "مفتاح", "キー", "키",
)  # fmt: skip
_NOUN = Keyword(keywords.pattern(_NOUNS))
_VERB = r"(?:is|was|are|lautet|ist|war|est|était|es|era|è|é|это|jest|er|är|on|je|=)"
_TAIL = re.compile(
    rf"(?P<between>[\"'*_`]{{0,2}}(?:[ \t]+[^\s:=\ue000]{{1,20}}){{0,4}}?)"
    rf"(?P<sep>[ \t]?[:=：](?:[ \t]{{0,3}}|[ \t]*(?:\r?\n[> \t]*){{1,2}})|[ \t]+{_VERB}(?:[ \t:]{{1,3}}|[ \t:]{{0,3}}\r?\n[> \t]{{0,8}})|[ \t]+)"
    r"[\"'`“«(<]?(?P<value>[A-Za-z0-9][A-Za-z0-9_+/=.~|-]{15,199})(?![A-Za-z0-9_@])",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"publi|\bpub\b|cache|primary|foreign|\bsort|partition|idempot|\bhost|index|registry|\breg\b|object|\brow\b|[gp]+gp\b|fingerprint|\bid\b|keyid|hash|\bsha|\bmd5|commit|"
    r"checksum|lookup|\bmap\b|\bdict|\bhot|shortcut|message|ordering|routing|dedup|correlat|i18n|\brsa\b|\bdsa\b|\bssh\b|ed25519|signed|signature|build|version|"
    r"öffentlich|primär|fremd|registr|fingerabdr|отпечат|открыт|публичн|первичн|primari|primaire|externa|étrangère|lica\b|huella|empreinte|impronta|\bfile\b|missing|not found|unknown key|duplicate|answer|\bissue\b",
    re.IGNORECASE,
)
_HEX = re.compile(r"[0-9a-f]{30,}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NOT = re.compile(
    r"(?:https?|v?[0-9]+\.[0-9]|[0-9]{4}-[0-9]{2}-|[0-9.:/-]+\Z|[a-z]+(?:[._/-][a-z]+)+\Z)", re.IGNORECASE
)


def _secretive(value: str, *, said: bool) -> bool:
    """Whether a value looks like a key; hex and UUIDs count only if the sentence says "is" or the like."""
    if _NOT.match(value):
        return False
    if said and (_HEX.fullmatch(value) or _UUID.fullmatch(value)):
        return len(set(value)) >= 8
    run = max(re.split(r"[_.=~|/+-]", value), key=len)
    if len(run) < (16 if said else 20) or (run.isupper() and re.fullmatch(r"[0-9A-F]+", run)):
        return False
    return drawn(run) or (said and mixed(run) and len(run) >= 16)


def _noun(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["value"].rstrip(".-_~|/")
    around = before(text, head.start(), 28) + head[0] + match["between"]
    said = bool(match["sep"].strip())
    if (
        text[head.start() - 1 : head.start()] != ":"
        and not _OTHER.search(around)
        and _secretive(value, said=said)
    ):
        yield finding(match.start("value"), match.start("value") + len(value), "API_TOKEN", "key-noun", 0.7)


_MADE = re.compile(
    r"\b(?:new[ ]+[\w.]{2,40}|[\w.]{0,40}(?:client|api|configure|init|auth|authenticate|login|connect|setkey|set_key|credentials?))\([ ]?[\"'](?P<value>[A-Za-z0-9][A-Za-z0-9_+/=.~|-]{15,199})[\"']",
    re.IGNORECASE,
)


def _made(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The first argument of what opens a service in a program."""
    if _secretive(match["value"], said=True) and not _OTHER.search(
        before(text, match.start(), 20) + match[0][: -len(match["value"])]
    ):
        yield finding(match.start("value"), match.end("value"), "API_TOKEN", "first-argument", 0.6)


RULES = (
    Rule("key-noun", (rb"[^a-z]keys?[^a-z]", rb"-keys?[^a-z]", *keywords.triggers(_NOUNS[2:])), keyword_search(_NOUN, _TAIL, _noun), back=30, ahead=20),
    Rule("first-argument", (rb"[a-z]\( ?[\"'][a-z0-9_-]{14}",), pattern_search(_MADE, _made), back=80, ahead=200),
)  # fmt: skip
