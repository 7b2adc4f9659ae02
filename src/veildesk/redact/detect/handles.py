# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Names by which people are found in messengers: Telegram, Threema, Signal, Discord, WeChat and the like.

A channel, group or bot that the writer calls the team's own stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search, pattern_search

__all__ = ["RULES"]

_MESSENGERS = (
    "telegram", "telegramm", "tg", "telega", "телеграм", "телеграмм", "телеграмме", "телеграме", "телега", "телеге", "телегу", "тг", "тлг", "تلگرام", "تيليجرام", "تلغرام", "تليجرام", "电报", "飞机", "テレグラム", "텔레그램", "टेलीग्राम",
    "сигнал", "discord", "дискорд", "threema", "twitter", "instagram", "insta", "инста", "mastodon", "keybase", "snapchat", "skype", "скайп", "viber", "icq", "wickr", "nickname", "ник", "нік", "никнейм", "username", "dm me", "pm me", "ping me", "bluesky", "tiktok", "line id",
)  # fmt: skip
_MESSENGER = Keyword(
    rf"(?<![^\W\d_\u2e80-\uffdc])(?<![$@])(?:{keywords.pattern(_MESSENGERS)})(?![^\W\d_\u2e80-\uffdc])"
)
_AMBIGUOUS = Keyword(
    r"(?<![^\W\d_])(?<![$@])(?:signal|session|wire|element|matrix|handle|nick|nickname|name)(?![^\W\d_])"
)
"""Words with another meaning: only right before the name."""

_AT = re.compile(r"(?<![\w.@/+-])@(?P<name>[A-Za-z][A-Za-z0-9_.]{3,31})(?![\w@]|[.-][A-Za-z]|/|\()")
_THEIRS = re.compile(
    r"(?:your|our|official|ваш\w*|наш\w*|официальн\w*|euer\w*|eure\w*|ihr\w{0,2}|offiziell\w*|vuestr[oa]|tu|su|oficial\w*|votre|officiel\w*|vostr[oa]|seu|vosso|wasz\w*|jullie|resmi)"
    r"(?:[ ](?:public|new|own|telegram|tg|news|support|main))?(?:[ ](?:telegram|tg))?[ -](?:channel|group|chat|bot|kanal|gruppe|канал\w*|групп\w*|чат\w*|бот\w*|canal|grupo|chaîne|groupe|gruppo|canale|kana[lł]\w*|account|profile)",
    re.IGNORECASE,
)
_DECORATORS = frozenset(
    [
        "media",
        "import",
        "charset",
        "font-face",
        "keyframes",
        "supports",
        "param",
        "return",
        "returns",
        "override",
        "property",
        "deprecated",
        "throws",
        "see",
        "since",
        "author",
        "todo",
        "types",
        "everyone",
        "here",
        "channel",
        "all",
        "domain",
        "username",
        "handle",
        "name",
        "user",
        "example",
        "localhost",
        "host",
        "server",
        "pids",
        "args",
        "array",
        "list",
        "hash",
        "home",
    ]
)


def _at(match: re.Match[str], text: str) -> Iterator[Finding]:
    """ "@name" beside a word for a messenger."""
    head = before(text, match.start(), 60)
    tail = text[match.end() : match.end() + 24].partition("\n")[0]
    if match["name"].lower() in _DECORATORS or _THEIRS.search(head):
        return
    if _MESSENGER.search(head) or _MESSENGER.search(tail) or _AMBIGUOUS.search(head[-14:]):
        name = match["name"].rstrip(".")
        yield finding(match.start(), match.start("name") + len(name), "NAME", "handle", 0.7)


_LINK = re.compile(
    r"(?<![\w.-])(?:(?:t|telegram)\.(?:me|dog)/(?!(?:s|c|joinchat|proxy|socks|share|addstickers|addtheme|iv|bg|setlanguage|login|contact)(?:[/?]|\b))"
    r"|tg://resolve\?domain=|(?:matrix\.to/#/|keybase\.io/|threema\.id/|instagram\.com/|facebook\.com/|vk\.com/|wa\.me/|(?:twitter|x)\.com/|m\.me/)(?=@?[\w.:-]{3,60}(?:[\s?/,.;)\"'>]|\Z)))"
    r"(?P<name>@?[A-Za-z0-9_][\w.-]{2,63}(?::[\w.-]{3,60})?)",
    re.IGNORECASE,
)
_PAGES = frozenset(
    [
        "home",
        "login",
        "share",
        "sharer",
        "intent",
        "pages",
        "groups",
        "events",
        "help",
        "about",
        "explore",
        "i",
        "hashtag",
        "search",
        "settings",
        "watch",
        "marketplace",
        "profile.php",
        "p",
        "reel",
        "stories",
        "feed",
        "docs",
        "blog",
        "team",
        "download",
    ]
)


def _link(match: re.Match[str], text: str) -> Iterator[Finding]:
    name = match["name"].rstrip(".-:")
    if name.lower() in _PAGES or len(name) < 3 or _THEIRS.search(before(text, match.start(), 60)):
        return
    if (
        "t.me/" not in match[0].lower()
        and "telegram." not in match[0].lower()
        and not re.search(
            r"\b(?:my|me|mein\w*|mi|mon|ma|meu|minha|мой|моя|мне|меня|мо[её]|mio|mia|mijn|mój|benim|profile|profil|contact|reach|write|message|dm|find)\b|我|私|제",
            before(text, match.start(), 60),
            re.IGNORECASE,
        )
        and not re.search(r"threema|wa\.me|tg://|matrix", match[0], re.IGNORECASE)
    ):
        return
    yield finding(match.start("name"), match.start("name") + len(name), "NAME", "handle-link", 0.7)


_THREEMA = re.compile(
    r"(?i:threema)(?P<between>[^\nA-Z0-9*]{0,8}(?:(?i:work|safe)[ ]?)?(?:(?i:-?id|kennung|идентификатор|айди|号|アイディー)\w{0,3})?[^\nA-Z0-9*]{0,24}?)(?<![A-Za-z0-9*])(?P<id>[A-Z0-9*][A-Z0-9]{7})(?![A-Za-z0-9-])"
)


def _threema(match: re.Match[str], text: str) -> Iterator[Finding]:
    named = re.search(r"id\b|[:=：]|kennung|is |ist |lautet |est |es |—|-", match["between"], re.IGNORECASE)
    if named or re.search(r"[0-9]", match["id"]):
        yield finding(match.start("id"), match.end("id"), "NAME", "threema-id", 0.8)


_TAGS = Keyword(r"(?<![^\W\d_])(?:discord|дискорд|signal|сигнал|battle\.?net|battletag|steam)(?![^\W\d_])")
_TAG = re.compile(
    r"(?:[ ](?:name|user|username|tag|id|handle|nick|is|:|ist|lautet|как|account|ник)){0,4}[ \t:=：\"'(-]{1,4}(?P<name>[A-Za-z][\w. -]{1,30}?#[0-9]{4}(?![0-9])|[A-Za-z_][A-Za-z0-9_]{2,31}\.[0-9]{2,9}(?![.\w]))",
    re.IGNORECASE,
)


def _tag(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """Names with a number behind, as Discord had them and Signal has them."""
    if not re.match(
        r"(?:version|build|beta|desktop|android|ios|release|update)", match["name"], re.IGNORECASE
    ):
        yield finding(match.start("name"), match.end("name"), "NAME", "handle-tag", 0.7)


_CALLED = Keyword(
    r"(?<![^\W\d_$])(?:wechat|微信|weixin|qq|icq|skype|скайп|line id|kakao(?:talk)?|카톡|wickr(?: me)?|kik|snapchat|keybase|signal username|telegram|telegramm|телеграм|телеграмм|тг|tg)(?![^\W\d_\u2e80-\uffdc])|微信"
)
_IDENT = re.compile(
    r"(?:[ ]?(?:号|號|id|name|username|user|nick|handle|ник|айди|имя|ID)){0,2}(?P<gap>[ ]?[:：=][ ]?|[ ](?:is|ist|—|-|это|lautet)[ ]|[是为]|(?<=[号號])[ ]?)(?P<name>(?:live:)?[.A-Za-z][A-Za-z0-9_.-]{4,31}|[0-9]{5,12})(?![\w@:/])",
    re.IGNORECASE,
)


def _ident(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """What a messenger calls somebody, behind a colon or a verb."""
    name = match["name"].rstrip(".-")
    plain = (
        name.isalpha()
        and (name.islower() or name.istitle())
        and ":" not in match["gap"]
        and "=" not in match["gap"]
    )
    if (
        not plain
        and not _STATES.fullmatch(name)
        and not _THEIRS.search(before(text, head.start(), 30) + head[0])
    ):
        yield finding(match.start("name"), match.start("name") + len(name), "NAME", "handle-word", 0.6)


_STATES = re.compile(
    r"(?:active|inactive|expired?|invalid|closed|opened|started|broken|blocked|banned|desktop|android|version|error|failed|working|crash\w*|slow|down|offline|online|online\.|connected|"
    r"disconnected|unavailable|unreachable|available|null|none|false|true|undefined|missing|required|timeout|https?|update|message|messages)",
    re.IGNORECASE,
)

RULES = (
    Rule("handle", (*(mark + b"@" for mark in (b"\\ ", b"\\(", b":", b"\n", b'"', b"'", b">", b",", b"\\[", "：".encode(), "，".encode(), "（".encode())),), pattern_search(_AT, _at), back=8, ahead=34),
    Rule("handle-link", (rb"t\.me/", rb"telegram\.me/", rb"telegram\.dog/", rb"tg://resolve", rb"matrix\.to/", rb"keybase\.io/", rb"threema\.id/", rb"instagram\.com/", rb"facebook\.com/", rb"vk\.com/", rb"wa\.me/", rb"twitter\.com/", rb"x\.com/", rb"m\.me/"),
         pattern_search(_LINK, _link), back=30, ahead=130),
    Rule("threema-id", (rb"threema",), pattern_search(_THREEMA, _threema), back=8, ahead=80),
    Rule("handle-tag", keywords.triggers(("discord", "дискорд", "signal", "сигнал", "battle", "steam")), keyword_search(_TAGS, _TAG, _tag), back=24, ahead=4),
    Rule("handle-word", (*keywords.triggers(("wechat", "微信", "weixin", "skype", "скайп", "line id", "kakao", "카톡", "wickr", "snapchat", "keybase", "telegram", "телеграм")), rb"icq[ :=]", rb" kik[ :=]", rb" tg[ :=]", rb"\ntg[ :=]", rb"qq ?[:=]", "QQ号".encode(), "QQ：".encode(), "[тТ]г ".encode()),
         keyword_search(_CALLED, _IDENT, _ident), back=24, ahead=4),
)  # fmt: skip
