# ruff: noqa: E501 -- tables of forms are read best unbroken

"""Keys of further issuers whose form alone tells them: a mark, or parts of fixed lengths.

As in `prefixes`, the marks and lengths are those the issuers document. Here also stands what a mark tells
by its words: `acme_live_...`, `acme-secret-...` open something, whoever Acme is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from veildesk.core.finding import Finding
from veildesk.redact.detect.prefixes import drawn, special
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["RULES", "mixed"]

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_MIXED = r"(?=[^0-9\s]{0,40}[0-9])(?=[^A-Z\s]{0,40}[A-Z])(?=[^a-z\s]{0,40}[a-z])"

_PAIR = rb"[a-z0-9_-]{8}[.:/|_-][a-z0-9_-]{16}"
"""Two long runs and a sign between: one trigger for all forms without a mark, which cost the scan the most."""
_BEGIN = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z0-9_.:/|-]{33})[A-Za-z0-9_-]")
"""Where the shortest of them may begin; only there all are tried."""

_PAIRS: tuple[str, ...] = (
    r"[0-9a-f]{16}-[0-9a-f]{16}-[0-9a-f]{16}",
    rf"[0-9]{{12,20}}-{_MIXED}[A-Za-z0-9]{{40}}",
    rf"{_MIXED}[A-Za-z0-9_-]{{43}}\.{_MIXED}[A-Za-z0-9_-]{{43}}",
    rf"{_MIXED}[A-Za-z0-9]{{36}}\.{_MIXED}[A-Za-z0-9_.-]{{100,260}}",
    r"(?:token|kubeconfig)-[a-z0-9-]{5,60}:[a-z0-9]{54}",
    rf"[0-9]{{15,16}}\|{_MIXED}[A-Za-z0-9_-]{{27}}",
    rf"[123]{_MIXED}[A-Za-z0-9]{{26}}_[A-Za-z0-9]{{20,24}}",
    rf"{_MIXED}[A-Za-z0-9_-]{{20}}:{_MIXED}[A-Za-z0-9_-]{{22}}",
    rf"(?:configcat-sdk-1/)?{_MIXED}[A-Za-z0-9_-]{{22}}/{_MIXED}[A-Za-z0-9_-]{{22}}(?!/)",
    r"[0-2]/[0-9]{13,18}(?:/[0-9]{13,18})?:[0-9a-f]{32}",
    r"[0-9a-f]{24}:[0-9a-f]{64}",
    rf"{_UUID}:[0-9a-f]{{32}}",
    rf"[0-9a-f]{{32}}\.{_MIXED}[A-Za-z0-9]{{16}}",
    rf"[A-Za-z0-9]{{8}}\.{_MIXED}[A-Za-z0-9]{{32}}",
    rf"{_MIXED}[A-Za-z0-9]{{10}}-{_MIXED}[A-Za-z0-9]{{22}}",
)  # fmt: skip
_FORMS: tuple[tuple[bytes, str], ...] = (
    (rb"(?:trnsl|dict|pdct)\.1\.1\.", r"(?:trnsl|dict|pdct)\.1\.1\.[0-9]{8}T[0-9]{6}Z\.[0-9a-f]{16}\.[0-9a-f]{40}"),
    (rb"[^a-z0-9]c[ks]_[0-9a-f]{12}", r"c[ks]_[0-9a-f]{40}"),
    (rb"vk1\.a\.", r"vk1\.a\.[A-Za-z0-9_-]{60,400}"),
    (rb"[^a-z0-9][so]\.[a-z0-9]{16}", rf"[so]\.{_MIXED}[A-Za-z0-9]{{24,32}}"),
    (rb"[^a-z0-9](?:ur?|m)[0-9]{5,9}-[0-9a-f]{12}", r"(?:ur?|m)[0-9]{5,9}-[0-9a-f]{24}"),
    (rb"ucat_[a-z0-9]{12}", r"ucat_[A-Z0-9]{26}"),
    (rb"[a-z*]:[a-z]{2,20}\.[0-9a-f]{16}", r"(?:\*|[a-z0-9_-]{1,30}):[a-z]{2,20}\.[0-9a-f]{56,64}"),
    (rb"[0-9]-[a-z0-9]{24}", rf"[0-9]{{1,3}}-{_MIXED}[A-Za-z0-9]{{64}}"),
    (rb"[^a-z0-9](?:act|rft|clt)\.[a-z0-9!]{12}", rf"(?:act|rft|clt)\.{_MIXED}[A-Za-z0-9!*]{{32,160}}"),
    (rb"[^a-z0-9]api-[a-z0-9]{26}", r"api-(?=[A-Z]{0,20}[0-9])[A-Z0-9]{32}"),
    (rb"[^a-z0-9]key-[a-z0-9]{12}", r"key-(?=[a-z]{0,20}[0-9])[0-9a-z]{32}"),
    (rb"scp-(?:live|test)-", r"scp-(?:live|test)-[0-9a-f]{32}"),
    (rb"salad_cloud_", r"salad_cloud_[A-Za-z0-9]{1,20}_[A-Za-z0-9]{20,60}"),
    (rb"[^a-z0-9]v2/[a-z0-9]{40}", rf"v2/{_MIXED}[A-Za-z0-9]{{100,420}}"),
    (rb"[^a-z0-9]key_[0-9a-f]{12}", r"key_[0-9a-f]{28,64}"),
    (rb"(?:pub|sub|sec)-c-", rf"(?:pub|sub|sec)-c-(?:{_UUID}|[A-Za-z0-9]{{40,60}})"),
    (rb"PVEAPIToken=", rf"PVEAPIToken=[^\s=!]{{1,60}}![^\s=]{{1,60}}={_UUID}"),
    (rb"[^a-z0-9][ps]k1_[0-9a-f]{12}", r"[ps]k1_[0-9a-f]{64}"),
    (rb"ovsx[a-z]{1,2}_", rf"ovsx[a-z]{{1,2}}_(?:{_UUID}|[A-Za-z0-9]{{30,60}})"),
    (rb"openuv-", r"openuv-[a-z0-9]{14,16}(?:-io)?"),
    (rb"api_(?:live|sandbox)(?:_[a-z]{2})?\.", r"api_(?:live|sandbox)(?:_[a-z]{2})?\.[A-Za-z0-9_-]{8,16}\.[A-Za-z0-9_-]{20,60}"),
    (rb"\|[0-9]{15}", r"(?:OC|FRL)\|[0-9]{15,18}\|[A-Za-z0-9_-]{20,40}"),
    (rb"[^a-z0-9]tk_[a-z0-9]{12}", r"tk_(?=[a-z]{0,20}[0-9])[a-z0-9]{29}"),
    (rb"(?:key|token)-[0-9a-f]{8}-[0-9a-f]{4}-", rf"[A-Z][A-Za-z]{{2,20}}(?:Key|Token)-{_UUID}"),
    (rb"mlsn\.[0-9a-f]{12}", r"mlsn\.[0-9a-f]{64}"),
    (rb"[^a-z0-9]ls-[a-z0-9]{8}-[a-z0-9]{4}-", r"ls-[A-Za-z0-9]{8}(?:-[A-Za-z0-9]{4}){3}-[A-Za-z0-9]{12}"),
    (rb"KGAT_[0-9a-f]{12}", r"KGAT_[0-9a-f]{32}"),
    (rb"::server:", r"K10[0-9a-f]{64}::(?:server|node):[A-Za-z0-9._-]{12,80}"),
    (rb"perm[:-][a-z0-9=]{6}", r"perm[:-][A-Za-z0-9=_-]{4,80}\.[A-Za-z0-9=_-]{4,80}\.[A-Za-z0-9]{20,60}"),
    (rb"[^a-z0-9]11[0-9a-f]{30}", r"11[0-9a-f]{32}"),
    (rb"[^a-z0-9]dG9r[a-z0-9+/]{12}", r"dG9r[A-Za-z0-9+/]{50,60}={0,2}"),
    (rb"[^a-z0-9]st\.[0-9a-f]{12}", r"st\.[0-9a-f]{24}\.[0-9a-f]{32}\.[0-9a-f]{32}"),
    (rb"secret_(?:admin|readonly|user)_", r"secret_(?:admin|readonly|user)_[A-Za-z0-9+/=]{20,60}"),
    (rb"[^a-z0-9](?:account|master)-[a-z0-9]{12}", rf"(?:account|master)-{_MIXED}[A-Za-z0-9]{{20}}"),
    (rb"[^a-z0-9]g(?:to|ta)_[a-z0-9]{12}", r"gt[oa]_[a-z0-9]{40,60}"),
    (rb"[^a-z0-9](?:na|eu)1\.[a-z0-9+/]{12}", rf"(?:na|eu)1\.{_MIXED}[A-Za-z0-9+/]{{60,120}}={{0,2}}"),
    (rb"[^a-z0-9]ser\.[a-z0-9]{12}", rf"ser\.{_MIXED}[A-Za-z0-9]{{20,24}}"),
    (rb"[^a-z0-9]EXO[0-9a-f]{12}", r"EXO[0-9a-f]{24}"),
    (rb"[^a-z0-9]endr\+[a-z0-9-]{8}", r"endr\+(?=[A-Za-z-]{0,15}[0-9])[A-Za-z0-9-]{16}"),
    (rb"-(?:PRD|SBX)-[0-9a-f]{6}", r"[A-Za-z0-9]{2,40}-[A-Za-z0-9]{2,40}-(?:PRD|SBX)-[0-9a-f]{9}-[0-9a-f]{8}"),
    (rb"(?:PRD|SBX)-[0-9a-f]{9}", r"(?:PRD|SBX)-[0-9a-f]{12}(?:-[0-9a-f]{4}){4}"),
    (rb"SWMTKN-1-", r"SWMTKN-1-[a-z0-9]{40,60}-[a-z0-9]{20,30}"),
    (rb"[^a-z0-9](?:server|web|mobile)_[0-9a-f]{12}", r"(?:server|web|mobile)_[0-9a-f]{32}"),
    (rb"dvc_(?:server|client|mobile)_", r"dvc_(?:server|client|mobile)_[A-Za-z0-9_]{20,80}"),
    (rb"[0-9a-f]{12}:fx", rf"{_UUID}:fx"),
    (rb"[^a-z0-9]dls_[a-z0-9]{12}", r"dls_[A-Z0-9]{16}_[A-Za-z0-9]{40,80}"),
    (rb"CCDB1_", r"CCDB1_[A-Za-z0-9]{22}_[A-Za-z0-9]{40}"),
    (rb"[^a-z0-9]pk_[0-9]{5,10}_[a-z0-9]{12}", r"pk_[0-9]{5,10}_[A-Z0-9]{32}"),
    (rb"_API_KEY:[0-9a-f]{12}", r"(?:TEST|LIVE|SAND)_API_KEY:[0-9a-f]{32}:[0-9a-f]{32}"),
    (rb"chpt_[0-9a-f]{8}", r"chpt_[0-9a-f]{12,40}"),
    (rb"[^a-z0-9]csk-[a-z0-9]{12}", r"csk-(?=[a-z]{0,20}[0-9])[a-z0-9]{48}"),
    (rb"[^a-z0-9]sk-[a-z]{40}", r"sk-[a-z]{48}"),
    (rb"cfsk_ma_", r"cfsk_ma_(?:prod|test)_[0-9a-f]{32}_[0-9a-f]{8}"),
    (rb"gcntfy-", rf"gcntfy-[A-Za-z0-9_-]{{1,40}}?-?{_UUID}-?{_UUID}"),
    (rb"[^a-z0-9]BSA[a-z0-9_-]{12}", rf"BSA{_MIXED}[A-Za-z0-9_-]{{24,30}}"),
    (rb"[^a-z0-9]0\.[0-9a-f]{8}-[0-9a-f]{4}-", rf"0\.{_UUID}\.[A-Za-z0-9]{{30}}:[A-Za-z0-9+/]{{22}}={{0,2}}"),
    (rb"bb_(?:pr|ma)_[0-9a-f]{12}", r"bb_(?:pr|ma)_[0-9a-f]{30}"),
    (rb"[^a-z0-9]00[0-9][0-9a-f]{22}", r"00[0-9](?=[0-9]{0,18}[a-f])[0-9a-f]{22}"),
    (rb"[^a-z0-9][0-9]{4,8}-[0-9a-f]{36}", r"[0-9]{4,8}-[0-9a-f]{40}"),
    (rb"[^a-z0-9/]0/[0-9a-f]{30}", r"(?<!/)0/[0-9a-f]{32}"),
    (rb"amzn\.mws\.|amzn1\.(?:oa2|application)", rf"(?:amzn\.mws\.{_UUID}|amzn1\.(?:oa2-cs\.v1|application-oa2-client)\.[0-9a-f]{{32,64}})"),
    (rb"akab-[a-z0-9]{12}", r"akab-[a-z0-9]{16}-[a-z0-9]{16}"),
    (rb"[^a-z0-9]ptr_[a-z0-9+/]{12}", r"ptr_[A-Za-z0-9+/]{40,60}={0,2}"),
    (rb"3MVG9", r"3MVG9[A-Za-z0-9._]{60,100}"),
    (rb"-server-[a-z0-9_-]{12}", r"(?:SB-)?(?:Mid|VT)-server-[A-Za-z0-9_-]{20,40}"),
    (rb"[^a-z0-9]i-[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}[^a-z0-9-]", r"i-(?=[A-Z-]{0,12}[0-9])[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4}"),
    (rb"mdb_sa_sk_", r"mdb_sa_sk_[A-Za-z0-9_-]{30,60}"),
    (rb"AKLT[a-z0-9_-]{12}", rf"AKLT{_MIXED}[A-Za-z0-9_-]{{30,60}}"),
    (rb"[^a-z0-9]2:[a-z0-9_-]{40}", rf"2:{_MIXED}[A-Za-z0-9_-]{{43}}"),
    (rb"[^a-z0-9]lm[ab]_[a-z0-9+/]{12}", rf"lm[ab]_{_MIXED}[A-Za-z0-9+/]{{20,200}}={{0,2}}"),
    (rb"[^a-z0-9]ak_[a-z0-9_-]{12}", rf"ak_{_MIXED}[A-Za-z0-9_-]{{20,40}}"),
    (rb"[^a-z0-9]lk_[a-z0-9]{12}", rf"lk_{_MIXED}[A-Za-z0-9]{{20,30}}"),
    (rb"[^a-z0-9]PT[0-9a-f]{40}", r"PT[0-9a-f]{48}"),
    (rb"[0-9a-f]{24}-[0-9a-f]{8}-[0-9a-f]{4}-", rf"[0-9a-f]{{32}}-{_UUID}"),
    (rb"[^a-z0-9]service:[a-z0-9_-]", rf"service:[A-Za-z0-9_-]{{1,64}}:{_MIXED}[A-Za-z0-9_-]{{22}}"),
    (rb"//[0-9a-f]{32}@", r"(?<=//)[0-9a-f]{32}(?=@o?[0-9a-z.-]{1,40}\.[a-z])"),
)  # fmt: skip

_WORD_MARK = re.compile(
    r"(?<![A-Za-z0-9/.])(?P<mark>(?:[A-Za-z][A-Za-z0-9]{0,15}[_-]){1,2}(?:live|prod|test|sk|secret|pat|token|key|apikey|api|priv|auth)[_-])"
    r"(?P<body>[A-Za-z0-9]{20,200})(?![A-Za-z0-9+/=@]|\.[a-z])",
    re.IGNORECASE,
)
_OTHER_MARK = re.compile(
    r"(?:.*[_-])?(?:cache|primary|foreign|sort|partition|idempotency|public|pub|pk|host|index|unit|e2e|integration|load|build|image|commit|csrf_test)[_-].*",
    re.IGNORECASE,
)


def mixed(value: str) -> bool:
    """Whether digits and letters of a run take turns as in a drawn value, hex and one letter case included."""
    kinds = [char.isdigit() for char in value if char.isalnum()]
    digits = sum(kinds)
    turns = sum(a != b for a, b in pairwise(kinds))
    return digits >= 3 and digits * 10 >= len(kinds) and turns * 6 >= len(kinds) and len(set(value)) >= 7


def _word_marked(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A drawn value behind a mark whose words say what it opens, of an issuer nobody listed."""
    body = match["body"]
    if (mixed(body) or drawn(body)) and not _OTHER_MARK.fullmatch(match["mark"]):
        yield finding(match.start(), match.end(), "API_TOKEN", "word-marked", 0.8)


_ANY_PAIR = re.compile(rf"(?:{'|'.join(_PAIRS)})(?![A-Za-z0-9])")


def _pairs(text: str, start: int, end: int) -> Iterator[Finding]:
    """Forms without a mark, tried where a long run begins."""
    behind = start
    for begin in _BEGIN.finditer(text, start, end):
        match = _ANY_PAIR.match(text, begin.start()) if begin.start() >= behind else None
        if match is not None and len(set(match[0])) >= 8:
            yield finding(match.start(), match.end(), "API_TOKEN", "marked", 1.0)
            behind = match.end()


RULES = (
    *(special(trigger, source, 1.0) for trigger, source in _FORMS),
    Rule("marked", (_PAIR,), _pairs, back=100, ahead=410, exact=True),
    Rule(
        "word-marked",
        tuple(
            word + rb"[_-][a-z0-9]{20}"
            for word in (b"live", b"prod", b"test", b"sk", b"secret", b"pat", b"token", b"key", b"api", b"priv", b"auth")
        ),
        pattern_search(_WORD_MARK, _word_marked),
        back=80,
        ahead=200,
    ),
)  # fmt: skip
