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
from veildesk.redact.rule import Rule, finding, pattern_search

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
_FIXED = re.compile(
    "|".join(
        (
            rf"{_E}gh[pousr]_[A-Za-z0-9]{{36,251}}(?![A-Za-z0-9])",
            rf"{_E}github_pat_[A-Za-z0-9_]{{22,255}}(?![A-Za-z0-9])",
            rf"{_E}(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{{16}}(?![A-Za-z0-9])",
            rf"{_E}AIza[A-Za-z0-9_-]{{35}}(?![A-Za-z0-9])",
            rf"{_E}ya29\.[A-Za-z0-9_-]{{20,500}}",
            rf"{_E}GOCSPX-[A-Za-z0-9_-]{{28}}(?![A-Za-z0-9])",
            rf"{_E}1//0[A-Za-z0-9_-]{{30,200}}",
            rf"{_E}xox[abeoprs]-(?:[0-9]{{9,14}}-){{2,3}}[A-Za-z0-9]{{24,64}}(?![A-Za-z0-9])",
            rf"{_E}(?P<slack>xox[abeoprs]-[A-Za-z0-9-]{{10,200}})(?![A-Za-z0-9])",
            rf"{_E}xapp-[0-9]-[A-Za-z0-9]{{8,14}}-[0-9]{{8,16}}-[a-f0-9]{{32,80}}(?![A-Za-z0-9])",
            rf"{_E}(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{{16,247}}(?![A-Za-z0-9])",
            rf"{_E}whsec_[A-Za-z0-9+/=]{{24,64}}",
            rf"{_E}sk-(?:proj-|ant-|or-|svcacct-|admin-)?[A-Za-z0-9_-]{{20,200}}",
            rf"{_E}glpat-[A-Za-z0-9_-]{{20,60}}(?:\.[a-z0-9.]{{2,12}})?",
            rf"{_E}gl(?:dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[A-Za-z0-9_-]{{20,64}}",
            rf"{_E}npm_[A-Za-z0-9]{{36}}(?![A-Za-z0-9])",
            rf"{_E}pypi-[A-Za-z0-9_-]{{50,250}}",
            rf"{_E}hf_[A-Za-z0-9]{{30,40}}(?![A-Za-z0-9])",
            rf"{_E}do[opr]_v1_[a-f0-9]{{64}}(?![A-Za-z0-9])",
            rf"{_E}dckr_(?:pat|oat)_[A-Za-z0-9_-]{{20,60}}",
            rf"{_E}SG\.[A-Za-z0-9_-]{{16,32}}\.[A-Za-z0-9_-]{{16,64}}",
            rf"{_E}SK[0-9a-f]{{32}}(?![A-Za-z0-9])",
            rf"{_E}AC[0-9a-f]{{32}}(?![A-Za-z0-9])",
            rf"{_E}key-[0-9a-f]{{32}}(?![A-Za-z0-9])",
            rf"{_E}(?P<telegram>[0-9]{{6,12}}:AA[A-Za-z0-9_-]{{33}})(?![A-Za-z0-9])",
            rf"{_E}[MNO][A-Za-z0-9_-]{{23,27}}\.[A-Za-z0-9_-]{{6}}\.[A-Za-z0-9_-]{{27,45}}(?![A-Za-z0-9])",
            rf"{_E}shp(?:at|ca|pa|ss)_[a-fA-F0-9]{{32}}(?![A-Za-z0-9])",
            rf"{_E}sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{{22,43}}",
            rf"{_E}EAAA[A-Za-z0-9_-]{{56,70}}",
            rf"{_E}EAA[A-Za-z0-9]{{80,300}}",
            rf"{_E}lin_(?:api|oauth)_[A-Za-z0-9]{{32,64}}",
            rf"{_E}(?:secret|ntn)_[A-Za-z0-9]{{40,50}}(?![A-Za-z0-9])",
            rf"{_E}dop_v1_[a-f0-9]{{64}}",
            rf"{_E}dapi[a-f0-9]{{32}}(?:-[0-9])?(?![A-Za-z0-9])",
            rf"{_E}rubygems_[a-f0-9]{{48}}",
            rf"{_E}PMAK-[a-f0-9]{{24}}-[a-f0-9]{{34}}",
            rf"{_E}NRAK-[A-Z0-9]{{27}}(?![A-Za-z0-9])",
            rf"{_E}(?:hvs|hvb|hvr)\.[A-Za-z0-9_-]{{24,300}}",
            rf"{_E}ATATT3[A-Za-z0-9_=-]{{60,300}}",
            rf"{_E}ATCTT3[A-Za-z0-9_=-]{{60,300}}",
            rf"{_E}gsk_[A-Za-z0-9]{{40,60}}",
            rf"{_E}r8_[A-Za-z0-9]{{36,40}}(?![A-Za-z0-9])",
            rf"{_E}re_[A-Za-z0-9]{{6,12}}_[A-Za-z0-9]{{18,30}}(?![A-Za-z0-9])",
            rf"{_E}xkeysib-[a-f0-9]{{64}}-[A-Za-z0-9]{{16}}",
            rf"{_E}FLWSECK(?:_TEST)?-[A-Za-z0-9]{{12,64}}(?:-X)?",
            rf"{_E}sl\.[A-Za-z0-9_-]{{100,300}}",
            rf"{_E}tskey-[a-z]{{3,10}}-[A-Za-z0-9]{{6,40}}(?:-[A-Za-z0-9]{{6,60}})?",
            rf"{_E}glsa_[A-Za-z0-9]{{32}}_[A-Fa-f0-9]{{8}}",
            rf"{_E}sntry[su]_[A-Za-z0-9_=+/-]{{40,300}}",
            rf"{_E}figd_[A-Za-z0-9_-]{{38,50}}",
            rf"{_E}pat-(?:na|eu)[0-9]-[0-9a-f-]{{36}}",
            rf"{_E}CCIPAT_[A-Za-z0-9]{{22}}_[a-f0-9]{{40}}",
            rf"{_E}y0_[A-Za-z0-9_-]{{50,70}}",
            rf"{_E}AQVN[A-Za-z0-9_-]{{30,45}}",
            rf"{_E}LTAI[A-Za-z0-9]{{12,24}}(?![A-Za-z0-9])",
            rf"{_E}AKID[A-Za-z0-9]{{13,40}}(?![A-Za-z0-9])",
            r"(?<=hooks\.slack\.com/services/)T[A-Za-z0-9_]{6,14}/B[A-Za-z0-9_]{6,14}/[A-Za-z0-9_]{16,32}",
            r"(?<=/api/webhooks/)[0-9]{15,21}/[A-Za-z0-9_-]{40,90}",
        )
    )
)


def _fixed(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match[0]
    if value.startswith(("sk-", "EAA", "key-", "sl.")) and not any(char.isdigit() for char in value):
        return
    if len(set(value[4:])) < 5:
        return
    sure = 0.6 if match["slack"] else 1.0
    yield finding(match.start(), match.end(), "API_TOKEN", "provider", sure)


_PREFIXES = (
    rb"[^a-z0-9]gh[pousr]_[a-z0-9]", rb"github_pat_", rb"[^a-z0-9]A[KSBCGIRN][A-Z][A-Z][A-Z0-9]{16}", rb"AIza[a-z0-9_-]{20}", rb"ya29\.",
    rb"GOCSPX-", rb"1//0[a-z0-9_-]{20}", rb"xox[abeoprs]-", rb"xapp-[0-9]", rb"[spr]k_(?:live|test)_", rb"whsec_", rb"[^a-z0-9]sk-[a-z0-9_-]{20}",
    rb"gl[a-z]{2,5}-[a-z0-9_-]{20}", rb"npm_[a-z0-9]{20}", rb"pypi-[a-z0-9]{20}", rb"[^a-z0-9]hf_[a-z0-9]{20}", rb"do[opr]_v1_", rb"dckr_[po]at_",
    rb"[^a-z0-9]SG\.[a-z0-9_-]{16}", rb"[^a-z0-9](?:SK|AC)[0-9a-f]{32}", rb"[^a-z0-9]key-[0-9a-f]{32}", rb"[0-9]{6}:AA[a-z0-9_-]{20}",
    rb"[^a-z0-9][MNO][a-z0-9_-]{23,27}\.[a-z0-9_-]{6}\.", rb"shp(?:at|ca|pa|ss)_", rb"sq0[a-z]{3}-", rb"[^a-z0-9]EAA[a-z0-9]{40}", rb"lin_(?:api|oauth)_",
    rb"(?:secret|ntn)_[a-z0-9]{30}", rb"dapi[a-f0-9]{20}", rb"rubygems_", rb"PMAK-", rb"NRAK-", rb"hv[sbr]\.[a-z0-9_-]{20}", rb"AT[AC]TT3",
    rb"gsk_[a-z0-9]{20}", rb"[^a-z0-9]r8_[a-z0-9]{20}", rb"[^a-z0-9]re_[a-z0-9]{6}", rb"xkeysib-", rb"FLWSECK", rb"[^a-z0-9]sl\.[a-z0-9_-]{40}", rb"tskey-",
    rb"glsa_[a-z0-9]{20}", rb"sntry[su]_", rb"figd_", rb"pat-(?:na|eu)[0-9]-", rb"CCIPAT_", rb"[^a-z0-9]y0_[a-z0-9_-]{30}", rb"AQVN[a-z0-9_-]{20}", rb"LTAI[a-z0-9]{12}",
    rb"AKID[a-z0-9]{13}", rb"hooks\.slack\.com/services/", rb"/api/webhooks/",
)  # fmt: skip

RULES = (
    Rule("jwt", (rb"eyJ[a-z0-9_-]{8}",), pattern_search(_JWT, _jwt), back=14, ahead=16_000, exact=True),
    Rule("provider", _PREFIXES, pattern_search(_FIXED, _fixed), back=44, ahead=320, exact=True),
)
