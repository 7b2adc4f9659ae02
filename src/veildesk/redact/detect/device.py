# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""IMEI numbers (3GPP TS 23.003 § 6.2, Luhn) and places: decimal degrees, degrees-minutes-seconds, geo URIs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum import luhn

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search, pattern_search

__all__ = ["RULES"]

_IMEI = re.compile(r"(?<![0-9A-Za-z.+-])[0-9](?:[ /-]?[0-9]){13,15}(?![0-9A-Za-z])(?![.-][0-9])")
_IMEI_CUE = Keyword(
    r"imei|meid|imsi|iccid|#06#|esn\b|device|gerät|устройств|dispositivo|设备|手机|телефон|phone|serial|серийн"
)


def _imei(match: re.Match[str], text: str) -> Iterator[Finding]:
    digits = re.sub(r"\D", "", match[0])
    head = before(text, match.start(), 40)
    cued = _IMEI_CUE.search(head) is not None
    if re.search(r"imei|meid|imsi|#06#", head, re.IGNORECASE) and len(digits) in (14, 15, 16):
        yield finding(match.start(), match.end(), "IMEI", "imei-word", 0.9)
    elif (
        len(digits) == 15
        and luhn.is_valid(digits)
        and (cued or (digits[:2] in ("35", "86", "01", "99") and digits[2:].strip("0")))
    ):
        yield finding(match.start(), match.end(), "IMEI", "luhn", 0.8)


_LAT = r"[-+]?(?:90(?:\.0+)?|[0-8]?[0-9]\.[0-9]{3,})"
_LON = r"[-+]?(?:180(?:\.0+)?|(?:1[0-7][0-9]|[0-9]{1,2})\.[0-9]{3,})"
_PAIR = re.compile(
    rf"(?<![0-9A-Za-z.])(?P<lat>{_LAT})°?(?P<sep>(?:[ \t]?|=?\r?\n(?:> ?)*)[,;/|][ \t]{{0,2}}(?:=?\r?\n(?:> ?)*[ ]?)?|[ \t]|%2C)(?P<lon>{_LON})(?![0-9A-Za-z]|\.[0-9])"
)
_PLACE_CUE = Keyword(
    r"gps|geo|location|coord|координат|lat|lon|position|позици|точк|местополож|ubicaci|posici|standort|koordinat|位置|坐标|定位|fix|place|@|ll=|q=|maps|场所|where|map"
)


_GRAPHICS = re.compile(
    r"(?:scale|translate|rotate|matrix|skew|rgba?|hsla?|vec[234]|point|size|offset|bounds|frame|loss|acc|bbox|uv)[a-z0-9]{0,6}[ ]?[=:({\[]{1,2}[ ]?\Z",
    re.IGNORECASE,
)


def _pair(match: re.Match[str], text: str) -> Iterator[Finding]:
    if _GRAPHICS.search(text[max(0, match.start() - 24) : match.start()]):
        return
    digits = min(len(match[name].partition(".")[2]) for name in ("lat", "lon"))
    if _PLACE_CUE.search(before(text, match.start(), 40)):
        yield finding(match.start(), match.end(), "GPS", "pair", 0.9)
    elif (
        digits >= 5
        and match["sep"].strip()
        and not _LISTED.search(text[max(0, match.start() - 8) : match.start()])
    ):
        small = all(abs(float(match[name])) < 1 for name in ("lat", "lon"))
        more = re.match(r"[ ]?([,;])[ ]?[-+]?[0-9]", text[match.end() : match.end() + 4])
        if not small and not (more and more[1] in match["sep"]):
            yield finding(match.start(), match.end(), "GPS", "pair", 0.7)


_GPS_WORD = Keyword(
    r"(?:gps|geo|coord(?:s|inates?)?|location|position|koordinaten?|standort|coordenadas?|ubicación|posición|координаты|местоположение|坐标|座標|位置)[\"']?[ \t]{0,2}[:=：]?[ \t]{0,2}[\"'(\[]?(?=[-+]?[0-9])"
)
_GPS_BROKEN = re.compile(
    r"(?=[^\n]{0,40}\n|[0-9.,;+° -]{0,24}[0-9][ ][0-9])[-+]?[0-9]{1,3}(?:[0-9.,;/°+-]|[ ]{1,2}|=?\r?\n(?:> ?)*){8,40}[0-9](?![0-9A-Za-z])"
)
_GAP = re.compile(r"[ ]{1,2}|=?\r?\n(?:> ?)*")


def _broken(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """A pair after its word with one gap where none belongs."""
    value = match[0]
    for gap in _GAP.finditer(value):
        whole = value[: gap.start()] + value[gap.end() :]
        pair = _PAIR.match(whole)
        if pair is not None and pair.end() > gap.start() and gap.start() > 0:
            end = match.start() + pair.end() + len(gap[0])
            if all(len(pair[name].partition(".")[2]) >= 4 for name in ("lat", "lon")):
                yield finding(match.start(), end, "GPS", "pair-broken", 0.8)
                return


_LISTED = re.compile(r"[0-9][ ]?[,;][ ]?\Z")
_NAMED = re.compile(
    r"(?<![A-Za-z])(?:gps[_ -]?)?(?:lat(?:itude)?|lon(?:g(?:itude)?)?|lng|breite(?:ngrad)?|länge(?:ngrad)?|широта|долгота|latitud|longitud|纬度|经度|緯度|經度)"
    r"[\"']?[ \t]{0,2}[=:：]?[ \t]{0,2}[\"']?(?P<value>[-+]?[0-9]{1,3}[.,][0-9]{2,}|[-+]?[0-9]{1,3}(?=[^0-9.,]))",
    re.IGNORECASE,
)


def _named(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["value"]
    whole = not re.search(r"[.,]", value)
    if whole and (
        not re.search(r"[=:：]", match[0]) or re.search(r"long[\"']?[ \t]*[=:]", match[0], re.IGNORECASE)
    ):
        return
    if abs(float(value.replace(",", "."))) <= 180:
        yield finding(match.start("value"), match.end("value"), "GPS", "named", 0.9)


_DEGREES = r"[0-9]{1,3}[ ]?(?:[°º˚]|deg|d)[ ]?(?:[0-9]{1,2}(?:[.,][0-9]+)?[ ]?(?:['′’m]|&#39;)[ ]?)?(?:[0-9]{1,2}(?:[.,][0-9]+)?[ ]?(?:[\"″”s]|''|′′|’’|&quot;)[ ]?)?"
_DECIMAL = r"[0-9]{1,3}[.,][0-9]{2,}[ ]?[°º˚]?[ ]?"
_SIDE = r"[NSEWOСЮЗВ]"
_SEXAGESIMAL = re.compile(
    rf"(?<![0-9A-Za-z.])(?:{_SIDE}[ ]?(?:{_DEGREES}|{_DECIMAL})[,;/]?[ ]?{_SIDE}[ ]?(?:{_DEGREES}|{_DECIMAL})(?<![ ])"
    rf"|(?:{_DEGREES}|{_DECIMAL}){_SIDE}\.?[ ]?[,;/]?[ ]?(?:{_DEGREES}|{_DECIMAL}){_SIDE}(?![A-Za-z])"
    rf"|[0-9]{{1,3}}[ ]?(?:[°º˚]|deg)[ ]?[0-9]{{1,2}}[ ]?['′’][ ]?[0-9]{{1,2}}(?:[.,][0-9]+)?[ ]?[\"″”][ ]?{_SIDE}(?![A-Za-z])"
    rf"|{_DEGREES}[,;/]?[ ]?{_DEGREES}(?<=[\"″”'′])|[-+]?[0-9]{{1,3}}\.[0-9]{{3,}}[ ]?[°º˚][ ]?[,;/]?[ ]?[-+]?[0-9]{{1,3}}\.[0-9]{{3,}}[ ]?[°º˚])"
)


def _sexagesimal(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start(), match.end(), "GPS", "degrees", 0.9)


_NMEA = re.compile(
    r"\$[A-Z]{2}(?:GGA|RMC|GLL|GNS),(?:[0-9.]{0,12},)?(?:[AV],)?(?P<place>[0-9]{3,5}(?:\.[0-9]+)?,[NS],[0-9]{4,6}(?:\.[0-9]+)?,[EW])"
)


def _nmea(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start("place"), match.end("place"), "GPS", "nmea", 0.95)


_CHIP = re.compile(
    r"(?<![0-9A-Za-z.+-])(?:89[0-9]{15,18}|89(?:[ ]?[0-9]){16,18})F?(?![0-9A-Za-z])(?![.-][0-9])"
)
_EID = re.compile(r"(?<![0-9A-Za-z])89[0-9]{30}(?![0-9A-Za-z])")


def _chip(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The number of a SIM card (ITU-T E.118, Luhn)."""
    digits = re.sub(r"\D", "", match[0])
    if re.search(r"iccid|\bsim", before(text, match.start(), 40), re.IGNORECASE) or (
        len(digits) in (19, 20) and luhn.is_valid(digits) and digits[2:].strip("0")
    ):
        yield finding(match.start(), match.end(), "IMEI", "iccid", 0.85)


def _eid(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The number of an eSIM (GSMA SGP.29): the whole leaves one modulo 97."""
    if int(match[0]) % 97 == 1:
        yield finding(match.start(), match.end(), "IMEI", "eid", 0.9)


_ID_WORD = Keyword(
    r"android[_ -]?id|idf[av]|gaid|aaid|adid|advertising[_ -]?id(?:entifier)?|udid|machine[_-]?id|hwid|\beid\b"
)
_ID_VALUE = re.compile(
    r"[\"']?[ \t]{0,3}(?:[:=：]|is|->)?[ \t]{0,3}[\"']?(?P<value>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-F]{8}-[0-9A-F]{16}|[0-9a-fA-F]{16,64}|89[0-9]{30})(?![0-9A-Za-z])"
)


def _device_id(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    if len(set(match["value"])) > 4:
        yield finding(match.start("value"), match.end("value"), "IMEI", "device-id", 0.85)


_PLUS = re.compile(
    r"(?<![0-9A-Za-z+])(?=[2-9]{0,7}[CFGHJMPQRVWX])(?=[CFGHJMPQRVWX]{0,7}[2-9])[23456789CFGHJMPQRVWX]{8}\+[23456789CFGHJMPQRVWX]{2,3}(?![0-9A-Za-z])"
)


def _plus(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A place in an area of some metres (Open Location Code)."""
    yield finding(match.start(), match.end(), "GPS", "plus-code", 0.85)


RULES = (
    Rule("iccid", (rb"[^0-9a-z]89[0-9 ]{17}", rb"iccid"), pattern_search(_CHIP, _chip), back=24, ahead=40),
    Rule("eid", (rb"[^0-9a-z]89[0-9 ]{17}", rb"iccid"), pattern_search(_EID, _eid), back=24, ahead=40),
    Rule("device-id", (rb"android[_ -]?id", rb"idf[av]", rb"gaid", rb"aaid", rb"adid", rb"advertising[_ -]?id", rb"udid", rb"machine[_-]?id", rb"hwid", rb"eid[ :=]"), keyword_search(_ID_WORD, _ID_VALUE, _device_id), back=24, ahead=4),
    Rule("plus-code", (rb"[23456789CFGHJMPQRVWX]{8}\+[23456789CFGHJMPQRVWX]{2}",), pattern_search(_PLUS, _plus), back=16, ahead=4, cased=True),
    Rule("imei", (rb"[^0-9a-z][0-9]{14}", rb"[0-9]{2}[ /-][0-9]{6}[ /-][0-9]{6}[ /-][0-9]", rb"[0-9]{6}[ /-][0-9]{2}[ /-][0-9]{6}[ /-][0-9]", rb"imei", rb"#06#"),
         pattern_search(_IMEI, _imei), back=24, ahead=44, exact=True),
    Rule("gps-pair", (rb"[0-9]\.[0-9]{3,20}[ \t]?[,;/| ][=\s>]{0,5}[-+]?[0-9]{1,3}\.[0-9]{3}", rb"[0-9]\.[0-9]{3,20}%2c[-+]?[0-9]{1,3}\.[0-9]{3}"),
         pattern_search(_PAIR, _pair), back=40, ahead=24, exact=True),
    Rule("gps-broken", (rb"(?:gps|geo|coord|coords|coordinates?|location|position|koordinaten?|standort|coordenadas?)[\"']?[ \t]{0,2}[:=]?[ \t]{0,2}[\"'(\[]?[-+]?[0-9]{1,3}[.\n=\r]",
                        *keywords.triggers(("ubicación", "posición", "координаты", "местоположение", "坐标", "座標", "位置"))),
         keyword_search(_GPS_WORD, _GPS_BROKEN, _broken), back=30, ahead=20),
    Rule("gps-named", (rb"lat(?:itude?)?[\"']?[ \t]{0,2}[=: ]", rb"lon(?:g|gitude?)?[\"']?[ \t]{0,2}[=: ]", rb"lng[\"']?[ \t]{0,2}[=:]",
                       "(?:широта|Широта|долгота|Долгота|纬度|经度|緯度|經度)".encode(), "(?:breite|l(?:ä|Ä)nge)".encode()),
         pattern_search(_NAMED, _named), back=20, ahead=50),
    Rule("gps-nmea", (rb"\$[a-z]{2}(?:gga|rmc|gll|gns),",), pattern_search(_NMEA, _nmea), back=12, ahead=70),
    Rule("gps-degrees", ("[0-9][ ]?(?:°|º|˚|deg[^a-z])".encode(), rb"[NSEW][ ]?[0-9]{1,3}\.[0-9]{3,8}[ ,;/]{0,3}[NSEW]", rb"[0-9]\.[0-9]{3,8}[ ]?[NSEW][ ,;/]"),
         pattern_search(_SEXAGESIMAL, _sexagesimal), back=34, ahead=50),
)  # fmt: skip
