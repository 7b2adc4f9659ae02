# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""IP and hardware addresses.

Four numbers with dots are an address or a version; the nearest word on the line decides, then the
shape. Loopback, unspecified, netmask, multicast and broadcast addresses and the large public resolvers
say nothing about a person and stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, before, finding, pattern_search

__all__ = ["RULES"]

_V4 = re.compile(
    r"(?:(?<![0-9A-Za-z.])|(?<![0-9A-Za-z][Ii][Pp])(?<=[Ii][Pp]))(?P<ip>(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}"
    r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9]))(?P<port>(?:/[0-9]{1,2}|:[0-9]{1,5})\b)?"
    r"(?![0-9])(?!\.[0-9])(?!-(?:rc|beta|alpha|dev|pre|git|snapshot|build))(?!\+[a-z])(?!(?:rc|b|beta|alpha)[0-9])",
    re.IGNORECASE,
)
_PUBLIC = frozenset(
    [
        "1.1.1.1",
        "1.0.0.1",
        "8.8.8.8",
        "8.8.4.4",
        "9.9.9.9",
        "149.112.112.112",
        "208.67.222.222",
        "208.67.220.220",
    ]
)
_NETWORKS = frozenset(
    {
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "192.88.99.0/24",
        "198.18.0.0/15",
    }
)
_VERSION_WORD = (
    r"\w*versi\w*|ver|appver|vers\w*|v|верси\w*|release\w*|releas\w*|релиз\w*|update\w*|upgrade\w*|aktualisier\w*|обновл\w*|"
    r"actualiza\w*|mise à jour|aggiorna\w*|build|bld|сборк\w*|обнови\w*|compilaci\w*|actuali\w*|rev|revision|ревизи\w*|section|sections|chapter|kapitel|abschnitt|пункт\w*|раздел\w*|глав\w*|сек|sección|apartado|capítulo|figure|clause|§|wersja|aktualizac\w*|mis à jour|verze|versão|versione|firmware|fw|прошивк\w*|driver|treiber|"
    r"драйвер\w*|controlador|installed|installiert|installier\w*|установлен\w*|instalad\w*|instalé|升级到|升級到|升级|更新到|更新|版本|固件|驱动|安装了|安装|"
    r"assemblyversion|fileversion|productversion|patch|hotfix|バージョン|버전|sürüm|wersj\w*|version"
)
_PROGRAM_WORD = (
    r"sdk|app|assembly|package|paquete|paket|пакет\w*|dll|lib|library|plugin|module|chrome|chromium|edge|firefox|opera|safari|webview\w*|electron|gecko|windows|"
    r"macos|android|ios|kernel|openssl|java|jdk|jre|python|node|qt|bios|uefi"
)
"""What has versions, and talks to addresses: tells a version only right before it."""
_ADDRESS_WORD = (
    r"ip|ipv4|ips|ip-?adress\w*|address\w*|addr|адрес\w*|adresse|dirección|direccion|dirección ip|地址|连接|連接|от|"
    r"host\w*|хост\w*|server|сервер\w*|servidor|服务器|client\w*|клиент\w*|cliente|kunde|客户端|peer|remote|src|dst|source|dest\w*|"
    r"from|von|desde|с адреса|从|從|来自|gateway|router|роутер\w*|шлюз\w*|dns|nameserver|ping|ssh|rdp|vpn|proxy|прокси|"
    r"connect\w*|connection\w*|verbind\w*|подключ\w*|conect\w*|login|logged|guard|relay|bridge|node ip|nat|subnet|"
    r"route|via|inet|listen\w*|bind|x-forwarded-for|x-real-ip|remote_addr|clientip|ban\w*|block\w*|rhost|dial|tcp|udp|"
    r"traceroute|whois|origin|endpoint|upstream|reverse|lookup|request\w*"
)
_VERSION = re.compile(_VERSION_WORD, re.IGNORECASE)
_PROGRAM = re.compile(
    rf"(?<![^\W\d_])(?:{_PROGRAM_WORD})[\s:=(\"'@_-]{{0,4}}(?:(?:is|ist|es|at|on|auf|на|with|mit)[ ])?\Z",
    re.IGNORECASE,
)
_ADDRESS = re.compile(_ADDRESS_WORD, re.IGNORECASE)
_TOKEN = re.compile(r"[^\W\d_]+")
_CJK = (("升级", True), ("升級", True), ("更新", True), ("版本", True), ("固件", True), ("安装", True), ("地址", False), ("连接", False), ("連接", False),
        ("服务器", False), ("来自", False), ("從", False), ("从", False))  # fmt: skip


def _v4(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["ip"]
    first, *_, last = map(int, value.split("."))
    if (
        first in (0, 127)
        or 224 <= first <= 239  # multicast
        or value in _PUBLIC
        or (first == 255 and last in (0, 128, 192, 224, 240, 248, 252, 254, 255))
    ):
        return
    if value + (match["port"] or "") in _NETWORKS:
        return
    if not match["port"] and _is_version(match, text):
        return
    yield finding(match.start("ip"), match.end("ip"), "IPV4", "ipv4", 0.95)


def _is_version(match: re.Match[str], text: str) -> bool:
    start = match.start()
    head = before(text, start, 48)
    if head.endswith("-") and re.search(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}-\Z", head):
        return False
    if head.endswith(("/", "-", "v", "V", ".", ".so")) and _GLUED.search(head[-5:]):
        return True
    numbers = [int(number) for number in match["ip"].split(".")]
    if head.endswith("_") and numbers[0] < 100:
        return True
    if (
        text.startswith("-", match.end())
        and re.match(r"-[0-9]", text[match.end() : match.end() + 2])
        and numbers[0] < 100
        and not _RANGE.match(text, match.end())
    ):
        return True
    if text.startswith(".", match.end()) and re.match(
        r"\.(?:tar|zip|tgz|exe|msi|dmg|deb|rpm|apk|jar|so|dll|pkg|whl|gz|xz|img|bin|iso)\b",
        text[match.end() : match.end() + 6],
    ):
        return True
    if head[-1:].isspace() and _CHANGED.search(head):
        return True
    said = _said(head)
    if said is not None:
        return said
    if max(numbers) < 32 and numbers[0] != 10:
        return True  # one address in four thousand looks so, and nearly every version
    return _AFTER.match(text, match.end(), match.end() + 24) is not None


_DOMAIN = re.compile(r"(?<![\w.-])(?:[\w-]+\.){2,}[a-z]{2,6}(?=[\s(\[]|\Z)")
"""The name of a machine: "rev" in it is no revision."""

_GLUED = re.compile(r"[A-Za-z]/\Z|(?<![A-Za-z])[vV]\.?\Z|[A-Za-z0-9]-\Z|\.so\.?\Z")
_RANGE = re.compile(r"-(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])")
_AFTER = re.compile(
    r"\s*\(?(?:build|сборк\w*|release|版本|版|beta|бета|alpha|альфа|rc\b|stable|latest|lts|nightly|preview|x64|x86|amd64|arm64|64-bit|32-bit|"
    r"neueste|aktuell|последн\w*|última|最新)",
    re.IGNORECASE,
)
_CHANGED = re.compile(
    r"(?:updat|upgrad|downgrad|aktualisier|wechsel|обнов|actuali[zc]|migrat|rollback|rolled back|откат)\w*\s+(?:\w+\s+)?"
    r"(?:from|von|с|со|desde|de|depuis|da)\s+(?:v\.?\s?)?(?:[0-9][0-9a-z.+-]*\s+(?:to|auf|nach|до|на|a|à|vers)\s+)?\Z",
    re.IGNORECASE,
)


def _said(head: str) -> bool | None:
    """Whether the nearest telling word speaks of a version (True) or of an address (False)."""
    if not head.isascii():
        nearest = max(((head.rfind(word), version) for word, version in _CJK), default=(-1, False))
        if nearest[0] >= 0:
            return nearest[1]
    if _PROGRAM.search(head):
        return True
    if "." in head:
        head = _DOMAIN.sub(" ", head)
    for word in reversed(_TOKEN.findall(head)):
        if word in "vV" and not head.rstrip(" \t:=(\"'").endswith(word):
            continue  # of "-v2c" or "-v": says nothing of what comes later
        if _VERSION.fullmatch(word):
            return True
        if _ADDRESS.fullmatch(word):
            return False
    return None


_V6 = re.compile(
    r"(?:(?<![0-9A-Za-z_:.])|(?<=_)(?!::)|(?<=[^0-9a-f:.]:)|(?<=[g-z][0-9a-f]:)|(?<=[g-z][0-9a-f]{2}:)|(?<=v6:))(?P<ip>(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){6}(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
    r"|(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?"
    r"(?:(?<=:)(?:[0-9]{1,3}\.){3}[0-9]{1,3}|:(?:[0-9]{1,3}\.){3}[0-9]{1,3})?)(?:%[0-9a-z]{1,15})?(?![0-9A-Za-z]|:(?!\s|\Z)|\.[0-9])",
    re.IGNORECASE,
)


def _v6(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["ip"].rstrip(".")
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return
    groups = [group for group in value.split(":") if group]
    if len(groups) < 3 and not (groups and any(char.isdigit() for char in value) and len(groups[0]) >= 3):
        return
    if len(groups) == 1 and value.endswith("::"):
        return
    if address.ipv4_mapped and address.ipv4_mapped.is_loopback:
        return
    yield finding(match.start("ip"), match.end(), "IPV6", "ipv6", 0.95)


_MAC = re.compile(
    r"(?<![0-9A-Za-z.-])(?<![^0-9A-Za-z][0-9a-f]{2}:)(?:(?P<sep>[0-9a-f]{2}(?P<s>[:-])(?:[0-9a-f]{2}(?P=s)){4}[0-9a-f]{2})"
    r"|(?P<dot>[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}))(?![0-9A-Za-z]|[:-][0-9a-f]{2}|\.[0-9a-f])",
    re.IGNORECASE,
)
_BARE_MAC = re.compile(
    r"(?:\b(?:mac|bssid|hwaddr|bluetooth|bt|wlan|wi-?fi|ethernet|ether|MAC-\w+)\b[^\n0-9]{0,24}?)(?P<mac>[0-9a-f]{12})(?![0-9a-z])",
    re.IGNORECASE,
)


_QUAD = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_CAPTURED = re.compile(
    rf"(?<![0-9.])(?P<a>(?:{_QUAD}\.){{3}}{_QUAD})(?:\.[0-9a-z-]{{1,16}})? [<>] (?P<b>(?:{_QUAD}\.){{3}}{_QUAD})(?=[.: ,\r\n]|\Z)"
)
_REVERSE = re.compile(
    rf"(?<![0-9A-Za-z.])(?:[a-z]{{1,16}}-?)?(?P<ip>{_QUAD}-{_QUAD}-{_QUAD}-{_QUAD})(?=[.-](?:[\w-]{{1,60}}\.){{1,5}}[a-z]{{2,12}}(?![\w-]))",
    re.IGNORECASE,
)


_HEX_NAME = re.compile(
    r"(?<![0-9A-Za-z.-])[a-z]{0,3}(?P<hex>[0-9a-f]{8})(?=\.(?:dip|dyn|pool|dsl|cust|cable|ppp)[\w-]{0,12}\.[\w.-]{2,60})",
    re.IGNORECASE,
)


def _hex_name(match: re.Match[str], text: str) -> Iterator[Finding]:
    """An address in hexadecimal digits, as some providers name their customers' lines."""
    yield finding(match.start(), match.end(), "IPV4", "reverse-name", 0.8)


def _captured(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Both ends as packet captures print them, a port behind a fifth dot."""
    for name in ("a", "b"):
        if not ipaddress.IPv4Address(match[name]).is_loopback:
            yield finding(match.start(name), match.end(name), "IPV4", "captured", 0.9)


def _reverse(match: re.Match[str], text: str) -> Iterator[Finding]:
    """An address inside the name a provider gives it."""
    if max(map(int, match["ip"].split("-"))) >= 32 and not match["ip"].startswith("127"):
        yield finding(match.start("ip"), match.end("ip"), "IPV4", "reverse-name", 0.8)


_FRAME = re.compile(
    r"MAC=(?P<both>(?:[0-9a-f]{2}:){11}[0-9a-f]{2})(?=(?::[0-9a-f]{2}){2}(?![0-9a-f:]))", re.IGNORECASE
)


def _frame(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Both addresses of a frame as netfilter logs them, before the two octets of its type."""
    yield finding(match.start("both"), match.end("both"), "MAC", "mac-frame")


def _mac(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = re.sub(r"[^0-9a-f]", "", match[0].lower())
    if len(set(value)) == 1 or (match["dot"] and value.isdigit()):
        return
    yield finding(match.start(), match.end(), "MAC", "mac")


def _bare_mac(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start("mac"), match.end("mac"), "MAC", "mac-bare", 0.8)


RULES = (
    Rule("ipv4", (rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",), pattern_search(_V4, _v4), back=20, ahead=24, exact=True),
    Rule(
        "ipv6",
        (rb"[0-9a-f]::", rb"::[0-9a-f]", rb":[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]"),
        pattern_search(_V6, _v6),
        back=50,
        ahead=64, exact=True,
    ),
    Rule(
        "mac",
        (rb"[0-9a-f][0-9a-f][:-][0-9a-f][0-9a-f][:-][0-9a-f][0-9a-f][:-][0-9a-f][0-9a-f][:-]",
         rb"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}"),
        pattern_search(_MAC, _mac),
        back=24,
        ahead=24, exact=True,
    ),
    Rule("captured", (rb"[0-9] [<>] [0-9]{1,3}\.[0-9]",), pattern_search(_CAPTURED, _captured), back=50, ahead=40),
    Rule("reverse-name", (rb"[0-9]-[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}[.-][a-z0-9]",), pattern_search(_REVERSE, _reverse), back=36, ahead=90),
    Rule("hex-name", (rb"[0-9a-f]{8}\.(?:dip|dyn|pool|dsl|cust|cable|ppp)",), pattern_search(_HEX_NAME, _hex_name), back=24, ahead=80),
    Rule("mac-frame", (rb"mac=[0-9a-f]{2}:",), pattern_search(_FRAME, _frame), back=10, ahead=50),
    Rule("mac-bare", (rb"mac", rb"bssid", rb"hwaddr"), pattern_search(_BARE_MAC, _bare_mac), back=8, ahead=50),
)  # fmt: skip
