"""Secrets that only the words before them give away: passwords, keys, sessions, one-time codes.

A value counts when a keyword, a separator and something that can be a secret follow one another.
Keywords are in the languages of `keywords`. Words that describe a state ("required", "reset") and
placeholders are no values.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["RULES"]

_SEP = r"(?:[\"'\])}*_`]{0,3}[ \t]{0,3}(?:=>|:=|[:=：＝→])[ \t]{0,3}(?:\n[> ]{0,4})?)"
_IS = (
    r"(?:[ \t]{1,3}(?:(?:is|was|are|were|ist|sind|war|lautet|lauten|es|era|son|это|такой|такая|был|была|est|était|é|è|jest)"
    r"(?:[ \t]+(?:now|still|set to|jetzt|ahora|сейчас|теперь|maintenant))?[ \t]{0,2}[:：]?[ \t]{1,3})?"
    r"|(?<=[\u2e80-\uffdc])[ \t]?[是为為はがを]{0,2}[ \t]?(?=[!-~]))"
)
_QUOTED = r"(?:\\?\"(?P<q1>[^\"\n]{1,200}?)\\?\"|'(?P<q2>[^'\n]{1,200})'|“(?P<q3>[^”\n]{1,200})”|«(?P<q4>[^»\n]{1,200})»|„(?P<q5>[^“”\n]{1,200})[“”]|`(?P<q6>[^`\n]{1,200})`|「(?P<q7>[^」\n]{1,200})」)"
_BARE = r"(?P<bare>[^\s\"'<>`“”«»「」，。；、）】]{1,200})"

_PLACEHOLDER = re.compile(
    r"[*•●xX.#_-]{2,}|\$\{?[A-Za-z_]\w*\}?|%[sd]|%\w+%|\{+[^}]*\}+|<[^>]*>|\[[^\]]*\]?|\ue000.*|(?:null|none|nil|true|false|undefined|nan|yes|no|on|off|"
    r"empty|blank|unset|set|required|optional|missing|invalid|incorrect|wrong|expired|changed|reset|forgotten|forgot|hidden|redacted|removed|masked|"
    r"secret|password|passwort|contraseña|пароль|bearer|basic|string|str|int|bool|text|value|failed|failure|error|ok|success|successful|accepted|"
    r"rejected|denied|disabled|enabled|unknown|default|prompt|interactive|keyring|stdin|env|example|changeme_here|login|here|below|above|attached|"
    r"falsch|ungültig|abgelaufen|vergessen|erforderlich|leer|geändert|неверный|неверен|забыл|забыла|сброшен|требуется|нет|да|incorrecta|olvidada|"
    r"requerida|caducada|inválida|错误|忘记|必填|无|oauth2?|sso|not|nicht|no[nt]?e?|кончился|is|was|ist|es|to|and|or|und|for|from|the|a|an)",
    re.IGNORECASE,
)
_STRIP = ".,;:)]}>'\"…"


def _value(match: re.Match[str]) -> tuple[int, int, str, bool]:
    """(start, end, value, quoted) of what follows a keyword."""
    for name in ("q1", "q2", "q3", "q4", "q5", "q6", "q7"):
        if match[name] is not None:
            return match.start(name), match.end(name), match[name], True
    start, value = match.start("bare"), match["bare"]
    kept = value.rstrip(_STRIP)
    if kept.count("(") > kept.count(")") and value[len(kept) : len(kept) + 1] == ")":
        kept += ")"
    return start, start + len(kept), kept, False


_TAIL = r"(?:[ \t]?[(（][^()（）\n]{1,30}[)）])?"
_PASSWORD = re.compile(
    rf"(?:{keywords.PASSWORD})(?P<suffix>[\w.-]{{0,24}}?){_TAIL}(?P<gap>{_SEP}|{_IS})(?:{_QUOTED}|{_BARE})",
    re.IGNORECASE,
)
_STRONG = re.compile(
    r"(?=.*[0-9])(?=.*[^\W\d_]).{4,}|(?=.*[^\w\s.,:;!?'\"()-]).{5,}|[0-9]{4,}\Z|.*[a-z][A-Z].*", re.DOTALL
)


def _password(match: re.Match[str], text: str) -> Iterator[Finding]:
    start, end, value, quoted = _value(match)
    explicit = any(char in match["gap"] for char in ":=：＝→")
    if not value or _PLACEHOLDER.fullmatch(value) or len(value) < (3 if quoted or explicit else 4):
        return
    if match["suffix"] and not _random(value):
        return
    if not explicit and not quoted and not _STRONG.match(value):
        return
    if re.fullmatch(r"[0-9]{1,3}", value) or value.startswith(("//", "http://", "https://")):
        return
    yield finding(start, end, "PASSWORD", "password", 0.85)


def _random(value: str) -> bool:
    """Whether a value can be a drawn key: long, mixed, and neither version, path nor date."""
    if len(value) < 12 or re.fullmatch(r"[0-9.:/_-]+", value):
        return False
    if re.fullmatch(r"[a-z]+(?:[-_./ ][a-z]+)*", value, re.IGNORECASE) and not re.search(
        r"[a-z][A-Z].*[a-z][A-Z].*[a-z][A-Z]", value
    ):
        return len(value) >= 32 and "-" not in value and "_" not in value and "/" not in value
    if re.match(
        r"v?[0-9]+\.[0-9]+\.[0-9]+|/|[A-Za-z]:\\|https?:|[0-9]{4}-[0-9]{2}-[0-9]{2}|sha\d+[:-]", value
    ):
        return False
    return bool(re.search(r"[0-9]", value) or re.search(r"[a-z][A-Z]", value))


_KEY = re.compile(
    rf"(?P<name>{keywords.API_KEY})(?P<suffix>[\w.-]{{0,16}}?)(?:{_SEP}|{_IS})(?:Bearer\s)?(?:{_QUOTED}|{_BARE})",
    re.IGNORECASE,
)
_NOT_SUFFIX = re.compile(
    r".*(?:type|size|len|length|count|ttl|expir\w*|version|id|url|uri|path|file|name|limit|alg|algo|layout|bits|format|method|endpoint|public)",
    re.I,
)


def _api_key(match: re.Match[str], text: str) -> Iterator[Finding]:
    start, end, value, quoted = _value(match)
    del quoted
    if match["suffix"] and _NOT_SUFFIX.fullmatch(match["suffix"]):
        return
    if (
        text[max(0, match.start() - 7) : match.start()]
        .lower()
        .endswith(("public_", "public-", "public ", "pub_", "sort_", "cache_"))
    ):
        return
    if _PLACEHOLDER.fullmatch(value) or not _random(value):
        return
    run = re.match(r"[A-Za-z0-9_+/=.~:%-]+", value)
    if run and len(run[0]) >= 12 and len(run[0]) < len(value) and _random(run[0]):
        end = start + run.end()
    yield finding(start, end, "API_TOKEN", "key-word", 0.8)


_AUTH = re.compile(
    r"(?<![A-Za-z0-9])(?P<scheme>bearer|basic|token|digest|negotiate|apikey|aws4-hmac-sha256)[ \t:=]{1,3}[\"']?(?P<value>[A-Za-z0-9_+/=.~:-]{8,4000})",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?:proxy-)?authorization[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?:(?P<scheme>[A-Za-z0-9-]{2,20})[ \t]{1,2})?(?P<value>[A-Za-z0-9_+/=.~:-]{6,4000})",
    re.IGNORECASE,
)


def _auth(match: re.Match[str], text: str) -> Iterator[Finding]:
    scheme, value = (match["scheme"] or "").lower(), match["value"].rstrip(".:,")
    start = match.start("value")
    header = "uthorization" in text[max(0, match.start() - 24) : match.end("value")].lower()
    if scheme == "basic":
        if _basic(value) or (header and len(value) >= 8):
            yield finding(start, start + len(value), "BASIC_AUTH", "basic", 0.95)
    elif scheme == "bearer" or header:
        if value.lower() in ("bearer", "basic", "token", "realm") or (len(value) < 16 and not header):
            return
        if header or re.search(r"[0-9]|[a-z][A-Z]", value):
            yield finding(start, start + len(value), "BEARER", "bearer", 0.9)


def _basic(value: str) -> bool:
    """Whether a value is base64 of "name:password" (RFC 7617)."""
    try:
        data = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in data and all(byte >= 32 for byte in data)


_COOKIE_LINE = re.compile(
    r"(?:set-)?cookies?2?[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?P<pairs>[^\r\n]{1,8000})", re.IGNORECASE
)
_PAIR = re.compile(r"(?P<name>[\w!#$%&*+.^|~-]{1,80})=\"?(?P<value>[^\s;,\"'<>]{1,4000})")
_SESSION_NAME = re.compile(
    r".*(?:sess|sid\b|_sid|token|auth|csrf|xsrf|jwt|login|remember|secret|ticket|connect\.sid|phpsessid|jsessionid|asp\.net|identity|sso|saml|user|uid|key).*|sid|s|id",
    re.IGNORECASE,
)


def _cookie_line(match: re.Match[str], text: str) -> Iterator[Finding]:
    at = match.start("pairs")
    for pair in _PAIR.finditer(match["pairs"]):
        value = pair["value"].rstrip(".,:)")
        named = _SESSION_NAME.fullmatch(pair["name"])
        if (
            named and len(value) >= 6 and not _PLACEHOLDER.fullmatch(value) and not value.isalpha()
        ) or _random(value):
            start = at + pair.start("value")
            yield finding(start, start + len(value), "COOKIE", "cookie", 0.9)


_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SESSION = re.compile(
    rf"(?:(?P<weak>(?<![a-z])(?:session|sesión|сессия|сеанс|sitzung|会话|會話)(?=[ :=：\"]))|{keywords.SESSION})(?:{_SEP}|{_IS})[\"']?(?P<value>[A-Za-z0-9_+/=.%~-]{{8,500}})",
    re.IGNORECASE,
)


def _session(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["value"].rstrip(".")
    if match["weak"] and (
        not re.search(r"[:=：]", match[0][: match.start("value") - match.start()]) or _UUID.fullmatch(value)
    ):
        return
    if (
        not _PLACEHOLDER.fullmatch(value)
        and re.search(r"[0-9]", value)
        and len(value) >= 10
        and not re.fullmatch(r"[0-9.:-]{1,10}", value)
    ):
        yield finding(match.start("value"), match.start("value") + len(value), "COOKIE", "session", 0.85)


_B32 = r"[A-Z2-7a-z]"
_TOTP = re.compile(
    rf"(?:otpauth(?:-migration)?:[^\s\"'<>]{{1,300}}?[?&](?:secret|data)=(?P<uri>[A-Za-z0-9%+/=]{{8,2000}})"
    rf"|(?:{keywords.TOTP})[^\n:=：]{{0,24}}?(?:{_SEP}|{_IS})[\"'`]?(?P<value>{_B32}{{16,128}}={{0,6}}|(?:{_B32}{{4}}[ -]){{3,31}}{_B32}{{4}}))(?![A-Za-z0-9])",
    re.IGNORECASE,
)


def _totp(match: re.Match[str], text: str) -> Iterator[Finding]:
    name = "uri" if match["uri"] else "value"
    value = match[name]
    if name == "value":
        value = _whole_groups(value)
    yield finding(match.start(name), match.start(name) + len(value), "TOTP", "totp", 0.9)


def _whole_groups(value: str) -> str:
    """Groups of four up to a usual length, so that words of four letters after them stay."""
    size = len(value.replace(" ", "").replace("-", ""))
    for usual in (64, 52, 32, 16):
        if size == usual:
            break
        if " " in value and size > usual:
            return value[: usual + usual // 4 - 1]
    return value


_CODE = r"(?:[A-Za-z0-9]{4,6}(?:[- ]?[A-Za-z0-9]{4,6}){1,7}|[A-Za-z0-9]{6,12})"
_RECOVERY_HEAD = re.compile(
    rf"(?:{keywords.RECOVERY})(?:[^\S\n]?[(（][^()\n]{{1,40}}[)）])?[^\n:=：0-9]{{0,24}}?[:=：]?[ \t]{{0,3}}",
    re.IGNORECASE,
)
_RECOVERY_CODE = re.compile(
    r"(?:[ \t,;|/]|\r?\n(?:>[ \t]?)*|[0-9]{1,2}[.)][ \t]|[-*•][ \t]|[\"'\[\],]){0,6}(?P<code>[A-Za-z0-9]{3,12}(?:[-_.][A-Za-z0-9]{3,12}){0,7})(?![A-Za-z0-9@:/=\\])"
)


def _recovery(text: str, start: int, end: int) -> Iterator[Finding]:
    for head in _RECOVERY_HEAD.finditer(text, start, end):
        first = last = position = head.end()
        count = 0
        shape: tuple[int, ...] = ()
        while count < 40 and (code := _RECOVERY_CODE.match(text, position, position + 120)) is not None:
            this = tuple(map(len, re.split(r"[-_.]", code["code"])))
            if (
                not re.search(r"[0-9]", code["code"])
                and not (count and this == shape)
                or (shape and this != shape)
            ):
                break
            if (
                re.fullmatch(r"[0-9]{1,3}|[0-9]{4}-[0-9]{2}-[0-9]{2}", code["code"])
                or sum(this) < 5
                and not count
            ):
                break
            first = first if count else code.start("code")
            shape, last, position, count = this, code.end("code"), code.end(), count + 1
        if count and (count > 1 or len(shape) > 1 or sum(shape) >= 8):
            yield finding(first, last, "RECOVERY", "recovery", 0.85)


RULES = (
    Rule("password", keywords.triggers(keywords.PASSWORD_WORDS), pattern_search(_PASSWORD, _password), back=30, ahead=290),
    Rule("key-word", keywords.triggers(keywords.API_KEY_WORDS), pattern_search(_KEY, _api_key), back=40, ahead=290),
    Rule("auth", (rb"bearer[ \t:=]", rb"basic[ \t]", rb"authorization"), pattern_search(_AUTH, _auth), back=20, ahead=4040),
    Rule("auth-header", (rb"authorization",), pattern_search(_HEADER, _auth), back=20, ahead=4040),
    Rule("cookie", (rb"cookies?2?[\"']?[ ]{0,2}[:=]",), pattern_search(_COOKIE_LINE, _cookie_line), back=16, ahead=8010),
    Rule("session", keywords.triggers(keywords.SESSION_WORDS), pattern_search(_SESSION, _session), back=30, ahead=560),
    Rule("totp", (rb"otpauth", *keywords.triggers(keywords.TOTP_WORDS)), pattern_search(_TOTP, _totp), back=40, ahead=2400),
    Rule("recovery", keywords.triggers(keywords.RECOVERY_WORDS), _recovery, back=50, ahead=80),
)  # fmt: skip
