# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Sessions and one-time codes: cookies (RFC 6265), session ids, TOTP secrets (RFC 6238), recovery codes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.detect.secret import EQUALS, IS, PLACEHOLDER, random_looking
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, finding, keyword_search, keyword_searches, pattern_search

__all__ = ["RULES"]

_COOKIE_WORD = Keyword(r"cookies?2?")
_COOKIE_LINE = re.compile(r"[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?P<pairs>[^\r\n]{1,8000})")
_PAIR = re.compile(r"(?P<name>[\w!#$%&*+.^|~-]{1,80})=\"?(?P<value>[^\s;,\"'<>]{1,4000})")
_SESSION_NAME = re.compile(
    r".*(?:sess|sid\b|_sid|token|auth|csrf|xsrf|jwt|login|remember|secret|ticket|connect\.sid|phpsessid|jsessionid|asp\.net|identity|sso|saml|user|uid|key).*|sid|s|id",
    re.IGNORECASE,
)


def _cookie_line(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    at = match.start("pairs")
    for pair in _PAIR.finditer(match["pairs"]):
        value = pair["value"].rstrip(".,:)")
        named = _SESSION_NAME.fullmatch(pair["name"])
        if (
            named and len(value) >= 6 and not PLACEHOLDER.fullmatch(value) and not value.isalpha()
        ) or random_looking(value):
            start = at + pair.start("value")
            yield finding(start, start + len(value), "COOKIE", "cookie", 0.9)


_SESSION_WORD = Keyword(keywords.SESSION)
_SESSION = re.compile(rf"(?P<gap>{EQUALS}|{IS})[\"']?(?P<value>[A-Za-z0-9_+/=.%~-]{{8,500}})", re.IGNORECASE)
_WEAK_SESSION = frozenset(["session", "sesión", "сессия", "сеанс", "sitzung", "会话", "會話", "sid"])
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


_LOOSE_SESSION = re.compile(
    r"[ \t]{1,2}(?:cookie|token|id)?[ \t]{0,2}[\"'(]?(?P<value>(?=[^\s]{0,60}[0-9])(?=[^\s]{0,60}[A-Za-z])[A-Za-z0-9_+/=%-]{20,500})",
    re.IGNORECASE,
)


def _loose_session(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """A drawn value right behind the word, with nothing between but a space."""
    value = match["value"]
    if not _UUID.fullmatch(value) and random_looking(value):
        yield finding(match.start("value"), match.end("value"), "COOKIE", "session-near", 0.7)


def _session(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["value"].rstrip(".")
    explicit = re.search(r"[:=：]", match["gap"]) is not None
    if head[0].lower() in _WEAK_SESSION and (not explicit or _UUID.fullmatch(value)):
        return
    if len(value) < 10 or PLACEHOLDER.fullmatch(value) or not re.search(r"[0-9]", value):
        return
    if not re.fullmatch(r"[0-9.:-]{1,10}", value):
        yield finding(match.start("value"), match.start("value") + len(value), "COOKIE", "session", 0.85)


_NAMED_COOKIE = re.compile(
    r"(?<![A-Za-z0-9])(?:wordpress_(?:logged_in|sec)_\w{1,40}|wp_logged_in\w{0,40}|S?SESS[0-9a-f]{6,32}\w{0,30}|__(?:Secure|Host)-[\w.-]{1,60})=[\"']?(?P<value>[A-Za-z0-9_+/=.%~|-]{8,2000})"
)


def _named_cookie(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start("value"), match.end("value"), "COOKIE", "cookie-name", 0.9)


_GROUPS = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z2-7]{4}[ -]){3,15}[A-Z2-7]{4}(?![A-Za-z0-9])")
_GROUPS_CUE = re.compile(
    r"secret|key|2fa|otp|authenticator|setup|секрет|ключ|schlüssel|geheim|clave|secreto|密钥|密鑰|验证",
    re.IGNORECASE,
)


def _groups(match: re.Match[str], text: str) -> Iterator[Finding]:
    around = text[max(0, match.start() - 40) : match.start()] + text[match.end() : match.end() + 40]
    if re.search(r"[2-7]", match[0]) and re.search(r"[A-Z]", match[0]) and _GROUPS_CUE.search(around):
        yield finding(match.start(), match.end(), "TOTP", "totp-groups", 0.7)


_OTPAUTH = re.compile(
    r"otpauth(?:-migration)?:[^\s\"'<>]{1,300}?[?&](?:secret|data)=(?P<uri>[A-Za-z0-9%+/=]{8,2000})",
    re.IGNORECASE,
)
_TOTP_WORD = Keyword(keywords.TOTP)
_B32 = r"[A-Z2-7a-z]"
_TOTP = re.compile(
    rf"[^\n:=：]{{0,24}}?(?:{EQUALS}|{IS})[\"'`]?"
    rf"(?P<value>{_B32}{{16,128}}={{0,6}}|(?:{_B32}{{4}}[ -]){{3,31}}{_B32}{{4}})(?![A-Za-z0-9])",
    re.IGNORECASE,
)


def _otpauth(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start("uri"), match.end("uri"), "TOTP", "otpauth")


def _totp(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    value = _whole_groups(match["value"])
    plain = value.isalpha() and (value.islower() or value.istitle())
    if plain and len(value) not in (16, 26, 32, 52):
        return
    yield finding(match.start("value"), match.start("value") + len(value), "TOTP", "totp", 0.9)


_TOTP_NEAR = re.compile(
    r"[^\n:=：0-9A-Z]{0,24}?[ \t](?P<value>(?=[A-Z]{0,24}[2-7])[A-Z2-7]{16,128})(?![A-Za-z0-9])"
)


def _totp_near(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start("value"), match.end("value"), "TOTP", "totp-near", 0.8)


def _whole_groups(value: str) -> str:
    """Groups of four up to a usual length, so that words of four letters after them stay."""
    size = len(value.replace(" ", "").replace("-", ""))
    for usual in (64, 52, 32, 16):
        if size == usual:
            break
        if " " in value and size > usual:
            return value[: usual + usual // 4 - 1]
    return value


_RECOVERY_WORD = Keyword(keywords.RECOVERY)
_RECOVERY_HEAD = re.compile(
    r"(?:[^\n:=：0-9\ue000]{0,60}?[:=：]|[^\n:=：0-9\ue000]{0,16}?[ ](?:is|are|was|were|ist|sind|es|son|est|sont|é|são|это)(?=[ ])|[^\n:=：0-9\ue000]{0,16}?)[ \t]{0,3}(?=[\s\"'\[(>*•-]{0,8}[A-Za-z0-9])"
)
_RECOVERY_CODE = re.compile(
    r"(?:[ \t,;|/]|\r?\n(?:>[ \t]?)*|[0-9]{1,2}[.)][ \t]|[-*•][ \t]|[\"'\[\]]){0,6}"
    r"(?P<code>[A-Za-z0-9]{3,12}(?:[-_.][A-Za-z0-9]{3,12}){0,7})(?![A-Za-z0-9@:/=\\])"
)


def _recovery(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """A list of codes of one shape; the first needs a digit."""
    first = last = position = match.end()
    telling = False
    shape: tuple[int, ...] = ()
    count = 0
    stop = position + 60
    while count < 60:
        code = _RECOVERY_CODE.match(text, position, stop)
        if code is None:
            break
        this = tuple(map(len, re.split(r"[-_.]", code["code"])))
        if (count and this != shape) or not _code_like(code["code"], this, count):
            break
        first = first if count else code.start("code")
        telling = telling or re.search(r"[0-9]", code["code"]) is not None
        shape, last, position, count = this, code.end("code"), code.end(), count + 1
        stop = position + 40
    if telling and (count > 1 or len(shape) > 1 or sum(shape) >= 8):
        yield finding(first, last, "RECOVERY", "recovery", 0.85)


_RECOVERY_KEY = re.compile(
    r"[^\n0-9\ue000]{0,20}?[ \t:=：\"']{1,4}(?P<value>[A-Za-z0-9+/_-]{16,200}={0,2})(?![A-Za-z0-9])"
)


def _recovery_key(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """One long drawn value in place of a list of codes."""
    if random_looking(match["value"]) and re.search(r"[0-9]", match["value"]):
        yield finding(match.start("value"), match.end("value"), "RECOVERY", "recovery-key", 0.8)


def _code_like(value: str, shape: tuple[int, ...], count: int) -> bool:
    if re.fullmatch(r"[0-9]{1,3}|(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}", value) or sum(shape) < 4:
        return False
    return (
        count > 0
        or re.search(r"[0-9]", value) is not None
        or (len(shape) > 1 and (value.isupper() or (len(set(shape)) == 1 and shape[0] >= 4)))
        or re.search(r"[a-z][A-Z]", value) is not None
    )


RULES = (
    Rule("cookie", (rb"cookies?2?[\"']?[ ]{0,2}[:=]",), keyword_search(_COOKIE_WORD, _COOKIE_LINE, _cookie_line, whole_line=True), back=20, ahead=2),
    Rule("session", keywords.triggers(keywords.SESSION_WORDS), keyword_searches(_SESSION_WORD, (_SESSION, _session), (_LOOSE_SESSION, _loose_session)), back=30, ahead=20),
    Rule("cookie-name", (rb"wordpress_|wp_logged_in|s?sess[0-9a-f]{6}|__(?:secure|host)-",), pattern_search(_NAMED_COOKIE, _named_cookie), back=20, ahead=80),
    Rule("totp-groups", (rb"[A-Z2-7]{4}[ -][A-Z2-7]{4}[ -][A-Z2-7]{4}[ -][A-Z2-7]{4}",), pattern_search(_GROUPS, _groups), back=24, ahead=64, cased=True),
    Rule("otpauth", (rb"otpauth",), pattern_search(_OTPAUTH, _otpauth), back=10, ahead=2400),
    Rule("totp", keywords.triggers(keywords.TOTP_WORDS), keyword_searches(_TOTP_WORD, (_TOTP, _totp), (_TOTP_NEAR, _totp_near)), back=30, ahead=20),
    Rule("recovery", keywords.triggers(keywords.RECOVERY_WORDS), keyword_searches(_RECOVERY_WORD, (_RECOVERY_HEAD, _recovery), (_RECOVERY_KEY, _recovery_key)), back=50, ahead=24),
)  # fmt: skip
