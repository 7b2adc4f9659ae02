# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Secrets that only the words before them give away: passwords, keys, logins in headers.

A value counts when a keyword, a separator and something that can be a secret follow one another.
Keywords are in the languages of `keywords`. Words that describe a state ("required", "reset") and
placeholders are no values.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from itertools import pairwise

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.detect.issuers import mixed
from veildesk.redact.detect.prefixes import drawn
from veildesk.redact.keyword import Keyword
from veildesk.redact.masks import BLANK
from veildesk.redact.rule import Rule, finding, keyword_search, keyword_searches, pattern_search

__all__ = ["CODE", "EQUALS", "IS", "PLACEHOLDER", "RULES", "random_looking"]

EQUALS = (
    r"(?:(?<=[A-Za-z])>(?=[^\s<>]{3,100}</)|</(?:key|name)>\s{0,8}<(?:string|value)>|[\"'](?:[ \t]+\w{1,20}=[\"'][^\"'\n]{0,40}[\"']){0,3}[ \t]+value="
    r"|[\"']?,?\s{1,20}[\"']?value[\"']?\s{0,2}[:=]\s{0,2}|[\"'][ \t]{0,2},[ \t]{0,2}(?=[\"'])"
    r"|[\"'\])}*_`]{0,3}[ \t]{0,3}(?:[=-]>|:=|⇒|[:=：＝→])[ \t]{0,3}(?:\n[> ]{0,4})?)"
)
IS = (
    r"(?:[ \t]{1,3}(?:(?:is|was|are|were|ist|sind|war|lautet|lauten|es|era|son|это|такой|такая|был|была|est|c'est|c’est|était|é|è|jest|[-–—])"
    r"(?:[ \t]+(?:now|still|set to|jetzt|ahora|сейчас|теперь|maintenant))?[ \t]{0,2}[:：]?[ \t]{1,3})?"
    r"|[ \t](?:(?:was|has been|wurde|ist)[ ])?(?:(?:reset|changed|set|updated|switched|geändert|сменил|поменял|изменил)\w{0,2}[ ])?(?:to|на|auf)[ \t]"
    r"|(?<=[\u2e80-\uffdc])[ \t]?[是为為はがを는은가이]{0,2}[ \t]?(?=[!-~“「『]))"
)
_QUOTED = r"(?:\"(?P<q1>(?:[^\"\\\n]|\\[^\n]){1,2000})\"|\\\"(?P<q8>[^\"\\\n]{1,2000})\\\"|'(?P<q2>[^'\n]{1,2000})'|“(?P<q3>[^”\n]{1,200})”|«(?P<q4>[^»\n]{1,200})»|„(?P<q5>[^“”\n]{1,200})[“”]|`(?P<q6>[^`\n]{1,200})`|「(?P<q7>[^」\n]{1,200})」)"
# The view has made full-width punctuation plain: before an ideograph it ends a value all the same.
_BARE = r"(?P<bare>(?:(?![,;:!?][\u2e80-\uffdc])[^\s\"'<>`“”«»「」，。；、）】]){1,2000})"

PLACEHOLDER = re.compile(
    r"[*•●xX.#_-]{2,}|\((?:hidden|redacted|none|empty|not|unchanged|masked|removed|optional|required|set|blank)(?:[ ][^)]*)?\)?|!(?:vault|secret|env|ref|sub)|\$\{?[A-Za-z_]\w*\}?|%[sd]|%\w+%|\{+[^}]*\}+|<[^>]*>|\[[^\]]*\]?|\ue000+(?:[^\w\ue000].*)?|(?:null|none|nil|true|false|undefined|nan|yes|no|on|off|"
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
    for name in ("q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8"):
        if match[name] is not None:
            return match.start(name), match.end(name), match[name], True
    start, value = match.start("bare"), match["bare"]
    kept = value.rstrip(_STRIP)
    if kept.count("(") > kept.count(")") and value[len(kept) : len(kept) + 1] == ")":
        kept += ")"
    return start, start + len(kept), kept, False


_TAIL = r"(?:[ \t]?[(（][^()（）\n]{1,30}[)）])?"
_ABOUT = (
    r"(?:[ ](?:new|old|current|temporary|temp|default|root|admin|administrator|user|wi-?fi|wlan|e-?mail|mail|imap|smtp|db|database|bios|server|login|sudo|guest|router|vpn|ftp|ssh|neu\w{0,2}|alt\w{0,2}|aktuell\w{0,2}|bisherig\w{0,2}|nuev[ao]|anterior|viej[ao]|antigu[ao]|actual|nouveau|ancien|actuel|nov[ao]|atual|нов\w{2}|стар\w{2}|текущ\w{2}|временн\w{2}|for|to|of|on|from|i|we|my|that|used|use|in|от|для|на|к|из|в|до|de|del|para|mi|su|für|von|zum|zur|des|der|das|beim|im|du|pour|mon|per|da|do)"
    r"(?:[ ][^\s:=：0-9\ue000]{1,16}){0,3})"
)
_ABOUT_WORDS = re.compile(
    rf"{_ABOUT}[ \t]{{0,2}}(?:[:=：]|(?<=[ ])(?:is|was|ist|war|es|era|это|c['’]est|est|é)|(?=[\"“„«][^\"“”„«»\n]{{0,40}}[0-9]))[ \t]{{0,3}}(?:{_QUOTED}|{_BARE})",
    re.IGNORECASE,
)
_PASSWORD_WORD = Keyword(keywords.PASSWORD)
_PASSWORD = re.compile(
    rf"(?P<suffix>[\w.-]{{0,24}}?){_TAIL}(?P<gap>{EQUALS}|{IS})(?:{_QUOTED}|{_BARE})",
    re.IGNORECASE,
)
_STRONG = re.compile(
    r"(?=.*[0-9])(?=.*[^\W\d_]).{4,}|(?=.*[^\w\s.,:;!?'\"()-]).{5,}|[0-9]{4,}\Z|.*[a-z][A-Z].*", re.DOTALL
)


CODE = re.compile(
    r"(?:[A-Za-z_$]\w*(?:\.|->|::))+[A-Za-z_]\w*(?:[(\[]|\Z)|[a-z_]\w*\(\)?[;,]?\Z|(?:process|os|sys|self|this|config|settings|env|req|request|args|opts|options)\.[\w.]+\Z"
)
"""A call, a member or a variable of a program, which stands for a value and is none."""

_CHOSEN = re.compile(r"(?=.*[0-9])(?=.*[^\W\d_])[^\\/-].{4,}", re.DOTALL)


def _password(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    start, end, value, quoted = _value(match)
    explicit = any(char in match["gap"] for char in ":=：＝→")
    if not value or PLACEHOLDER.fullmatch(value) or len(value) < (3 if quoted or explicit else 4):
        return
    if match["suffix"] and not random_looking(value):
        return
    if CODE.match(value) and not quoted:
        return
    if text[max(0, head.start() - 3) : head.start()].upper() == "TO_" or (not explicit and value[0] == "*"):
        return
    if not explicit and head[0].lower() == "pass" and not _CHOSEN.fullmatch(value):
        return
    if "," in match["gap"] and not _STRONG.match(value):
        return
    if not explicit and not quoted and (not _STRONG.match(value) or value.startswith("/")):
        return
    if re.fullmatch(r"[0-9]{1,3}", value) or value.startswith(("//", "http://", "https://")):
        return
    yield finding(start, end, "PASSWORD", "password", 0.85)


def _password_about(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """Some words stand between ("password for the wallet: X"), so the value must look like one."""
    start, end, value, _ = _value(match)
    if len(value) < 5 or not _STRONG.match(value) or PLACEHOLDER.fullmatch(value) or CODE.match(value):
        return
    if not re.match(r"//|https?:|[0-9]{1,3}\Z|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}:[0-9]{2}|0x", value):
        yield finding(start, end, "PASSWORD", "password-about", 0.7)


_NEAR = re.compile(
    r"(?P<between>[^\n0-9\ue000!?;]{0,44}?)(?<![^\s\"'“„«(|:：>])(?P<value>(?=[^\s]{0,40}[0-9!#$%^&*?~+@])(?=[^\s]{0,40}[A-Za-z])[^\s\"'<>`“”«»|，。；、()\\/\ue000]{6,64})",
    re.IGNORECASE,
)
_SPECIAL = re.compile(r"[!@#$%^&*?~+]")
_COMMON = re.compile(
    r"(?:0x|fritz!|v?[0-9]+\.|[0-9]{4}-|[0-9]+[a-z]{1,3}\Z|[A-Z]+[-_]?[0-9]+\Z|[A-Z]?[a-z]+[0-9]{1,4}[.,:;]?\Z|[a-z_]+=|--|@|[\w.+-]+@[\w-]+\.[a-z]|@?[\w./-]+@[~^v]{0,2}[0-9]+\.[0-9]|[¡¿]|[\w-]+(?:\.[\w-]+)+\Z|[0-9:.,-]+\Z|[\w-]*_[\w-]*\Z|&|#[0-9])",
    re.IGNORECASE,
)


def _near(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """A word that nobody writes but as a password, in the same sentence as a word for one, and the next such."""
    yield from _near_value(match)
    another = _NEAR.match(text, match.end())
    if another is not None:
        yield from _near_value(another)


def _near_value(match: re.Match[str]) -> Iterator[Finding]:
    value, start = match["value"].rstrip(".,;:)]}?"), match.start("value")
    if (
        _COMMON.match(value)
        or PLACEHOLDER.fullmatch(value)
        or CODE.match(value)
        or re.search(r"[.][ ]", match["between"])
    ):
        return
    mixed = {0 if char.isdigit() else 1 if char.islower() else 2 for char in value if char.isalnum()}
    drawn = len(mixed) == 3 and (
        _turns(value) * 2 >= len(value) or re.search(r"[A-Za-z][0-9]{3,}[A-Za-z]", value)
    )
    if len(value) >= 6 and (_SPECIAL.search(value) or drawn):
        yield finding(start, start + len(value), "PASSWORD", "password-near", 0.6)


_CALLED = (
    r"[ ](?:(?:as|als|как|como|comme|come|jako)[ ](?:\w{1,12}[ ]){0,2}|(?:is|was|ist|war|es|era|est|это|был|é|è|jest|—|–|-)[ ]"
    r"(?:my|our|the|mein|unser|das|mi|nuestra|la|mon|notre|le|meu|minha|a|мой|наш|mia|moje)[ ](?:\w{1,12}[ ])?)"
)
_AS = re.compile(
    rf"(?<![^\s\"'“„«(])(?P<value>[^\s\"'<>“”«»\ue000]{{4,64}})[\"'”»“]?{_CALLED}(?:"
    + keywords.PASSWORD
    + r")",
    re.IGNORECASE,
)


_AS_WORD = re.compile(_CALLED, re.IGNORECASE)


def _as_search(text: str, start: int, end: int) -> Iterator[Finding]:
    if _AS_WORD.search(text, start, end):
        for match in _AS.finditer(text, start, end):
            yield from _as(match, text)


def _as(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A value that stands before its word: "I typed X as the password"."""
    value = match["value"].rstrip(".,;:)]}")
    if len(value) >= 4 and _STRONG.match(value) and not (PLACEHOLDER.fullmatch(value) or CODE.match(value)):
        yield finding(match.start("value"), match.start("value") + len(value), "PASSWORD", "as-password", 0.7)


_BRACKETS = re.compile(r"[ \t]{1,2}[(（\[](?P<value>[^\s()（）\[\]\ue000]{5,64})[)）\]]")


def _in_brackets(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["value"].strip("\"'")
    if (
        len(value) > 5
        and _STRONG.match(value)
        and not (PLACEHOLDER.fullmatch(value) or _COMMON.match(value) or CODE.match(value))
    ):
        yield finding(match.start("value"), match.end("value"), "PASSWORD", "in-brackets", 0.6)


_ASKED = re.compile(
    r"[^\n?？]{0,30}[?？][ \t]*\r?\n(?:[>\s]{0,4})(?:\[[^\]\n]{1,24}\][ ]?)?(?:<[^>\n]{1,24}>[ ]?|[^\s:<>]{1,24}:[ ])?"
    r"(?P<value>[^\s\ue000]{5,64})[ \t]*(?=\r?\n|\Z)"
)


def _asked(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """The answer to a question for a password, alone on the next line."""
    value = match["value"].rstrip(".,;:)]}")
    if _CHOSEN.fullmatch(value) and not (
        PLACEHOLDER.fullmatch(value) or _COMMON.match(value) or CODE.match(value)
    ):
        yield finding(match.start("value"), match.start("value") + len(value), "PASSWORD", "asked", 0.6)


_LOGIN_WORDS = (
    "creds", "credentials", "user/pass", "user/password", "username/password", "login/password", "login/pass", "login", "account", "zugangsdaten",
    "anmeldedaten", "zugang", "логин/пароль", "логин и пароль", "данные для входа", "учётка", "учетка", "учётные данные", "учетные данные", "доступы", "доступ", "логин",
    "credenciales", "usuario/contraseña", "usuario/clave", "acceso", "identifiants", "accès", "credenciais", "usuário/senha", "acesso", "credenziali",
    "账号密码", "帐号密码", "账号", "帐号",
)  # fmt: skip
_LOGIN_WORD = Keyword(keywords.pattern(_LOGIN_WORDS))
_LOGIN_PAIR = re.compile(
    r"(?:[ \t]{0,2}(?:[:=：(]|is|are|ist|sind|это|es|son|-)[ \t]{0,3}[\"'(]?|[ \t]{1,2}(?=[\w.+-]{1,64}@))(?P<user>[^\s/|:;,\"]{2,64})(?:[:;|]|[\"']?[ ]?[/|,;][ ]?|[ ]-{1,2}[ ]|(?P<loose>[ ](?:(?:with|and|mit|und|y|con|e|et|avec|и|с)[ ])?))[\"']?"
    r"(?P<value>[^\s\"'<>\ue000]{4,64})"
)


def _login_pair(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """What stands beside a name or an address after a word for both ("creds: anna / X")."""
    if not match["loose"] or (
        "@" in match["user"] and _CHOSEN.match(match["value"]) and not _COMMON.match(match["value"])
    ):
        yield from _paired(match)


_MAIL_PAIR = re.compile(r"(?<=[\w.])(?:\]|\ue000)?[:;|][\"']?(?P<value>[^\s\"'<>\ue000]{5,64})")


def _mail_pair(match: re.Match[str], text: str) -> Iterator[Finding]:
    """ "address:password", as lists of logins are written."""
    mail = re.search(
        r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\Z",
        text[max(0, match.start() - 140) : match.start()],
    )
    if mail and not re.match(r"[\w.-]*/|[0-9]+\b|[\w-]+\.(?:git|txt|zip|tar|gz|log)\b", match["value"]):
        yield from _paired(match)


def _paired(match: re.Match[str]) -> Iterator[Finding]:
    value = match["value"].rstrip(".,;:)]}")
    if len(value) < 4 or not _STRONG.match(value) or PLACEHOLDER.fullmatch(value) or CODE.match(value):
        return
    if not re.match(
        r"//|https?:|0x|[0-9.:/-]+\Z|[A-Za-z_]{2,20}=|\+?[0-9][0-9 ()-]{6,}|[\w.+-]+@[\w-]+\.", value
    ):
        yield finding(match.start("value"), match.start("value") + len(value), "PASSWORD", "login-pair", 0.7)


_WIFI = re.compile(
    r"WIFI:(?:[A-Z]:(?:\\[^\n]|[^;\\\n]){0,80};){0,4}?P:(?P<value>(?:\\[^\n]|[^;\\\n]){1,80})", re.IGNORECASE
)


def _wifi(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The text behind a WLAN's QR code."""
    yield finding(match.start("value"), match.end("value"), "PASSWORD", "wifi", 0.95)


def random_looking(value: str) -> bool:
    """Whether a value can be a drawn key: long, mixed, and neither version, path nor date."""
    if len(value) < 12 or re.fullmatch(r"[0-9.:/_-]+", value):
        return False
    if re.fullmatch(r"[a-z]+(?:[-_][a-z]+)+(?:[-_]?v?[0-9]{1,3})?", value):
        return False
    if re.fullmatch(r"[a-z]+(?:[-_./ ][a-z]+)*", value, re.IGNORECASE) and not re.search(
        r"[a-z][A-Z].*[a-z][A-Z].*[a-z][A-Z]", value
    ):
        return len(value) >= 32 and "-" not in value and "_" not in value and "/" not in value
    if re.search(r"[-_./\\:]", value):
        words = sum(len(word) for word in re.findall(r"(?<![A-Za-z])[A-Z]?[a-z]{3,}(?![A-Za-z])", value))
        if words * 10 >= 7 * sum(char.isalnum() for char in value):
            return False
    if re.fullmatch(r"/[A-Za-z0-9+/]{23,}={0,2}", value) and _turns(value) * 3 >= len(value):
        return True
    if re.match(
        r"v?[0-9]+\.[0-9]+\.[0-9]+|/|[A-Za-z]:\\|https?:|[0-9]{4}-[0-9]{2}-[0-9]{2}|sha\d+[:-]", value
    ):
        return False
    return bool(re.search(r"[0-9]", value) or re.search(r"[a-z][A-Z]", value))


def _turns(value: str) -> int:
    """How often digits, small and capital letters follow one another."""
    kinds = [0 if char.isdigit() else 1 if char.islower() else 2 for char in value]
    return sum(a != b for a, b in pairwise(kinds))


_KEY_WORD = Keyword(keywords.API_KEY)
_KEY = re.compile(
    rf"(?P<suffix>[\w.-]{{0,16}}?)(?:{EQUALS}|{IS})(?:Bearer\s)?(?:{_QUOTED}|{_BARE})",
    re.IGNORECASE,
)
_NOT_SUFFIX = re.compile(
    r".*(?:type|size|len|length|count|ttl|expir\w*|version|id|url|uri|path|file|name|limit|alg|algo|layout|bits|format|method|endpoint|public)",
    re.I,
)


def _api_key(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    start, end, value, quoted = _value(match)
    del quoted
    if value.startswith(BLANK):
        return
    if match["suffix"] and _NOT_SUFFIX.fullmatch(match["suffix"]):
        return
    if (
        text[max(0, head.start() - 7) : head.start()]
        .lower()
        .endswith(
            (
                "public_",
                "public-",
                "public ",
                "pub_",
                "sort_",
                "cache_",
                "sort",
                "cache",
                "primary",
                "foreign",
                "partition",
                "public",
            )
        )
    ):
        return
    if (
        PLACEHOLDER.fullmatch(value)
        or not random_looking(value)
        or (CODE.match(value) and not _drawn_part(value))
    ):
        return
    run = re.match(r"[A-Za-z0-9_+/=.~:%-]+", value)
    if run and len(run[0]) >= 12 and len(run[0]) < len(value) and random_looking(run[0]):
        end = start + run.end()
    yield finding(start, end, "API_TOKEN", "key-word", 0.8)


def _drawn_part(value: str) -> bool:
    """Whether what looks like a member of a program's object is a drawn value behind a dot."""
    part = value.rpartition(".")[2]
    return len(part) >= 14 and (drawn(part) or mixed(part))


_SCHEME = Keyword(
    r"(?<![A-Za-z0-9])(?:bearer|basic|token|digest|negotiate|apikey|ssws|geniekey|splunk)(?=[ \t:=])"
)
_SCHEME_VALUE = re.compile(
    r"[ \t:=]{1,3}(?:auth(?:entication|orization)?[ \t:=]{1,3})?[\"']?(?P<value>[A-Za-z0-9_+/=.~:-]{8,4000})"
)
_HEADER = Keyword(r"authorization")
_HEADER_VALUE = re.compile(
    r"[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?:(?P<scheme>[A-Za-z0-9-]{2,20})[ \t]{1,2})?(?P<value>[A-Za-z0-9_+/=.~:-]{6,4000})"
)


def _scheme(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    header = "authorization" in text[max(0, head.start() - 24) : head.start()].lower()
    yield from _auth(head[0].lower(), match, header)


def _header(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    yield from _auth((match["scheme"] or "").lower(), match, True)


def _auth(scheme: str, match: re.Match[str], header: bool) -> Iterator[Finding]:
    value, start = match["value"].rstrip(".:,"), match.start("value")
    if scheme == "basic":
        if _basic(value) or (header and len(value) >= 8):
            yield finding(start, start + len(value), "BASIC_AUTH", "basic", 0.9)
    elif scheme in ("bearer", "ssws") or header:
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


_COMMAND = re.compile(
    r"(?:sshpass[ ]+-p[ ]?|(?<![\w-])(?:mysql|mysqldump|mysqladmin|mariadb)[ ][^\n|;]{0,80}?-p(?=[^\s-])|"
    r"(?<![\w-])(?:curl|wget|http|https)[ ][^\n|;]{0,120}?(?:-u|--user|--proxy-user)[ =]?[\"']?(?=[^\s:@\"']{1,64}:)|"
    r"(?<![\w-])(?:htpasswd[ ]+-\w*b\w*[ ]+\S+[ ]+\S+[ ]+|(?:docker|podman|helm|oc|az|nerdctl|skopeo|crane|buildah)[ ][^\n]{0,100}?[ ]-p[ ]+|sqlcmd[ ][^\n]{0,100}?[ ]-P[ ]*|net[ ]+use[ ][^\n]{0,80}?[ ]/user:\S+[ ]+|7z[ ][^\n]{0,60}?-p|identified[ ]+by[ ]+(?:password[ ]+)?(?=['\"])|requirepass[ ]+|chpasswd[^\n]{0,10}?<<<[ ]*[\"']?\w+:|unzip[ ]+-P[ ]+|openssl[ ][^\n]{0,120}?pass:))"
    r"(?P<value>\"[^\"\n]{1,100}\"|'[^'\n]{1,100}'|[^\s\"'|;]{3,100})",
    re.IGNORECASE,
)


def _command(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["value"].strip("\"'")
    start = match.start("value") + match["value"].index(value)
    if value and not value.startswith(("$", "%")):
        yield finding(start, start + len(value), "PASSWORD", "command", 0.85)


_SASL = re.compile(
    r"(?<![A-Za-z])AUTH(?:ENTICATE)?[ ](?:PLAIN|LOGIN|XOAUTH2|OAUTHBEARER|CRAM-MD5)[ ]+(?P<value>[A-Za-z0-9+/]{8,4000}={0,2})",
    re.IGNORECASE,
)


def _sasl(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The initial response of SMTP, IMAP or POP3 (RFC 4954, RFC 4959)."""
    yield finding(match.start("value"), match.end("value"), "BASIC_AUTH", "sasl", 0.9)


_KEY_NEAR = re.compile(
    r"(?:[ ](?:de|di|do|da|of|for|d['’][^\s\d]{2,12}|доступа|acceso|acesso|access|[^\W\d]{2,12}key)){0,2}[ \t]{1,2}[\"'(]?(?P<value>[A-Za-z0-9_+/=-]{20,400})(?![\w.@-])",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _key_near(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """A long drawn value right behind a word for a key, with nothing between."""
    value = match["value"]
    if head[0].startswith(("_", "-")) or _UUID.fullmatch(value) or not re.search(r"[0-9].*[0-9]", value):
        return
    if random_looking(value) and (_turns(value) * 4 >= len(value)):
        yield finding(match.start("value"), match.end("value"), "API_TOKEN", "key-near", 0.7)


_PIPED = re.compile(
    r"echo[ ]+(?:-n[ ]+)?(?P<value>\"[^\"\n]{1,100}\"|'[^'\n]{1,100}'|[^\s\"'|;]{3,100})[ ]*\|[ ]*sudo[ ]+-S"
)
_STORED = re.compile(r"\"auth\"\s{0,2}:\s{0,2}\"(?P<value>[A-Za-z0-9+/]{8,400}={0,2})\"")


def _stored(match: re.Match[str], text: str) -> Iterator[Finding]:
    if _basic(match["value"]):
        yield finding(match.start("value"), match.end("value"), "BASIC_AUTH", "stored-auth", 0.9)


_CRYPT = re.compile(
    r"(?<![A-Za-z0-9$])\$(?:2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{53}|(?:[156]|7|y|gy)\$[^\s:$\"']{1,40}\$(?:[^\s:$\"']{1,40}\$)?[./A-Za-z0-9]{20,100}"
    r"|(?:argon2(?:id|i|d)|scrypt|pbkdf2[a-z0-9-]{0,10})\$[^\s\"':]{20,240})"
)


def _crypt(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start(), match.end(), "PASSWORD", "crypt", 0.9)


RULES = (
    Rule("password", keywords.triggers(keywords.PASSWORD_WORDS), keyword_searches(_PASSWORD_WORD, (_PASSWORD, _password), (_ABOUT_WORDS, _password_about), (_NEAR, _near),
                                                                                  (_BRACKETS, _in_brackets), (_ASKED, _asked)), back=30, ahead=20),
    Rule("as-password", keywords.triggers(keywords.PASSWORD_WORDS), _as_search, back=130, ahead=20),
    Rule("login-pair", keywords.triggers(_LOGIN_WORDS), keyword_search(_LOGIN_WORD, _LOGIN_PAIR, _login_pair), back=30, ahead=20),
    Rule("mail-pair", (rb"@[a-z0-9.-]{1,60}[:;|][^ \n]",), pattern_search(_MAIL_PAIR, _mail_pair), back=3, ahead=66),
    Rule("wifi", (rb"WIFI:[A-Z]:",), pattern_search(_WIFI, _wifi), back=10, ahead=260),
    Rule("piped", (rb"sudo +-S",), pattern_search(_PIPED, _command), back=130, ahead=4),
    Rule("stored-auth", (rb"\"auth\"\s{0,2}:\s{0,2}\"",), pattern_search(_STORED, _stored), back=12, ahead=400),
    Rule("crypt", (rb"\$(?:2[abxy]?|1|5|6|7|y|gy|argon2[id]{1,2}|scrypt|pbkdf2[a-z0-9-]{0,10})\$",), pattern_search(_CRYPT, _crypt), back=24, ahead=260),
    Rule("command", (rb"sshpass", rb" -p[\"']?[^ -]", rb"[a-z] [^\n]{0,2}-p [^ -]", rb" -u[ =]?[\"']?[a-z0-9]", rb"-user[ =][\"']?[a-z0-9]", rb"htpasswd -", rb"net +use ", rb"unzip +-P", rb"pass:", rb"identified +by", rb"requirepass ", rb"chpasswd"), pattern_search(_COMMAND, _command), back=150, ahead=120),
    Rule("key-word", keywords.triggers(keywords.API_KEY_WORDS), keyword_searches(_KEY_WORD, (_KEY, _api_key), (_KEY_NEAR, _key_near)), back=30, ahead=20),
    Rule("sasl", (rb"auth plain ", rb"auth login ", rb"auth xoauth2 ", rb"authenticate [a-z]", rb"auth cram", rb"auth oauth"), pattern_search(_SASL, _sasl), back=24, ahead=40),
    Rule("auth", (rb"(?:bearer|basic|token|digest|negotiate|apikey|ssws|geniekey|splunk)[ \t:=]",), keyword_search(_SCHEME, _SCHEME_VALUE, _scheme), back=24, ahead=4),
    Rule("auth-header", (rb"authorization",), keyword_search(_HEADER, _HEADER_VALUE, _header), back=16, ahead=2),
)  # fmt: skip
