"""Telephone numbers (ITU-T E.164 and national forms).

With a leading plus the numbering plan decides (phonenumbers). Without one, a word that announces a
number or a shape that only telephone numbers have is needed, because support texts are full of digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, before, finding, pattern_search

__all__ = ["RULES"]

_GAP = r"(?:[ \t./–-]{1,3}|[ ]?\([ ]?|\)[ ]?|\)[-/ ]{1,2}|[ ]?\(0\)[ ]?)"
_PLUS = re.compile(
    rf"(?<![0-9A-Za-z_+])(?:\+|00(?=[1-9]))[ ]?\(?[1-9](?:{_GAP}?[0-9]){{6,14}}(?:[ ]?(?:ext\.?|x|доб\.?|Durchwahl|-)[ ]?[0-9]{{1,6}})?(?![0-9A-Za-z])(?!\.[0-9])"
)
_NATIONAL = re.compile(
    rf"(?<![0-9A-Za-z_+./-])(?<![0-9][:=])\(?[0-9](?:{_GAP}?[0-9]){{5,14}}(?![0-9A-Za-z_%])(?![.,:/-][0-9])"
)
_CUE = re.compile(
    r"(?:phone|tel(?:e(?:fono|phone|fon|foon))?|tel\.|tlf|teléfono|telefono|móvil|movil|celular|cell|mobile|mobil|handy|rufnummer|nummer|telefonnummer|rückruf|anruf\w*|ruf\w*|"
    r"call(?: me)?|dial|sms|text me|whats\s?app|signal|viber|telegram|fax|телефон\w*|тел|моб\w*|сот\w*|звон\w*|позвон\w*|перезвон\w*|номер(?: телефона)?|ватсап|вотсап|"
    r"llám\w*|llam\w*|contacto|número|电话|電話|手机|手機|号码|號碼|联系方式|致电|拨打|回电|téléphone|portable|appel\w*|numéro|telefone|celular|ligue|cellulare|chiama\w*|telefon\w*|"
    r"komórk\w*|zadzwoń|携帯|전화|핸드폰|연락처|телефон|msisdn|phone_?number|contact|erreich\w*|unter|hotline)"
    r"[^\n0-9+]{0,24}\Z",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"(?:order|ticket|case|id|pid|uid|port|ports|порт\w*|puertos?|端口|version|build|code|error|errno|bytes|size|block|height|line|zip|plz|postcode|индекс|epoch|timestamp|"
    r"amount|sum|total|balance|сумм\w*|betrag|importe|金额|imei|iban|card|karte|tarjeta|карт\w*|卡|serial|isbn|issue|bug|rfc|cve|kb|paid|invoice|rechnung)"
    r"[\"']?[ \t]*(?:number|no\.?|nr\.?|номер|n[úu]mero|№|is|:|=|#)*[ \t#№\"']*\Z",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"\(\d{3}\)[ ]?\d{3}[-. ]\d{4}|\d{3}[-.]\d{3}[-.]\d{4}|1[-. ]\d{3}[-. ]\d{3}[-. ]\d{4}|8[ (-]{1,2}9?\d{2,3}[) -]{1,2}\d{3}[ -]?\d{2}[ -]?\d{2}|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5}|"
    r"0[1-9](?:[ .]\d{2}){4}|\(0\d{2,5}\)[ ]?\d{3,8}(?:[ -]\d{2,4})?|0(?:15[0-9]|16[0-9]|17[0-9])\d?[ /-]\d{7,8}|[67]\d{2}[ ]\d{2}[ ]\d{2}[ ]\d{2}|[679]\d{2}[ ]\d{3}[ ]\d{3}|07\d{3}[ ]\d{3}[ ]?\d{3}"
)
_REGIONS = (
    "US",
    "RU",
    "DE",
    "ES",
    "CN",
    "GB",
    "FR",
    "IT",
    "BR",
    "UA",
    "PL",
    "IN",
    "JP",
    "TR",
    "MX",
    "AT",
    "CH",
    "NL",
)


def _plus(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match[0]
    digits = re.sub(r"\D", "", value)
    if not 7 <= len(digits) <= 17:
        return
    cued = _CUE.search(before(text, match.start(), 40)) is not None
    number = "+" + digits.lstrip("0") if value.startswith("00") else value
    try:
        parsed = phonenumbers.parse(number.replace("(0)", ""), None)
    except phonenumbers.NumberParseException:
        parsed = None
    known = parsed is not None and phonenumbers.is_possible_number(parsed)
    if value.startswith("00") and not (cued or known and re.search(r"[ ()-]", value)):
        return
    if known or cued or 10 <= len(digits) <= 13:
        yield finding(match.start(), match.end(), "PHONE", "e164", 0.9 if known else 0.7)


def _national(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match[0]
    digits = re.sub(r"\D", "", value)
    head = before(text, match.start(), 40)
    if not 6 <= len(digits) <= 15 or value.count("(") != value.count(")") and "(" in value[1:]:
        return
    if re.fullmatch(
        r"(?:19|20)\d\d[-./](?:0?[1-9]|1[0-2])[-./](?:0?[1-9]|[12]\d|3[01])|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}.*",
        value,
    ) or _NOT.search(head):
        return
    if re.match(
        r"[ ]?(?:bytes?|байт\w*|b\b|kb|mb|gb|ms|sec\w*|euro?|usd|€|\$|btc|eth|usdt|ghz|mhz|px|%|字节)",
        text[match.end() : match.end() + 8],
        re.IGNORECASE,
    ):
        return
    if _CUE.search(head):
        yield finding(match.start(), match.end(), "PHONE", "phone-word", 0.8)
    elif _SHAPES.fullmatch(value) or (re.fullmatch(r"1[3-9]\d{9}", value) and _valid(value, ("CN",))):
        if _valid(digits, _REGIONS):
            yield finding(match.start(), match.end(), "PHONE", "phone-shape", 0.7)


def _valid(digits: str, regions: tuple[str, ...]) -> bool:
    for region in regions:
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(digits, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


RULES = (
    Rule(
        "e164",
        (rb"\+[ ]?\(?[1-9][0-9 ().-]", rb"[^0-9]00[1-9][0-9 ().-]{5}"),
        pattern_search(_PLUS, _plus),
        back=6,
        ahead=50,
    ),
    Rule(
        "national",
        (
            rb"[0-9][0-9 ().-]{1,4}[0-9][0-9 ().-]{1,4}[0-9]{2}[ .-]?[0-9]{2}",
            rb"[^0-9][0-9]{6,11}[^0-9]",
            rb"\([0-9]{3,5}\) ?[0-9]{3}",
        ),
        pattern_search(_NATIONAL, _national),
        back=32,
        ahead=40,
    ),
)
