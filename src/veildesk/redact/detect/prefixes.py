# ruff: noqa: E501 -- word tables are read best unbroken

"""Keys that begin with a mark of their issuer, and values of that make from issuers nobody listed.

The marks and the alphabets behind them are those the issuers document. A mark that is not listed is
believed only before a long run that chance has drawn: small letters, capitals and digits in turn, as no
hash, identifier or name of a file has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from operator import ne

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, before, finding, pattern_search

__all__ = ["MARKS", "RULES", "drawn", "special"]

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
MARKS: tuple[tuple[str, str], ...] = (
    (
        r"[A-Za-z0-9]{20,200}",
        "addy_io_ alcht_ anonaddy_ api_org_ bb_live_ bkct_ cal_live_ co_ ddo_ ddp_ jca_ jina_ mka_ napi_ nbp_ nfb_ os_v2_app_ pina_ pnb_ polar_oat_ polar_pat_ "
        "ramp_sec_ retool_ rnd_ rpa_ samsara_api_ sk_org_live_ sk_org_test_ sk_prod_ rk_prod_ sk_sbox_ tr_dev_ tr_pat_ tr_prod_ unkey_ vercel_ vtwn_ wandb_v1_ wrkaus- wrkeu- xau_ "
        "ak_ cr_ pts_ secret- console- ubid_ testsk_ live_ sandbox_ access_ ghost_ cnvca rdb_ KEY NF- p8e- CG- PMAT- BBFF- BBUS- ALTAK- hcaik_ hcbik_ hcxik_ sgd_ cfut_ cfk_ cfat_ sk_",
    ),
    (
        r"[0-9a-f]{32,160}",
        "bkua_ cal_ cfa_ cu_ dose dtn_ e2b_ fc- pk_ rca_ rootly_ sgd_ shpua_ sk_ sqb_ signkey-prod- signkey-branch- signkey-test- depot_project_ depot_org_ web_ xoxc- persona_sandbox_ persona_production_ lip_ atlasv1_",
    ),
    (
        r"[A-Za-z0-9_-]{24,400}",
        "apiv3_ ck- canva_ ddpat_ glwt- gloas- hskey-auth- hskey-api- IGQV IGQWR THQV AQX m0- md- pa- pdl_live_apikey_ pdl_sdbx_apikey_ pcsk_ pypi-Ag secret-live- secret-test- secret-prod- "
        "snyk_pat_ sk-helicone- sk-lf- snyk_sat_ tgp_v1_ vercel_blob_rw_ vercel_blob_ sk_ sk_prod_ live_ wk- fmjt- AQAAAA bb_live_ ak_ cnvca sandbox_ dnkey- lab_ figs_ tpk_ sess- xoxd-",
    ),
    (_UUID, "waka_ xaat- xapt- xpt- sk-lf- pk-lf- HRKU- persona_production_ persona_sandbox_ pplx- nk- ck_ cs_ trk- ops_"),
)  # fmt: skip
"""(what follows, marks): a mark may be told apart only by what follows it."""

_SPECIAL: tuple[tuple[bytes, str], ...] = (
    (rb"[a-z0-9/+]{12}(?:\+AST|ACDB|AZSE|AZFU|\+ACR|\+AMC|AZDO|AIOT|JQQJ9)[a-z0-9]", r"[A-Za-z0-9+/_-]{30,80}(?:\+ASt|ACDb|AzSe|AzFu|\+ACR|\+AMC|AZDO|AIoT|JQQJ9[0-9][A-D])[A-Za-z0-9+/_-]{4,40}={0,2}"),
    (rb"AKIA[A-Z0-9]{16}|ASIA[A-Z0-9]{16}", r"(?:(?<=AKIA................)|(?<=ASIA................))[^A-Za-z0-9+/]{1,12}(?:[A-Za-z_ -]{0,32}[^A-Za-z0-9+/]{1,6})?(?P<value>(?=[a-z0-9+/]{0,39}[A-Z])[A-Za-z0-9+/]{40})"),
    (rb"ABSK[a-z0-9+/]{12}", r"ABSK[A-Za-z0-9+/]{80,200}={0,2}"),
    (rb"bedrock-api-key-", r"bedrock-api-key-[A-Za-z0-9+/_=-]{40,2000}"),
    (rb"IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz", r"(?:IQoJb3JpZ2lu|F[wQ]oGZXIvYXdz)[A-Za-z0-9+/_-]{60,2000}={0,2}"),
    (rb"ZXlK[a-z0-9+/_-]{12}", r"ZXlK[A-Za-z0-9+/_-]{40,6000}={0,2}"),
    (rb"glc_[a-z0-9+/]{12}", r"glc_[A-Za-z0-9+/]{32,400}={0,3}"),
    (rb"4b1d[a-z0-9]{12}", r"4b1d(?=[0-9a-z]{0,37}[A-Z])[A-Za-z0-9]{38}"),
    (rb"cmVmd[a-z0-9]{12}", r"cmVmd[A-Za-z0-9]{59}"),
    (rb"A3T[a-z0-9]{12}", r"A3T[A-Z0-9]{17}"),
    (rb"GOOG[a-z0-9]{12}", r"GOOG(?:1E[A-Z0-9]{55,58}|[A-Z0-9]{20})"),
    (rb"[0-9a-f]{24}-[0-9a-f]{8}-", r"[0-9a-f]{32}-[0-9a-f]{8}-(?:[0-9a-f]{8}|(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"),
    (rb"_mmk[^a-z0-9]", r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"),
    (rb"[0-9a-f]{8}NRAL", r"[0-9a-z]{6}[0-9a-f]{30}NRAL"),
    (rb"xsmtpsib-", r"xsmtpsib-[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    (rb"xox[cdbp]-", r"xox[cdbp]-(?:[0-9]{9,14}-){2,3}[0-9a-f]{64}"),
    (rb"CCIPRJ_", r"CCIPRJ_[A-Za-z0-9]{22}_[a-f0-9]{40}"),
    (rb"access_token\$", r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}"),
    (rb"[0-9a-f]{10}msh[0-9a-f]{12}", r"[0-9a-f]{10}msh[0-9a-f]{15}p1[0-9a-f]{5,7}jsn[0-9a-f]{12}"),
    (rb"rzp_(?:live|test)_", r"rzp_(?:live|test)_[A-Za-z0-9]{14}"),
    (rb"zpka_", r"zpka_[A-Za-z0-9]{32}_[A-Za-z0-9]{8}"),
    (rb"VF\.(?:DM|WS)\.", r"VF\.(?:DM|WS)\.[A-Fa-f0-9]{24}\.[A-Za-z0-9]{16}"),
    (rb"WPL_AP[01]\.", r"WPL_AP[01]\.[A-Za-z0-9]{16}\.[A-Za-z0-9+/]{4,12}={0,2}"),
    (rb"[^a-z0-9]1000\.[0-9a-f]{12}", r"1000\.[0-9a-f]{32}\.[0-9a-f]{32}"),
    (rb"bce-v3/", r"bce-v3/ALTAK-[A-Za-z0-9]{21}/[0-9a-f]{40}"),
    (rb"(?:sc|ext|scauth|authress)_[a-z0-9]{5}", r"(?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}"),
    (rb"fmu1-", r"fmu1-[0-9a-f]{8}-[0-9a-f]{32}-0-[0-9a-f]{30,32}"),
    (rb"syt_[a-z0-9]", r"syt_[A-Za-z0-9_=-]{2,200}_[A-Za-z]{20}_[A-Za-z0-9]{6}"),
    (rb"mat_[a-z0-9]{12}|mct_[a-z0-9]{12}", r"m[ac]t_[A-Za-z0-9]{30}_[A-Za-z0-9]{6}"),
    (rb"mainnet[a-z0-9]{12}|preprod[a-z0-9]{12}|preview[a-z0-9]{12}", r"(?:mainnet|preprod|preview)(?=[^0-9\s]{0,31}[0-9])[A-Za-z0-9]{32}"),
    (rb"[^a-z0-9]00D[a-z0-9]{12}", r"00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?![A-Za-z0-9_.]{60,200}"),
    (rb"prod:[a-z]{3}|dev:[a-z]{3}", r"(?:prod|dev|preview):[a-z]+-[a-z]+-[0-9]{1,4}\|[A-Za-z0-9+/=]{40,400}"),
    (rb"[^a-z0-9]oauth:[a-z0-9]{12}", r"(?<=oauth:)[a-z0-9]{30}"),
    (rb"FLWPUBK", r"FLWPUBK(?:_TEST)?-[A-Za-z0-9]{12,64}(?:-X)?"),
    (rb"SCW[A-Z0-9]{12}", r"SCW(?=[A-Z]{0,16}[0-9])[A-Z0-9]{17}"),
    (rb"pdus\+_|[^a-z0-9]u\+[a-z0-9_-]{12}", r"(?:pdus\+_[A-Za-z0-9_-]{20}|u\+(?=[^0-9\s]{0,17}[0-9])[A-Za-z0-9_-]{18})"),
    (rb"[^a-z0-9]pat[a-z0-9]{14}\.[a-f0-9]{12}", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    (rb"[^a-z0-9][ps]at\.[a-z0-9_-]{22}\.", r"[ps]at\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    (rb"[^a-z0-9]cio[a-z0-9]{12}", r"cio(?=[^0-9\s]{0,31}[0-9])(?=[^A-Z\s]{0,31}[A-Z])[A-Za-z0-9]{32}"),
    (rb"v1\.0-[a-f0-9]{24}-", r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}"),
    (rb"(?:live|test)_pub_[a-f0-9]{12}", r"(?:live|test)_pub_[a-f0-9]{31}"),
    (rb"gl(?:pat|rt)-[a-z0-9_-]{12}", r"gl(?:pat|rt)-[A-Za-z0-9_-]{27,300}\.(?:[0-9a-z]{2}\.)?[0-9a-z]{9}"),
    (rb"p\.eyJ", r"p\.eyJ[A-Za-z0-9_-]{20,400}\.[A-Za-z0-9_-]{20,60}"),
    (rb"dnkey-", r"dnkey-[A-Za-z0-9=_-]{26}-[A-Za-z0-9=_-]{52}"),
    (rb"mfa\.[a-z0-9_-]{12}|sl\.u\.[a-z0-9_-]{12}", r"(?:mfa|sl\.u)\.(?=[^0-9\s]{0,80}[0-9])[A-Za-z0-9_-]{60,300}"),
    (rb"snyk_uat\.|hawk\.[a-z0-9_-]{12}", r"(?:snyk_uat\.[0-9a-f]{8}\.[A-Za-z0-9_-]{60,100}|hawk\.[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{20})"),
    (rb"[^a-z0-9]as-[a-z0-9]{12}|[^a-z0-9]ak-[a-z0-9]{12}", r"a[sk]-(?=[^0-9\s]{0,21}[0-9])(?=[^A-Z\s]{0,21}[A-Z])[A-Za-z0-9]{22}"),
    (rb"KEY[0-9A-F]{12}", r"KEY[0-9A-F]{32}_[A-Za-z0-9]{22}"),
    (rb"api_org_", r"api_org_[A-Za-z]{34}"),
    (rb"[^a-z0-9]md-[a-z0-9_-]{12}", r"md-(?=[^0-9\s]{0,21}[0-9])(?=[^A-Z\s]{0,21}[A-Z])[A-Za-z0-9_-]{22}"),
    (rb"private_[a-z0-9+/]{12}", r"private_[A-Za-z0-9+/]{27}="),
    (rb"xoxd-", r"xoxd-[A-Za-z0-9%+/_=-]{40,400}"),
    (rb"ATTA[a-f0-9]{12}", r"ATTA[a-f0-9]{64}[A-Fa-f0-9]{8}"),
    (rb"AAAAAAAAAAAAAAAAAAAA[a-z0-9%]{12}", r"A{18,24}[A-Za-z0-9%]{60,110}"),
    (rb"K00[0-9][a-z0-9+/]{12}", r"K00[0-9](?=[^0-9\s]{0,26}[0-9])(?=[^A-Z\s]{0,26}[A-Z])[A-Za-z0-9+/]{27}"),
    (rb"organizations/[0-9a-f]{8}-", r"organizations/[0-9a-f-]{36}/apiKeys/[0-9a-f-]{36}"),
    (rb"[^a-z0-9]AQE[a-z0-9_-]{12}", r"AQE[A-Za-z0-9_+/-]{40,200}-[A-Za-z0-9+/=!^<>()\[\]{}?,.;:&%$#@*~|-]{20,120}"),
)  # fmt: skip
_HOOKS: tuple[tuple[bytes, str], ...] = (
    (rb"hooks\.slack\.com/(?:workflows|triggers)/", r"(?<=hooks\.slack\.com/)(?:workflows|triggers)/[A-Za-z0-9+/]{20,120}"),
    (rb"hooks\.zapier\.com/", r"(?<=hooks\.zapier\.com/)hooks/(?:catch|standard)/[A-Za-z0-9/]{8,80}"),
    (rb"hook\.(?:[a-z0-9]{2,4}\.)?make\.com/|hook\.integromat\.com/", r"(?<=(?:make|omat)\.com/)[a-z0-9]{24,64}"),
    (rb"/bot/v2/hook/", r"(?<=/bot/v2/hook/)[0-9a-f-]{36}"),
    (rb"maker\.ifttt\.com/", r"(?<=/with/key/)[A-Za-z0-9_-]{20,60}"),
    (rb"/webhook/send\?key=", r"(?<=/webhook/send\?key=)[0-9a-f-]{36}"),
    (rb"/api/v[0-9]/webhooks?/", r"(?<=/webhooks/)[0-9]{15,21}/[A-Za-z0-9_-]{40,90}"),
)  # fmt: skip


_KINDS = {
    number: "0"
    if chr(number).isdigit()
    else "a"
    if chr(number).islower()
    else "A"
    if chr(number).isupper()
    else None
    for number in range(128)
}


def drawn(value: str) -> bool:
    """Whether small letters, capitals and digits take turns as often as chance makes them."""
    if value.isascii() and (value.islower() or value.isupper()):
        return False  # Hex and the like, which may be long.
    kinds: Sequence[str]
    if value.isascii():
        kinds = value.translate(_KINDS)
    else:
        kinds = [
            "0" if char.isdigit() else "a" if char.islower() else "A" for char in value if char.isalnum()
        ]
    turns = sum(map(ne, kinds, kinds[1:]))
    return len(set(kinds)) == 3 and turns * 20 >= len(kinds) * 9


def _trigger(mark: str, body: str) -> bytes:
    """What of a key is looked for: its mark, and a first piece of what follows if the mark is short."""
    if len(mark) >= 6:
        return re.escape(mark.encode())
    first = rb"[0-9a-f]{8}" if body in (_UUID, MARKS[1][0]) else rb"[a-z0-9_-]{8}"
    return rb"[^a-z0-9]" + re.escape(mark.encode()) + first


def _marked(body: str, marks: str) -> Rule:
    """The rule for all marks that the same kind of body follows."""
    names = sorted(marks.split(), key=len, reverse=True)
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?P<mark>{'|'.join(names)})(?P<body>{body})(?![A-Za-z0-9])")

    def judge(match: re.Match[str], text: str) -> Iterator[Finding]:
        value = match["body"]
        enough = len(set(value)) >= 8 and re.search(r"[0-9]", value)
        if enough and (len(match["mark"]) > 5 or re.search(r"[a-z]", value) or value.isupper()):
            if "_-" in body and not _loosely_drawn(value):
                return
            yield finding(match.start(), match.end(), "API_TOKEN", "marked", 1.0)

    triggers = tuple(_trigger(name, body) for name in names)
    return Rule("marked", triggers, pattern_search(pattern, judge), back=60, ahead=430, exact=True)


def _loosely_drawn(value: str) -> bool:
    """As `drawn`, for bodies that may hold hyphens: words joined by hyphens are none."""
    kinds = [0 if char.isdigit() else 1 if char.islower() else 2 for char in value if char.isalnum()]
    return sum(a != b for a, b in pairwise(kinds)) * 3 >= len(kinds)


def special(trigger: bytes, source: str, sure: float) -> Rule:
    """The rule of one form; a group `value` is what is hidden of it."""
    edge = "" if source.startswith(("(?<=", "(?:(?<=", "(?<!")) else r"(?<![A-Za-z0-9])"
    group = "value" if "(?P<value>" in source else 0

    @cache
    def pattern() -> re.Pattern[str]:
        # When it is first asked: there are hundreds, and most texts ask none of them.
        return re.compile(rf"{edge}(?:{source})(?![A-Za-z0-9])")

    def search(text: str, start: int, end: int) -> Iterator[Finding]:
        for match in pattern().finditer(text, start, end):
            if len(set(match[0])) >= 8:
                type_ = "JWT" if match[0].startswith("ZXlK") else "API_TOKEN"
                yield finding(match.start(group), match.end(group), type_, "marked", sure)

    return Rule("marked", (trigger,), search, back=100, ahead=410, exact=sure == 1.0)


_UNLISTED = re.compile(
    r"(?<![A-Za-z0-9./])(?P<mark>[A-Za-z][A-Za-z0-9]{1,11}(?:[_-][a-z0-9]{1,10}){0,3}[_-])(?P<body>[A-Za-z0-9]{24,200}(?:[_-][A-Za-z0-9]{2,100}){0,4})"
    r"(?![A-Za-z0-9+/=@]|[_-][A-Za-z0-9]|\.[a-z])"
)
_OBJECTS = re.compile(
    r"(?:.*[_-])?(?:sha[0-9]{0,3}|md5|blake[0-9a-z]*|h1|req|request|trace|span|evt|event|id|uid|pi|ch|cus|in|sub|price|prod|seti|pm|src|card|acct|il|ii|si|po|txn|file|"
    r"msg|run|thread|asst|call|chatcmpl|resp|build|commit|rev|git|hash|etag|boundary|webkitformboundary|chunk|asset|image|img|font|css|js|index|main|vendor|page|"
    r"block|tx|txid|hash|addr|address|order|ticket|case|ref|error|err|crash|dump|report|version|v|job|task|node|pod|container|layer|snapshot|cid|ipfs|peer|device)[_-]",
    re.IGNORECASE,
)


def _unlisted(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A long drawn run behind a short mark, as issuers of keys make them."""
    run = max(re.split(r"[_-]", match["body"]), key=len)
    if len(run) >= 24 and drawn(run) and not _OBJECTS.fullmatch(match["mark"]):
        yield finding(match.start(), match.end(), "API_TOKEN", "unlisted", 0.8)


_LONG = re.compile(r"(?<![A-Za-z0-9+/=_.%-])[A-Za-z0-9_-]{40,4000}(?![A-Za-z0-9+/=@%]|\.[a-z])")


def _long(match: re.Match[str], text: str) -> Iterator[Finding]:
    """So long a drawn run tells an agent nothing, whatever it opens; of shorter ones sums and symbols stay."""
    value = match[0]
    if len(value) < 100 and (
        not re.search(r"[-_]", value)  # those without are judged by `_alone`
        or value.startswith("_Z")
        or _SUMS.search(before(text, match.start(), 40))
    ):
        return
    if drawn(value) and re.search(r"[-_0OIl]", value):  # base58 has rules of its own
        yield finding(match.start(), match.end(), "API_TOKEN", "unlisted", 0.8)


_ALONE = re.compile(
    r"(?<![A-Za-z0-9+/=_.@%$-])(?:[A-Za-z0-9]{40,200}|[A-Za-z0-9+/]{86}==)(?![A-Za-z0-9+/=_@%-]|\.[A-Za-z])"
)
_SUMS = re.compile(
    r"sha[0-9-]{0,5}|hash|integrity|digest|checksum|sum\b|summe|сумм|fingerprint|public|pubkey|open key|открыт",
    re.IGNORECASE,
)


def _alone(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A long drawn run by itself; sums in base64 stay."""
    value = match[0]
    if _SUMS.search(before(text, match.start(), 24)):
        return
    if drawn(value) and re.search(r"[0OIl+/]", value):
        yield finding(match.start(), match.end(), "API_TOKEN", "alone", 0.6)


_KEYED = re.compile(
    r"(?<![A-Za-z0-9_:-])(?:keys?|ключ|schlüssel|clave|clé|chave|chiave|klucz|anahtar)[\"']?[ \t]{0,2}[:=：][ \t]{0,2}[\"']?(?P<value>[A-Za-z0-9_-]{20,200})(?![A-Za-z0-9_/+=-])",
    re.IGNORECASE,
)
_OTHER_KEY = re.compile(
    r"(?:public|pub|cache|primary|sort|index|host|foreign|partition|idempotency|открытый|публичный|lica|blica|lique)[ _-]?\Z",
    re.IGNORECASE,
)


def _keyed(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A drawn value behind nothing but "key:"."""
    if drawn(match["value"]) and not _OTHER_KEY.search(before(text, match.start(), 14)):
        yield finding(match.start("value"), match.end("value"), "API_TOKEN", "keyed", 0.7)


RULES = (
    Rule(
        "keyed",
        (
            rb"keys?[\"']?[ ]{0,2}[:=]",
            "ключ ?[:=]|clé ?[:=]|schlüssel ?[:=]".encode(),
            rb"clave ?[:=]",
            rb"chave ?[:=]",
            rb"chiave ?[:=]",
            rb"klucz ?[:=]",
            rb"anahtar ?[:=]",
        ),
        pattern_search(_KEYED, _keyed),
        back=30,
        ahead=210,
    ),
    *(_marked(body, marks) for body, marks in MARKS),
    *(special(trigger, source, 1.0) for trigger, source in _SPECIAL),
    *(special(trigger, source, 0.6) for trigger, source in _HOOKS),
    Rule(
        "unlisted", (rb"[a-z0-9][_-][a-z0-9]{24}",), pattern_search(_UNLISTED, _unlisted), back=80, ahead=620
    ),
    Rule(
        "alone",
        (rb"[A-Za-z0-9]{40}[^A-Za-z0-9]", rb"[A-Za-z0-9]=="),
        pattern_search(_ALONE, _alone),
        back=210,
        ahead=4,
        cased=True,
    ),
    # Its end: a trigger for where such a run begins costs the scan three times as much.
    Rule("unlisted", (rb"[a-z0-9_-]{40}[^a-z0-9_-]",), pattern_search(_LONG, _long), back=4002, ahead=3),
)
