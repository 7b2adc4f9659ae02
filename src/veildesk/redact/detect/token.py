"""Tokens that show what they are: JWT (RFC 7519), providers' keys with fixed prefixes, webhooks.

Prefixes and lengths are those the providers document. A token is found wherever it stands; tokens
without such a mark are found by the words before them (`secret`).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, anchored_search, finding, pattern_search

__all__ = ["RULES"]

_JWT = re.compile(
    r"(?<![A-Za-z0-9_-])(?P<h>eyJ[A-Za-z0-9_-]{8,2000})(?:\.(?P<p>[A-Za-z0-9_-]{2,6000})(?:\.(?P<s>[A-Za-z0-9_-]{0,2000})"
    r"(?:\.[A-Za-z0-9_-]{10,6000}\.[A-Za-z0-9_-]{10,100})?)?)?"
)
_SIGNATURES = frozenset({32, 43, 64, 86, 88, 128, 171, 176, 256, 342, 344, 512, 683, 684})


def _decoded(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        return b""


def _jwt(match: re.Match[str], text: str) -> Iterator[Finding]:
    if not _decoded(match["h"][: len(match["h"]) // 4 * 4]).startswith(b"{"):
        return
    whole = match["s"] is not None and len(match["s"]) in _SIGNATURES and _is_object(match["p"])
    yield finding(match.start(), match.end(), "JWT", "jwt", 1.0 if whole else 0.6)


def _is_object(part: str) -> bool:
    try:
        return isinstance(json.loads(_decoded(part)), dict)
    except (ValueError, RecursionError):
        return len(part) > 40


_E = r"(?<![A-Za-z0-9])"
_S = r"(?![A-Za-z0-9_-])"
_A = r"[A-Za-z0-9]"
_AU = r"[A-Za-z0-9_-]"
_PROVIDERS: tuple[tuple[bytes, str], ...] = (
    (rb"[^a-z0-9]gh[pousr]_[a-z0-9]", rf"gh[pousr]_{_A}{{36,251}}"),
    (rb"github_pat_", r"github_pat_[A-Za-z0-9_]{22,255}"),
    (
        rb"[^a-z0-9]A[KSBCGIRN][A-Z]A[A-Z0-9]{16}",
        r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{16}",
    ),
    (rb"[^a-z0-9]AIza[a-z0-9_-]{20}", rf"AIza{_AU}{{35}}"),
    (rb"[^a-z0-9]ya29\.", rf"ya29\.{_AU}{{20,500}}"),
    (rb"GOCSPX-", rf"GOCSPX-{_AU}{{28}}"),
    (rb"[^a-z0-9]1//0[a-z0-9_-]{20}", rf"1//0{_AU}{{30,200}}"),
    (rb"xox[abeoprs]-", rf"xox[abeoprs]-(?:[0-9]{{9,14}}-){{2,3}}{_A}{{24,64}}"),
    (rb"xapp-[0-9]", rf"xapp-[0-9]-{_A}{{8,14}}-[0-9]{{8,16}}-[a-f0-9]{{32,80}}"),
    (rb"[^a-z0-9][spr]k_(?:live|test)_", rf"[spr]k_(?:live|test)_{_A}{{16,247}}"),
    (rb"whsec_", r"whsec_[A-Za-z0-9+/=]{24,64}"),
    (
        rb"[^a-z0-9]sk-[a-z0-9_-]{20}",
        rf"sk-(?:proj-|ant-|or-|svcacct-|admin-)?(?=[^0-9\s]{{0,200}}[0-9]){_AU}{{20,200}}",
    ),
    (
        rb"[^a-z0-9]gl[a-z]{2,5}-[a-z0-9_-]{20}",
        rf"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-{_AU}{{20,64}}",
    ),
    (rb"[^a-z0-9]npm_[a-z0-9]{20}", rf"npm_{_A}{{36}}"),
    (rb"pypi-[a-z0-9_-]{30}", rf"pypi-{_AU}{{50,250}}"),
    (rb"[^a-z0-9]hf_[a-z0-9]{20}", rf"hf_{_A}{{30,40}}"),
    (rb"do[opr]_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    (rb"dckr_[po]at_", rf"dckr_(?:pat|oat)_{_AU}{{20,60}}"),
    (rb"[^a-z0-9]SG\.[a-z0-9_-]{16}", rf"SG\.{_AU}{{16,32}}\.{_AU}{{16,64}}"),
    (rb"[^a-z0-9](?:SK|AC)[0-9a-f]{32}", r"(?:SK|AC)[0-9a-f]{32}"),
    (rb"[^a-z0-9]key-[0-9a-f]{32}", r"key-[0-9a-f]{32}"),
    (rb"[0-9]{6}:AA[a-z0-9_-]{20}", rf"(?:bot)?[0-9]{{6,12}}:AA{_AU}{{33}}"),
    (
        rb"[^a-z0-9][MNO][a-z0-9_-]{23,27}\.[a-z0-9_-]{6}\.",
        rf"[MNO]{_AU}{{23,27}}\.{_AU}{{6}}\.{_AU}{{27,45}}",
    ),
    (rb"shp(?:at|ca|pa|ss)_", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    (rb"sq0[a-z]{3}-", rf"sq0(?:atp|csp|idp)-{_AU}{{22,43}}"),
    (rb"[^a-z0-9]EAA[a-z0-9]{40}", rf"EAA(?=[^0-9\s]{{0,200}}[0-9]){_AU}{{57,300}}"),
    (rb"lin_(?:api|oauth)_", rf"lin_(?:api|oauth)_{_A}{{32,64}}"),
    (rb"[^a-z0-9](?:secret|ntn)_[a-z0-9]{30}", rf"(?:secret|ntn)_{_A}{{40,50}}"),
    (rb"[^a-z0-9]dapi[a-f0-9]{32}", r"dapi[a-f0-9]{32}(?:-[0-9])?"),
    (rb"rubygems_[a-f0-9]{20}", r"rubygems_[a-f0-9]{48}"),
    (rb"PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    (rb"NRAK-", r"NRAK-[A-Z0-9]{27}"),
    (rb"[^a-z0-9]hv[sbr]\.[a-z0-9_-]{20}", rf"hv[sbr]\.{_AU}{{24,300}}"),
    (rb"AT[AC]TT3", r"AT[AC]TT3[A-Za-z0-9_=-]{60,300}"),
    (rb"[^a-z0-9]gsk_[a-z0-9]{20}", rf"gsk_{_A}{{40,60}}"),
    (rb"[^a-z0-9]r8_[a-z0-9]{20}", rf"r8_{_A}{{36,40}}"),
    (rb"[^a-z0-9]re_[a-z0-9]{6,12}_[a-z0-9]{18}", rf"re_{_A}{{6,12}}_{_A}{{18,30}}"),
    (rb"xkeysib-", r"xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    (rb"FLWSECK", rf"FLWSECK(?:_TEST)?-{_A}{{12,64}}(?:-X)?"),
    (rb"[^a-z0-9]sl\.[a-z0-9_-]{40}", rf"sl\.(?=[^0-9\s]{{0,200}}[0-9]){_AU}{{60,300}}"),
    (rb"tskey-", rf"tskey-[a-z]{{3,10}}-{_A}{{6,40}}(?:-{_A}{{6,60}})?"),
    (rb"glsa_[a-z0-9]{20}", rf"glsa_{_A}{{32}}_[A-Fa-f0-9]{{8}}"),
    (rb"sntry[su]_", r"sntry[su]_[A-Za-z0-9_=+/-]{40,300}"),
    (rb"figd_", rf"figd_{_AU}{{38,50}}"),
    (rb"pat-(?:na|eu)[0-9]-", r"pat-(?:na|eu)[0-9]-[0-9a-f-]{36}"),
    (rb"CCIPAT_", rf"CCIPAT_{_A}{{22}}_[a-f0-9]{{40}}"),
    (rb"[^a-z0-9]y0_[a-z0-9_-]{30}", rf"y0_{_AU}{{50,70}}"),
    (rb"AQVN[a-z0-9_-]{20}", rf"AQVN{_AU}{{30,45}}"),
    (rb"[^a-z0-9]LTAI[a-z0-9]{12}", rf"LTAI{_A}{{12,24}}"),
    (rb"[^a-z0-9]AKID[a-z0-9]{13}", rf"AKID{_A}{{13,40}}"),
)
_LOOSE: tuple[tuple[bytes, str], ...] = (
    (rb"xox[abeoprs]-", r"xox[abeoprs]-[A-Za-z0-9-]{10,200}"),
    (rb"hooks\.slack\.com/services/", r"(?<=hooks\.slack\.com/services/)T\w{6,14}/B\w{6,14}/\w{16,32}"),
    (rb"/api/webhooks/", rf"(?<=/api/webhooks/)[0-9]{{15,21}}/{_AU}{{40,90}}"),
)


def _provider(trigger: bytes, source: str, sure: float) -> Rule:
    """The rule of one provider; an edge that a pattern can check itself is left to it."""
    edge = "" if source.startswith("(?<=") else r"(?<![A-Za-z0-9])"
    pattern = re.compile(rf"{edge}{source}(?![A-Za-z0-9])")

    def judge(match: re.Match[str], text: str) -> Iterator[Finding]:
        if len(set(match[0][4:])) >= 5:
            yield finding(match.start(), match.end(), "API_TOKEN", "provider", sure)

    return Rule("provider", (trigger,), pattern_search(pattern, judge), back=46, ahead=310, exact=sure == 1.0)


RULES = (
    Rule("jwt", (rb"eyJ[a-z0-9_-]{8}",), anchored_search("eyJ", _JWT, _jwt), back=14, ahead=8, exact=True),
    *(_provider(trigger, source, 1.0) for trigger, source in _PROVIDERS),
    *(_provider(trigger, source, 0.6) for trigger, source in _LOOSE),
)
