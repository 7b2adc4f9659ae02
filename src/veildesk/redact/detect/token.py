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
        rb"[^a-z0-9]A[KSBCGIRN][A-Z]A[A-Z0-9]{12}",
        r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{16}",
    ),
    (rb"[^a-z0-9]AIza[a-z0-9_-]{12}", rf"AIza{_AU}{{35}}"),
    (rb"[^a-z0-9]ya29\.", rf"ya29\.{_AU}{{20,500}}"),
    (rb"GOCSPX-", rf"GOCSPX-{_AU}{{28}}"),
    (rb"[^a-z0-9]1//0[a-z0-9_-]{12}", rf"1//0{_AU}{{30,200}}"),
    (rb"xox[abeoprs]-", rf"xox[abeoprs]-(?:[0-9]{{9,14}}-){{2,3}}{_A}{{24,64}}"),
    (rb"xapp-[0-9]", rf"xapp-[0-9]-{_A}{{8,14}}-[0-9]{{8,16}}-[a-f0-9]{{32,80}}"),
    (rb"[^a-z0-9][spr]k_(?:live|test)_", rf"[spr]k_(?:live|test)_{_A}{{16,247}}"),
    (rb"whsec_", r"whsec_[A-Za-z0-9+/=]{24,64}"),
    (
        rb"[^a-z0-9]sk-[a-z0-9_-]{12}",
        rf"sk-(?:proj-|ant-|or-|svcacct-|admin-)?(?=[^0-9\s]{{0,200}}[0-9]){_AU}{{20,200}}",
    ),
    (
        rb"[^a-z0-9]gl[a-z]{2,5}-[a-z0-9_-]{12}",
        rf"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|oat|soat|wt|ffct)-{_AU}{{20,64}}",
    ),
    (rb"[^a-z0-9]npm_[a-z0-9]{12}", rf"npm_{_A}{{36}}"),
    (rb"pypi-[a-z0-9_-]{12}", rf"pypi-{_AU}{{50,250}}"),
    (rb"[^a-z0-9]hf_[a-z0-9]{12}", rf"hf_{_A}{{30,40}}"),
    (rb"do[opr]_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    (rb"dckr_[po]at_", rf"dckr_(?:pat|oat)_{_AU}{{20,60}}"),
    (rb"[^a-z0-9]SG\.[a-z0-9_-]{12}", rf"SG\.{_AU}{{16,32}}\.{_AU}{{16,64}}"),
    (rb"[^a-z0-9](?:SK|AC)[0-9a-f]{12}", r"(?:SK|AC)[0-9a-f]{32}"),
    (rb"[^a-z0-9]key-[0-9a-f]{12}", r"key-[0-9a-f]{32}"),
    (rb"[0-9]{6}:AA[a-z0-9_-]{12}", rf"(?:bot)?[0-9]{{6,12}}:AA{_AU}{{33}}"),
    (
        rb"\.[a-z0-9_-]{6}\.[a-z0-9_-]{12}",
        rf"[MNO]{_AU}{{23,27}}\.{_AU}{{6}}\.{_AU}{{27,45}}",
    ),
    (rb"shp(?:at|ca|pa|ss)_", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    (rb"sq0[a-z]{3}-", rf"sq0(?:atp|csp|idp)-{_AU}{{22,43}}"),
    (rb"[^a-z0-9]EAA[a-z0-9_-]{12}", rf"EAA(?=[^0-9\s]{{0,200}}[0-9]){_AU}{{57,300}}"),
    (rb"lin_(?:api|oauth)_", rf"lin_(?:api|oauth)_{_A}{{32,64}}"),
    (rb"[^a-z0-9](?:secret|ntn)_[a-z0-9]{12}", rf"(?:secret|ntn)_{_A}{{40,50}}"),
    (rb"[^a-z0-9]dapi[a-f0-9]{12}", r"dapi[a-f0-9]{32}(?:-[0-9])?"),
    (rb"rubygems_[a-f0-9]{12}", r"rubygems_[a-f0-9]{48}"),
    (rb"PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    (rb"NRAK-", r"NRAK-[A-Z0-9]{27}"),
    (rb"[^a-z0-9]hv[sbr]\.[a-z0-9_-]{12}", rf"hv[sbr]\.{_AU}{{24,300}}"),
    (rb"AT[AC]TT3", r"AT[AC]TT3[A-Za-z0-9_=-]{60,300}"),
    (rb"[^a-z0-9]gsk_[a-z0-9]{12}", rf"gsk_{_A}{{40,60}}"),
    (rb"[^a-z0-9]r8_[a-z0-9]{12}", rf"r8_{_A}{{36,40}}"),
    (rb"[^a-z0-9]re_[a-z0-9]{6,12}_[a-z0-9]{12}", rf"re_{_A}{{6,12}}_{_A}{{18,30}}"),
    (rb"xkeysib-", r"xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    (rb"FLWSECK", rf"FLWSECK(?:_TEST)?-{_A}{{12,64}}(?:-X)?"),
    (rb"[^a-z0-9]sl\.[a-z0-9_-]{12}", rf"sl\.(?=[^0-9\s]{{0,200}}[0-9]){_AU}{{60,300}}"),
    (rb"tskey-", rf"tskey-[a-z]{{3,10}}-{_A}{{6,40}}(?:-{_A}{{6,60}})?"),
    (rb"glsa_[a-z0-9]{12}", rf"glsa_{_A}{{32}}_[A-Fa-f0-9]{{8}}"),
    (rb"sntry[su]_", r"sntry[su]_[A-Za-z0-9_=+/-]{40,300}"),
    (rb"figd_", rf"figd_{_AU}{{38,50}}"),
    (rb"pat-(?:na|eu)[0-9]-", r"pat-(?:na|eu)[0-9]-[0-9a-f-]{36}"),
    (rb"CCIPAT_", rf"CCIPAT_{_A}{{22}}_[a-f0-9]{{40}}"),
    (rb"[^a-z0-9]y0_[a-z0-9_-]{12}", rf"y0_{_AU}{{50,70}}"),
    (rb"AQVN[a-z0-9_-]{12}", rf"AQVN{_AU}{{30,45}}"),
    (rb"[^a-z0-9]LTAI[a-z0-9]{12}", rf"LTAI{_A}{{12,24}}"),
    (rb"[^a-z0-9]AKID[a-z0-9]{12}", rf"AKID{_A}{{13,40}}"),
    (rb"[^a-z0-9]aio_[a-z0-9]{12}", rf"aio_{_A}{{28}}"),
    (rb"clojars_[a-z0-9]{12}", r"CLOJARS_[A-Za-z0-9]{60}"),
    (rb"CFPAT-", rf"CFPAT-{_AU}{{43}}"),
    (
        rb"dp\.(?:pt|st|ct|scim|audit)\.",
        rf"dp\.(?:pt|ct|scim|audit|st(?:\.[a-z0-9_-]{{2,35}})?)\.{_A}{{40,44}}",
    ),
    (rb"duffel_(?:test|live)_", rf"duffel_(?:test|live)_{_AU}{{43}}"),
    (rb"dt0[a-z][0-9]{2}\.", r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    (rb"[^a-z0-9]EZ[AT]K[a-z0-9]{12}", rf"EZ[AT]K{_A}{{54}}"),
    (rb"[^a-z0-9]fm[12][ar]?_[a-z0-9+/]{12}", r"fm[12][ar]?_[A-Za-z0-9+/_=-]{100,800}"),
    (rb"[^a-z0-9]fo1_[a-z0-9_-]{12}", rf"fo1_{_AU}{{43}}"),
    (rb"fio-u-", rf"fio-u-{_AU}{{64}}"),
    (rb"glc_ey", r"glc_ey[A-Za-z0-9+/_-]{32,400}={0,2}"),
    (rb"\.atlasv1\.", rf"{_A}{{14}}\.atlasv1\.{_AU}{{60,70}}"),
    (rb"HRKU-", rf"HRKU-{_AU}{{36,66}}"),
    (rb"[^a-z0-9]ico-[a-z0-9]{12}", rf"ico-{_A}{{32}}"),
    (rb"[0-9a-f]{12}-us[0-9]", r"[0-9a-f]{32}-us[0-9]{1,2}"),
    (rb"pubkey-[0-9a-f]{12}", r"pubkey-[0-9a-f]{32}"),
    (rb"[^a-z0-9]nf[pcou]_[a-z0-9]{12}", rf"nf[pcou]_{_A}{{36}}"),
    (rb"NRJS-|NRII-", rf"(?:NRJS-[a-f0-9]{{19}}|NRII-{_AU}{{32}})"),
    (rb"[^a-z0-9]API-[a-z0-9]{12}", r"API-[A-Z0-9]{26,32}"),
    (rb"sha256~[a-z0-9_-]{12}", rf"sha256~{_AU}{{43}}"),
    (rb"pplx-[a-z0-9]{12}", rf"pplx-{_A}{{48,56}}"),
    (
        rb"access-(?:sandbox|development|production)-",
        r"access-(?:sandbox|development|production)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    (rb"pscale_(?:tkn|pw|oauth)_", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64}"),
    (rb"[^a-z0-9]pnu_[a-z0-9]{12}", rf"pnu_{_A}{{36}}"),
    (rb"[^a-z0-9]pul-[a-f0-9]{12}", r"pul-[a-f0-9]{40}"),
    (rb"rdme_[a-z0-9]{12}", rf"rdme_{_A}{{70}}"),
    (rb"[^a-z0-9]tk-us-", rf"tk-us-{_AU}{{48}}"),
    (rb"shippo_(?:live|test)_", r"shippo_(?:live|test)_[a-fA-F0-9]{40}"),
    (rb"[^a-z0-9]sq[apu]_[a-z0-9]{12}", r"sq[apu]_[A-Za-z0-9]{40}"),
    (rb"sgp_[a-z0-9_]{12}", r"sgp_(?:(?:local|[a-fA-F0-9]{16})_)?[a-fA-F0-9]{40}"),
    (rb"[^a-z0-9]sbp_[a-z0-9_]{12}", r"sbp_(?:oauth_)?[a-f0-9]{40}"),
    (rb"sb_(?:secret|publishable)_", rf"sb_secret_{_AU}{{20,60}}"),
    (rb"[^a-z0-9]tfp_[a-z0-9_.=-]{12}", r"tfp_[A-Za-z0-9_.=-]{59}"),
    (rb"[^a-z0-9]xai-[a-z0-9]{12}", rf"xai-{_A}{{70,90}}"),
    (rb"ops_eyJ[a-z0-9]", r"ops_eyJ[A-Za-z0-9+/_-]{100,2000}={0,3}"),
    (rb"[^a-z0-9]AKCp[a-z0-9]{12}", rf"AKCp{_A}{{69}}"),
    (rb"reftkn:", rf"reftkn:[0-9]{{2}}:[0-9]{{10}}:{_A}{{20,40}}"),
    (rb"[a-z0-9_.~]{3}[0-9]Q~[a-z0-9_.~-]{12}", r"[A-Za-z0-9_.~]{3}[0-9]Q~[A-Za-z0-9_.~-]{31,34}"),
    (rb"ATBB[a-z0-9]{12}", rf"ATBB{_A}{{24,40}}"),
    (rb"[ps]k\.eyJ", rf"[ps]k\.eyJ{_AU}{{20,200}}\.{_AU}{{16,40}}"),
    (
        rb"[^a-z0-9]A3-[A-Z0-9]{6}-",
        r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
    ),
    (
        rb"[^a-z0-9](?:sdk|api|mob)-[0-9a-f]{8}-[0-9a-f]{4}-",
        r"(?:sdk|api|mob)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    (rb"[^a-z0-9]t1\.[a-z0-9_-]{12}", r"t1\.[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]{86}={0,2}"),
    (rb"YC[a-z0-9_-]{12}", rf"YC(?=[^0-9\s]{{0,40}}[0-9])(?=[^a-z\s]{{0,40}}[a-z]){_AU}{{38}}"),
    (rb"oy2[a-z0-9]{12}", r"oy2[a-z0-9]{43}"),
    (rb"sm_(?:aat|pat|sat)_", rf"sm_(?:aat|pat|sat)_{_A}{{16}}"),
    (rb"[^a-z0-9]s-s4t2(?:ud|af)-", r"s-s4t2(?:ud|af)-[a-f0-9]{64}"),
    (rb"gitlab-ci-token:|GR1348941", rf"GR1348941{_AU}{{20}}"),
    (rb"glffct-|glsoat-|_gitlab_session=", rf"(?:glffct-{_AU}{{20}}|glsoat-{_AU}{{20}})"),
    (rb"xoxe\.xox[bp]-", r"xoxe\.xox[bp]-[0-9]-[A-Za-z0-9]{140,200}"),
    (rb"[^a-z0-9]b_[a-z0-9=_-]{12}", r"b_(?=[^0-9\s]{0,40}[0-9])[a-z0-9=_-]{44}"),
    (rb"[^a-z0-9](?:live|test)_[a-f0-9]{12}", r"(?:live|test)_[a-f0-9]{35}"),
    (rb"[^a-z0-9]SK-?(?:live|test)?[0-9a-f]{12}", r"SK[0-9a-f]{32}"),
    (rb"secret-token:", r"secret-token:[A-Za-z0-9_.~%-]{16,200}"),
    (rb"[^a-z0-9]pk_(?:prod|live|test)_", rf"pk_(?:prod|live|test)_{_A}{{20,120}}"),
    (rb"[^a-z0-9]vc[aikprs]_[a-z0-9]{12}", rf"vc[aikprs]_{_A}{{24,60}}"),
    (rb"[^a-z0-9]phc_[a-z0-9]{12}|[^a-z0-9]phx_[a-z0-9]{12}", rf"ph[cx]_{_A}{{40,50}}"),
    (rb"[^a-z0-9]lsv2_[a-z]{2}_", r"lsv2_[a-z]{2}_[a-f0-9]{32}_[a-f0-9]{10}"),
    (rb"[^a-z0-9]tvly-", rf"tvly-(?:dev-|prod-)?{_A}{{30,40}}"),
    (rb"[^a-z0-9]fw_[a-z0-9]{12}|[^a-z0-9]nvapi-", rf"(?:fw_{_A}{{22,40}}|nvapi-{_AU}{{60,70}})"),
)
_LOOSE: tuple[tuple[bytes, str], ...] = (
    (rb"xox[abeoprs]-", r"xox[abeoprs]-[A-Za-z0-9-]{10,200}"),
    (rb"hooks\.slack\.com/services/", r"(?<=hooks\.slack\.com/services/)T\w{6,14}/B\w{6,14}/\w{16,32}"),
    (rb"[^a-z0-9]T[a-z0-9]{8,10}/B[a-z0-9]{8,12}/", r"T[A-Z0-9]{8,10}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{20,26}"),
    (
        rb"webhook\.office\.com/",
        r"(?<=webhook\.office\.com/webhookb2/)[0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f-]{36}",
    ),
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
