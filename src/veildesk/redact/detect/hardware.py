# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""What tells one machine or network from all others: serial numbers, ids of devices, names of networks and their keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.detect.secret import PLACEHOLDER
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search, pattern_search

__all__ = ["RULES"]

_SERIAL_WORDS = (
    "serial number", "serialnumber", "serial no", "serial nr", "serial", "serialno", "s/n", "sn", "seriennummer", "seriennr", "serien-nr", "número de serie", "numero de serie", "numéro de série", "número de série", "numero di serie", "serienummer", "numer seryjny", "seri numarası", "seri no",
    "серийный номер", "серийник", "серійний номер", "序列号", "序列號", "シリアル番号", "シリアルナンバー", "일련번호", "الرقم التسلسلي", "service tag", "asset tag", "system uuid", "hardware uuid", "ioplatformuuid", "ioplatformserialnumber", "provisioning udid", "chip id", "ecid",
)  # fmt: skip
_SERIAL = Keyword(
    rf"(?<![^\W\d_\u2e80-\uffdc])(?:{keywords.pattern(_SERIAL_WORDS)})(?:(?<=[\u2e80-\uffdc])|(?![^\W\d_\u2e80-\uffdc]))"
)
_SERIAL_VALUE = re.compile(
    r"(?:[ ]?\((?:system|tray|board)\))?[\"'\])]{0,2}[ \t.]{0,24}(?:[:=：#]|(?<=[ \t])(?:is|ist|es|est|è|é|это|lautet)[ ]|[是は은는])?[ \t]{0,24}[\"'<\[(]{0,2}"
    r"(?P<value>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|(?=[A-Za-z0-9-]{0,39}[0-9])[A-Za-z0-9][A-Za-z0-9-]{4,39})(?![A-Za-z0-9:]|[.,-][A-Za-z0-9])",
    re.IGNORECASE,
)
_CERTIFICATE = re.compile(
    r"cert|issuer|x\.?509|zone|\bsoa\b|\bca\b|revoked|crl|console|port|tty|dns|key", re.IGNORECASE
)


def _serial(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """A serial number; those of certificates and zones belong to no person."""
    value = match["value"]
    explicit = re.search(r"[:=：#]", match[0][: -len(value)]) is not None
    if _CERTIFICATE.search(before(text, head.start(), 40)) or re.fullmatch(
        r"(?:19|20)[0-9]{8}|[0-9]{1,5}|0x\w+|v?[0-9]+(?:-[0-9]+)*", value
    ):
        return
    letters = re.search(r"[A-Za-z]", value) is not None
    if re.search(r"issuer", text[match.end() : match.end() + 80], re.IGNORECASE):
        return
    plain = "number" not in head[0].lower() and len(re.sub(r"[^0-9]", "", value)) < 3
    if (
        letters
        and not plain
        and (value.isupper() or explicit)
        and not re.fullmatch(r"[a-z]+-?[0-9]{1,2}|number[0-9]?", value)
    ):
        yield finding(match.start("value"), match.end("value"), "IMEI", "serial", 0.7)
    elif not letters and explicit and len(value) >= 8 and "number" in head[0].lower():
        yield finding(match.start("value"), match.end("value"), "IMEI", "serial", 0.6)


_SYNC = re.compile(r"(?<![A-Z0-9-])[A-Z2-7]{7}(?:-[A-Z2-7]{7}){7}(?![A-Z0-9-])")
_DUID = re.compile(
    r"(?<![0-9A-Za-z:-])(?:00-0[1-4]-|00:0[1-4]:)(?:[0-9A-F]{2}[-:]){8,16}[0-9A-F]{2}(?![0-9A-Za-z:-])",
    re.IGNORECASE,
)
_WWN = re.compile(
    r"(?:\bWWN(?: Device Id)?|\bwwid)[ \t]*[:=][ \t]*(?P<value>[0-9a-f](?:[ ]?[0-9a-f]){14,16}|(?:eui|naa|nvme)\.[0-9a-f-]{16,60})(?![0-9a-z])",
    re.IGNORECASE,
)
_ADB = re.compile(
    r"List of devices attached[^\n]*(?P<rows>(?:\r?\n[A-Za-z0-9.:_-]{6,40}[ \t]+(?:device|unauthorized|offline|recovery|sideload)\b[^\n]*){1,8})"
)


def _sync(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The id of a device in Syncthing: eight groups of seven characters of base32."""
    if re.search(r"[2-7]", match[0]):
        yield finding(match.start(), match.end(), "IMEI", "syncthing", 0.95)


def _whole(match: re.Match[str], text: str) -> Iterator[Finding]:
    group = "value" if "value" in match.re.groupindex else 0
    yield finding(match.start(group), match.end(group), "IMEI", "device-id", 0.85)


def _adb(match: re.Match[str], text: str) -> Iterator[Finding]:
    for row in re.finditer(r"(?<=\n)(?P<value>[A-Za-z0-9.:_-]{6,40})(?=[ \t])", match["rows"]):
        if not row["value"].startswith("emulator-"):
            at = match.start("rows")
            yield finding(at + row.start("value"), at + row.end("value"), "IMEI", "serial", 0.8)


_KEY_CONTENT = re.compile(
    r"(?:\b(?:key content|contenu de la cl[ée]|contenido de la clave|contenuto chiave|conte[úu]do da chave|zawartość klucza|sleutelinhoud|anahtar içeriği)|Schlüsselinhalt|Содержимое ключа|关键内容|主要なコンテンツ|키 콘텐츠)[ \t.]{0,24}[:：][ \t]{0,4}(?P<value>[^\r\n\ue000]{4,64}?)[ \t]*(?=\r|\n|\Z)",
    re.IGNORECASE,
)
_SSID = re.compile(
    r"(?:\b(?:e?ssid|network[ _]name|netzwerkname|wlan[ -]name|wi-?fi[ -]name|имя сети|nombre de (?:la )?red|nom du réseau)[\"']?[ \t]{0,3}[:=：][ \t]{0,3}|\bwlan show profiles? (?:name=)?|\bconnect(?:ed|ing)? to (?:wi-?fi |wlan |ssid |network )?(?=[\"“'][^\"”'\n]{2,32}[\"”'][ \t]{1,3}(?:bssid|\(?ssid|freq|wlan)))"
    r"(?:\"(?P<q1>[^\"\n\ue000]{2,32})\"|'(?P<q2>[^'\n\ue000]{2,32})'|“(?P<q3>[^”\n\ue000]{2,32})”|(?P<bare>[^\s\"'“,;:\ue000][^\r\n\"',;\ue000]{1,31}?)(?=[ \t]*(?:[,;]|\r?\n|\Z)))",
    re.IGNORECASE,
)


def _key_content(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The key of a network as Windows shows it on request."""
    if not PLACEHOLDER.fullmatch(match["value"]):
        yield finding(match.start("value"), match.end("value"), "PASSWORD", "key-content", 0.9)


_PUBLIC_NETS = re.compile(
    r"(?:eduroam|freifunk.*|telekom(?:_fon)?|wifionice|vodafone hotspot|off/any|any|none|<.*|\*+|unknown.*|hidden|null|\"\"|0|1|true|false|2\.4.*|5 ?g.*|name|and|is|was)",
    re.IGNORECASE,
)


def _ssid(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The name of somebody's network, by which it is found on maps."""
    name = next(group for group in ("q1", "q2", "q3", "bare") if match[group] is not None)
    if not _PUBLIC_NETS.fullmatch(match[name].strip()):
        yield finding(match.start(name), match.end(name), "HOSTNAME", "ssid", 0.7)


_DEVICE = re.compile(
    r"(?:\bdevice[ _-]?name|gerätename|nom de l['’]appareil|nombre del dispositivo|имя устройства|устройство|设备名称)[\"']?[ \t]{0,8}[:=：][ \t]{0,4}[\"']?(?P<value>[^\W\d_]{2,20}[ ][^\W\d_]{2,20})[\"']?(?=[ \t]*(?:\r?\n|\Z|[,;}]))",
    re.IGNORECASE,
)


def _device(match: re.Match[str], text: str) -> Iterator[Finding]:
    """Two words by which a service names a device of a customer."""
    yield finding(match.start("value"), match.end("value"), "HOSTNAME", "device-name", 0.7)


_SHORT = ("sn", "s/n", "serial")
RULES = (
    Rule("serial", (*keywords.triggers([word for word in _SERIAL_WORDS if word not in _SHORT and "serial" not in word]), rb"serial", rb"[^a-z]s/?n[ :#=]"), keyword_search(_SERIAL, _SERIAL_VALUE, _serial), back=34, ahead=24),
    Rule("serial", (rb"devices attached",), pattern_search(_ADB, _adb), back=30, ahead=500),
    Rule("syncthing", (rb"-[A-Z2-7]{7}-[A-Z2-7]{7}-",), pattern_search(_SYNC, _sync), back=66, ahead=66, cased=True),
    Rule("device-id", (rb"00-0[1-4]-[0-9a-f]{2}-", rb"00:0[1-4]:[0-9a-f]{2}:",), pattern_search(_DUID, _whole), back=20, ahead=60),
    Rule("device-id", (rb"wwn", rb"wwid"), pattern_search(_WWN, _whole), back=8, ahead=90),
    Rule("key-content", (rb"key content", rb"contenu de la cl", rb"contenido de la clave", rb"contenuto chiave", "schlüsselinhalt".encode(), "SCHLÜSSELINHALT".encode(), "одержимое ключа".encode(), "关键内容".encode(), rb"sleutelinhoud"),
         pattern_search(_KEY_CONTENT, _key_content), back=30, ahead=110),
    Rule("ssid", (rb"ssid", rb"network[ _]name", rb"netzwerkname", rb"wlan[ -]name", rb"wi-?fi[ -]name", rb"wlan show profile", rb"connect to ", rb"connected to ", rb"connecting to ", "имя сети".encode(), rb"nombre de (?:la )?red", "nom du réseau".encode()),
         pattern_search(_SSID, _ssid), back=60, ahead=80),
    Rule("device-name", (rb"device[ _-]?name", "gerätename".encode(), "стройств".encode(), rb"dispositivo", rb"appareil", "设备名称".encode()), pattern_search(_DEVICE, _device), back=34, ahead=70),
)  # fmt: skip
