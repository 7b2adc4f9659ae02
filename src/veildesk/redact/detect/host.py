# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Names of machines and onion services.

Names under private or local suffixes, names that systems give by themselves, names after words that
announce one, and addresses of onion services (Tor rend-spec v3 § 6: 56 characters, and the old 16).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, finding, keyword_search, pattern_search

__all__ = ["RULES"]

_ONION = re.compile(
    r"(?<![A-Za-z0-9-])(?P<sub>(?:[a-z0-9-]{1,63}\.){0,4})(?:[a-z2-7]{56}|[a-z2-7]{16})\.onion(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_ONION_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z2-7]{56}:)?(?:descriptor:)?x25519:[A-Z2-7]{52}(?![A-Za-z0-9])", re.IGNORECASE
)


def _onion(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start(), match.end(), "ONION", "onion")


def _onion_key(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start(), match.end(), "PRIVKEY", "onion-key", 0.9)


_SUFFIX = (
    r"local|lan|internal|intranet|corp|home|localdomain|home\.arpa|private|priv|fritz\.box|speedport\.ip|box|workgroup|domain|ads|intra|localnet|"
    r"homenet|(?:corp|office|ad|int|prod|dc|lan)\.[a-z0-9-]{2,30}\.(?:com|net|org|local|de|ru|io)|ts\.net|beta\.tailscale\.net|dyndns\.org|duckdns\.org|"
    r"ddns\.net|no-ip\.org|myfritz\.net|synology\.me"
)
_W, _WD = r"[0-9A-Za-z_\u00c0-\u04ff]", r"[0-9A-Za-z_\u00c0-\u04ff-]"
_PRIVATE = re.compile(
    rf"(?:(?<=//)|(?<=@)|(?<![0-9A-Za-z_.@/\\-]))(?P<name>{_W}(?:{_WD}{{0,61}}{_W})?(?:\.{_W}(?:{_WD}{{0,61}}{_W})?){{0,5}}?\.(?:{_SUFFIX}))(?![0-9A-Za-z_-]|\.[0-9A-Za-z])",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"(?:com|org|net|io|java|javax|sun|android|kotlin|std|self|this|thread|env|config|settings|process|window|module|app|types?|node|docker)\b",
    re.IGNORECASE,
)
_KEPT = frozenset(
    {
        "host.docker.internal",
        "gateway.docker.internal",
        "metadata.google.internal",
        "localhost.localdomain",
        "kubernetes.docker.internal",
    }
)


def _private(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["name"].lower()
    if (
        value in _KEPT
        or value.endswith("svc.cluster.local")
        or (value.count(".") == 1 and _CODE.fullmatch(value.split(".")[0]))
    ):
        return
    if (
        _CODE.match(value)
        and value.count(".") >= 2
        and value.split(".")[0]
        in (
            "com",
            "org",
            "net",
            "io",
            "java",
            "javax",
            "sun",
            "android",
            "kotlin",
            "self",
            "this",
            "std",
            "thread",
            "window",
            "process",
            "module",
        )
    ):
        return
    if text[match.end() : match.end() + 1] == "(" or value.startswith("_"):
        return
    yield finding(match.start("name"), match.end("name"), "HOSTNAME", "private-suffix", 0.9)


_GIVEN = re.compile(
    r"(?<![0-9A-Za-z_.-])(?P<name>(?:DESKTOP|LAPTOP|WIN|PC|WORKSTATION|TABLET|NOTEBOOK|WS|SRV|SERVER|HOST|VM|MININT)-(?=[A-Z0-9-]*[0-9A-Z])[A-Z0-9][A-Z0-9-]{2,14}"
    r"|[0-9A-Za-z_\u00c0-\u04ff-]{1,40}(?:s|-von-\w{1,20}|-de-\w{1,20})?-?(?:MacBook(?:-Pro|-Air)?|iMac(?:-Pro)?|Mac-mini|Mac-Pro|iPhone|iPad|ThinkPad|Laptop|PC|NAS|Desktop)(?:-(?:von|de|di|van|od|of)-[\w-]{1,30}|-[0-9]{1,3})?"
    r"|ip-[0-9]{1,3}(?:-[0-9]{1,3}){3}(?:\.[\w.-]{1,60}[\w])?|(?:MacBook(?:-Pro|-Air)?|iMac|iPhone|iPad)-(?:von|de|di|van|od|of)-[\w-]{1,30})(?![0-9A-Za-z_])"
)


def _given(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["name"]
    if not re.search(r"-", value) or re.fullmatch(
        r"(?:x86|amd64|arm64|win32|non|multi|all|old|new|my|the|your|a)-?\w*", value, re.IGNORECASE
    ):
        return
    if value.isupper() and not re.search(r"[0-9]", value) and not re.match(r"(?:DESKTOP|LAPTOP)-", value):
        return
    if re.match(r"(?:PC|WS|VM|HOST|SERVER|SRV|WIN)-", value) and not re.search(r"[0-9]", value[3:]):
        return
    if text[match.end() : match.end() + 1] in ("(",) or re.match(
        r"\d+(?:,\d+)?", text[match.end() : match.end() + 2]
    ):
        return
    yield finding(match.start("name"), match.end("name"), "HOSTNAME", "given-name", 0.8)


_HOST_WORD = Keyword(
    r"(?<![A-Za-z_])(?:host[\"']?[ \t]{0,2}:[ \t]{0,2}\{[ \t]{0,2}[\"'](?:host)?name|host[_.-]?name|machine[_ -]?name|computer[_ -]?name|node_?name|netbios[_ -]?name|rechnername|computername|hostnamen|имя (?:компьютера|хоста|узла)|"
    r"имя пк|nombre del (?:equipo|host|servidor)|nombre de equipo|主机名|计算机名|電腦名稱|nom d'hôte|nome host|(?:laptop|computer|pc|desktop|notebook|machine|server|mac|macbook|nas|router|phone)(?:'s)? name|host|COMPUTERNAME|USERDOMAIN|server_name|workstation[_ -]?name|device[_ -]?name|gerätename|имя устройства|nombre del dispositivo|设备名称)"
)
_HOST_VALUE = re.compile(
    r"[\"']?[ \t]{0,3}(?:[:=：]|is|ist|es|это|是|为)[ \t]{0,3}[\"']?(?P<name>[\w](?:[\w.-]{0,80}[\w])?)",
    re.IGNORECASE,
)
_NOT_HOST = re.compile(
    r"localhost.*|[0-9.]+|.*\..*|[0-9a-f:]+|true|false|null|none|undefined|unknown|default|required|name|header|not|key|port|windows|linux|freebsd|openbsd|netbsd|macos|android|ubuntu|debian|fedora|\w+\.(?:com|org|net|io|dev|js|py)|"
    r"(?:[\w-]+\.)+(?:com|org|net|io|dev|app|ru|de|es|cn|co|uk|fr|it|eu|info)|ok|up|down|unreachable|offline|online|missing|invalid|empty|hidden|blocked|[a-z]{1,3}",
    re.IGNORECASE,
)


def _cued(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    said = not re.search(r"[:=：]", match[0]) and not re.search(r"[0-9A-ZА-Я._-]", match["name"])
    if not said and not _NOT_HOST.fullmatch(match["name"]):
        yield finding(match.start("name"), match.end("name"), "HOSTNAME", "host-word", 0.7)


_LEVELS = (
    "trace|debug|info|notice|warn(?:ing)?|error|err|fatal|critical|crit|alert|emerg|localhost|kernel|[vdiwef]"
)
_SYSLOG = re.compile(
    r"(?:> ?)*(?:<[0-9]{1,3}>1? ?)?(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}[0-9]{1,2} [0-9:]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}(?:Z|[+-][0-9:]{4,6})) "
    rf"(?!(?i:{_LEVELS}) )(?P<name>[A-Za-z][\w.-]{{1,62}}) (?=[\w./@()-]{{1,48}}(?:\[[0-9]{{1,8}}\])?: )"
)
_NEXT_SYSLOG = re.compile(rf"\n{_SYSLOG.pattern}")


def _syslog(text: str, start: int, end: int) -> Iterator[Finding]:
    """The machine's name in each line that begins as those of a system log do."""
    begin = text.rfind("\n", 0, start)
    lines = _NEXT_SYSLOG.finditer(text, begin, end) if begin >= 0 else _NEXT_SYSLOG.finditer(text, 0, end)
    first = _SYSLOG.match(text) if begin < 0 else None
    for match in (first, *lines) if first else lines:
        yield finding(match.start("name"), match.end("name"), "HOSTNAME", "syslog", 0.7)


_UNAME = re.compile(
    r"(?<![A-Za-z])(?:Linux|Darwin|FreeBSD|OpenBSD|NetBSD|SunOS|CYGWIN_NT-[0-9.]+|MINGW64_NT-[0-9.-]+) (?P<name>[A-Za-z0-9][\w.-]{0,62}) (?=v?[0-9]+\.[0-9]+)"
)
_SHARE = re.compile(
    r"(?<![\w:\\/.)\]{}])(?P<slash>\\{2}|\\{4})(?P<name>[A-Za-z0-9][\w.-]{1,62})(?=\\{1,2}[\w$.-])|(?<![A-Za-z])smb://(?:[^\s/@]{1,80}@)?(?P<smb>[A-Za-z0-9][\w.-]{1,62})",
    re.IGNORECASE,
)
_NO_SHARE = re.compile(
    r"localhost|wsl|wsl\.localhost|device|registry|systemroot|dosdevices|basenamedobjects|global|windows|users|program|programdata|appdata|server|host|share|harddisk\w*|"
    r"[0-9.]+|[a-z]{1,2}|pipe|temp|tmp|src|bin|lib|home|system32|drivers|\w+\.(?:dll|exe|sys|ps1|bat)",
    re.IGNORECASE,
)


def _share(match: re.Match[str], text: str) -> Iterator[Finding]:
    group = "smb" if match["smb"] else "name"
    name = match[group]
    if not _NO_SHARE.fullmatch(name) and (match["smb"] or re.search(r"[0-9._-]", name) or name.isupper()):
        yield finding(match.start(group), match.end(group), "HOSTNAME", "share", 0.7)


_SYSTEMS = re.compile(
    r"(?:version|kernel|commit|man-pages|mint|lite|debian|ubuntu|fedora|arch|suse|server|desktop|release|localhost|on|x86_64)",
    re.IGNORECASE,
)


def _uname(match: re.Match[str], text: str) -> Iterator[Finding]:
    if not _SYSTEMS.fullmatch(match["name"]):
        yield finding(match.start("name"), match.end("name"), "HOSTNAME", "uname", 0.7)


_PROMPT = re.compile(
    r"(?<![\w.-])(?P<user>[a-z_][a-z0-9_.-]{0,31})@(?P<host>[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]{1,62}){0,4})(?=:[~/]|[ ][~/]|[ ]?[$%#](?:[ ]|\Z))",
    re.IGNORECASE,
)


def _prompt(match: re.Match[str], text: str) -> Iterator[Finding]:
    if match["user"].lower() not in ("git", "hg") and match["host"].lower() != "localhost":
        yield finding(match.start(), match.end(), "HOSTNAME", "prompt", 0.8)


_SUFFIX_TRIGGER = rb"[a-z0-9_-]\.(?:local|lan|internal|intranet|corp|home|localdomain|private|priv|fritz\.box|speedport\.ip|box|workgroup|domain|ads|intra|localnet|homenet|ts\.net|beta\.tailscale|dyndns|duckdns|ddns|no-ip|myfritz|synology|office\.|ad\.|int\.|prod\.|dc\.)"
RULES = (
    Rule("onion", (rb"[a-z2-7]{16}\.onion",), pattern_search(_ONION, _onion), back=330, ahead=4, exact=True),
    Rule("onion-key", (rb"x25519:[a-z2-7]{52}",), pattern_search(_ONION_KEY, _onion_key), back=140, ahead=4),
    Rule("private-suffix", (_SUFFIX_TRIGGER,), pattern_search(_PRIVATE, _private), back=260, ahead=60),
    Rule("given-name", (rb"(?:DESKTOP|LAPTOP|WIN|PC|WORKSTATION|TABLET|NOTEBOOK|WS|SRV|SERVER|HOST|VM|MININT)-[A-Z0-9]", rb"[a-z0-9]-(?:MacBook|iMac|Mac-mini|Mac-Pro|iPhone|iPad|ThinkPad|Laptop|PC|NAS|Desktop)", rb"(?:Book|Pro|Air|iMac|iPhone|iPad)-(?:von|de|di|van|od|of)-",
                        rb"[^a-z0-9]ip-[0-9]{1,3}-[0-9]{1,3}-"), pattern_search(_GIVEN, _given), back=70, ahead=90, cased=True),
    Rule("host-word", (*(word + rb"[\"']?[ \t]{0,3}" + sign for word in (rb"host", rb"name", rb"hostnamen", rb"userdomain") for sign in (rb"[:=]", rb"is\x20", rb"ist\x20", rb"es\x20")),
                       *keywords.triggers(("主机名：", "имя устройства", "设备名称", "gerätename", "имя компьютера", "имя хоста", "имя узла", "имя пк", "主机名", "计算机名", "電腦名稱")), rb"nombre del? [a-z]{4,8}"), keyword_search(_HOST_WORD, _HOST_VALUE, _cued), back=30, ahead=16),
    Rule("uname", (rb"Linux [a-z0-9]", rb"Darwin [a-z0-9]", rb"BSD [a-z0-9]", rb"SunOS [a-z0-9]", rb"_NT-[0-9]"), pattern_search(_UNAME, _uname), back=30, ahead=100),
    Rule("syslog", (rb"\n[a-z]{3} {1,2}[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2} [a-z]", rb"[0-9]T[0-9:]{8}[0-9.]{0,7}(?:Z|[+-][0-9:]{4,6}) [a-z]"), _syslog, back=60, ahead=130),
    Rule("share", (rb"[^a-z0-9_:/.\\)\]}](?:\\\\|\\\\\\\\)[a-z0-9][a-z0-9_.-]{1,62}\\", rb"smb://[a-z0-9]"), pattern_search(_SHARE, _share), back=140, ahead=70),
    Rule("prompt", (rb"[a-z0-9_-]@[a-z0-9.-]{1,90}:[~/]", rb"[a-z0-9_-]@[a-z0-9.-]{1,90} ?[~/$%#]"), pattern_search(_PROMPT, _prompt), back=140, ahead=8),
)  # fmt: skip
