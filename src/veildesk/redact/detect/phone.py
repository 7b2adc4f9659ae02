# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Telephone numbers (ITU-T E.164 and national forms).

With a leading plus the numbering plan decides (phonenumbers). Without one, a word that announces a
number or a shape that only telephone numbers have is needed, because support texts are full of digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search, pattern_search

__all__ = ["RULES"]

_GAP = r"(?:[ ./–-]{1,3}|[ ]?\([ ]?|\)[ ]?|\)[-/ ]{1,2}|[ ]?\(0\)[ ]?)"
_PLUS = re.compile(
    rf"(?<![0-9A-Za-z+])(?:\+|00(?=[1-9]))[ ]?\(?[1-9](?:{_GAP}?[0-9]){{6,14}}(?:[ ]?(?:ext\.?|x|доб\.?|Durchwahl|-)[ ]?[0-9]{{1,6}})?(?![0-9A-Za-z])(?!\.[0-9])"
)
_NUMBER = re.compile(
    rf"(?P<gap>[^\n0-9+]{{0,32}}?)(?P<number>(?<![0-9A-Za-z_+/-])\(?[0-9](?:{_GAP}?[0-9]){{5,14}})(?![0-9A-Za-z_%])(?![.,:/-][0-9])",
)
_STRONG = (
    "phone", "telephone", "tel", "tlf", "teléfono", "telefono", "móvil", "movil", "celular", "mobile", "mobil", "handy", "mobiltelefon",
    "rufnummer", "telefonnummer", "handynummer", "rückruf", "whatsapp", "viber", "fax", "hotline", "msisdn", "phone_number", "phonenumber",
    "телефон", "тел", "мобильный", "сотовый", "ватсап", "вотсап", "телефону", "телефона", "номер телефона", "电话", "電話", "手机", "手機", "联系方式",
    "手机号", "téléphone", "portable", "telefone", "telemóvel", "cellulare", "telefon", "telefoon", "komórka", "携帯", "電話番号", "전화", "핸드폰", "연락처",
    "puhelin", "telefonszám", "τηλέφωνο", "טלפון", "هاتف", "هاتفي", "جوال", "جوالي", "موبايل", "موبایل", "تلفن", "شماره", "شماره‌ام", "شمارهام", "الهاتف", "واتساب", "мобільний", "телефону", "номер телефону", "cep", "cep telefonu", "telefonum", "gsm", "फ़ोन", "điện thoại", "โทร",
)  # fmt: skip
_WEAK = (
    "call", "dial", "sms", "text me", "signal", "telegram", "cell", "reach me", "ring me", "contact", "number", "nummer", "anrufen", "anruf", "ruf",
    "erreichbar", "erreichen", "unter", "llamar", "llámeme", "llame", "llamen", "contacto", "número", "numero", "звоните", "звонить", "позвоните", "перезвоните",
    "звонок", "номер", "号码", "號碼", "致电", "拨打", "回电", "联系", "appeler", "appelez", "numéro", "ligue", "ligar", "chiamare", "chiamami", "zadzwoń", "bel", "zavolejte",
)  # fmt: skip
_STRONG_WORD = Keyword(
    rf"(?<![^\W\d_\u2e80-\uffdc])(?:{keywords.pattern(_STRONG)})(?:\w{{0,3}}(?![^\W\d_])|(?<=[\u0e00-\uffdc]))"
)
_WEAK_WORD = Keyword(rf"(?<![^\W\d_])(?:{keywords.pattern(_WEAK)})(?:(?![^\W\d_])|(?<=[\u0e00-\uffdc]))")
_OTHER = re.compile(
    r"(?<![^\W\d_])(?:order|ticket|case|id|pid|uid|ports?|порт\w*|puertos?|version|build|code|error|errno|bytes|size|block|height|line|zip|plz|postcode|индекс|epoch|"
    r"timestamp|amount|sum|total|balance|сумм\w*|betrag|importe|imei|iban|card|karte|tarjeta|карт\w*|serial|isbn|issue|bug|rfc|cve|kb|paid|invoice|rechnung|"
    r"bestell\w*|auftrag\w*|vorgang\w*|fall|заказ\w*|тикет\w*|обращени\w*|заявк\w*|pedido|caso|factura|commande|account|konto|счёт\w*|счет\w*|cuenta|model|modell|"
    r"stack|function|method|trace|returned|received|event|status|exit|frame|attempts?|retries|times|process|thread|threads|rows?|row|zeile|page|sequence|seq)(?![^\W\d_])|端口|金额|卡|订单|单号|工单|版本|ORD|INC|#|№",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:19|20)\d\d[-./](?:0?[1-9]|1[0-2])[-./](?:0?[1-9]|[12]\d|3[01])|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?![./-]?\d).*"
)
_UNIT = re.compile(
    r"[ ]?(?:bytes?|байт\w*|b\b|kb|mb|gb|ms|sec\w*|euro?|usd|€|\$|btc|eth|usdt|ghz|mhz|px|%|字节|字節)",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"(?<![0-9A-Za-z_+./:-])(?:(?P<US>\(\d{3}\)[ ]?\d{3}[-. ]\d{4}|\d{3}-\d{3}-\d{4}|\d{3}\.\d{3}\.\d{4}|1[-. ]\d{3}[-. ]\d{3}[-. ]\d{4})"
    r"|(?P<RU>8[ (-]{1,2}\d{3}[) -]{1,2}\d{3}[ -]?\d{2}[ -]?\d{2})|(?P<FR>0[1-9](?:[ .]\d{2}){4})"
    r"|(?P<DE>01[567]\d{1,2}[ /-]\d{7,8}|\(0\d{2,5}\)[ ]?\d{3,8}(?:[ -]\d{2,4})?|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5})|(?P<GB>07\d{3}[ ]\d{3}[ ]?\d{3}|0\d{3}[ ]\d{3}[ ]\d{4})"
    r"|(?P<ES>[67]\d{2}(?:[ ]\d{2}){3}|(?<![0-9][ ])[679]\d{2}[ ]\d{3}[ ]\d{3}(?![ ]\d))|(?P<CN>1[3-9]\d{9}|1[3-9]\d[ -]\d{4}[ -]\d{4})|(?P<BR>\(\d{2}\)[ ]?9?\d{4}-\d{4}))"
    r"(?![0-9A-Za-z_%])(?![.,:/-][0-9])"
)
_NANP = re.compile(r"1?[2-9][0-9]{2}[2-9][0-9]{6}")
_REGIONS = {"DE": ("DE", "AT", "GB", "NL", "IT", "CH"), "ES": ("ES", "PL"), "RU": ("RU", "KZ")}


def _plus(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match[0]
    digits = re.sub(r"\D", "", value)
    if not 7 <= len(digits) <= 17:
        return
    number = "+" + digits.lstrip("0") if value.startswith("00") else value
    known = _possible(number.replace("(0)", ""))
    if value.startswith("00") and not (known and re.search(r"[ ()-]", value)):
        return
    if known or 10 <= len(digits) <= 13:
        yield finding(match.start(), match.end(), "PHONE", "e164", 0.9 if known else 0.7)


_HALVES = re.compile(
    r"(?<![0-9A-Za-z_+])(?P<left>\+[ ]?\(?[1-9](?:[0-9 ().-]{0,12}[0-9)])?)(?:[ ]?=?\r?\n(?:>[ \t]?)*)[ ]?(?P<right>\(?[0-9](?:[0-9 ().-]{0,14}[0-9])?)(?![0-9A-Za-z:.-])"
)


def _wrapped(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A number broken at a line end: the left half is none yet, both together are one."""
    whole = match["left"] + match["right"]
    short = len(match["right"]) <= 4 and text[match.end() : match.end() + 1] in (
        "",
        "\n",
        "\r",
        " ",
        ".",
        ",",
    )
    if (
        (short or not _possible(match["left"], valid=True))
        and _possible(whole, valid=short)
        and len(re.sub(r"\D", "", whole)) >= 10
    ):
        yield finding(match.start(), match.end(), "PHONE", "e164-wrapped", 0.9)


def _possible(number: str, *, valid: bool = False) -> bool:
    """Whether the numbering plan of its country allows a number; `valid` asks for an assigned range."""
    try:
        parsed = phonenumbers.parse(number, None)
        return phonenumbers.is_valid_number(parsed) if valid else phonenumbers.is_possible_number(parsed)
    except phonenumbers.NumberParseException:
        return False


def _strong(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    yield from _cued(match, text, 6)


_COUNT = re.compile(r"[ ](?:of|von|de|di|du|der|des)\b", re.IGNORECASE)


def _weak(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    words = before(text, head.start(), 16)
    if _COUNT.match(match["gap"]) or re.search(rf"(?:{_OTHER.pattern})[ \t]?\Z", words, re.IGNORECASE):
        return
    yield from _cued(match, text, 7)


def _cued(match: re.Match[str], text: str, least: int) -> Iterator[Finding]:
    value = match["number"]
    count = sum(char.isdigit() for char in value)
    if not least <= count <= 15 or _OTHER.search(match["gap"]) or _DATE.fullmatch(value):
        return
    if re.match(r"[ ](?:of|von|de|из)[ ][0-9]", text[match.end() : match.end() + 8]):
        return
    if _UNIT.match(text, match.end()) or (value.count("(") != value.count(")") and "(" in value[1:]):
        return
    yield finding(match.start("number"), match.end("number"), "PHONE", "phone-word", 0.8)


def _shape(match: re.Match[str], text: str) -> Iterator[Finding]:
    head = before(text, match.start(), 24)
    other = [*_OTHER.finditer(head)]
    if (
        (other and len(head) - other[-1].end() <= 8)
        or _UNIT.match(text, match.end())
        or _DATE.fullmatch(match[0])
    ):
        return
    shape = match.lastgroup or "US"
    digits = re.sub(r"\D", "", match[0])
    if _NANP.fullmatch(digits) if shape == "US" else _valid(digits, _REGIONS.get(shape, (shape,))):
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
        "e164-wrapped",
        (rb"\+ ?\(?[1-9][0-9 ().-]{0,14}=?\r?\n",),
        pattern_search(_HALVES, _wrapped),
        back=24,
        ahead=30,
    ),
    Rule(
        "e164",
        (rb"\+[ ]?\(?[1-9][0-9 ().-]", rb"[^0-9]00[1-9][0-9 ().-]{5}"),
        pattern_search(_PLUS, _plus),
        back=14,
        ahead=50,
    ),
    Rule(
        "phone-word",
        keywords.triggers(_STRONG),
        keyword_search(_STRONG_WORD, _NUMBER, _strong),
        back=20,
        ahead=12,
    ),
    Rule(
        "phone-cue", keywords.triggers(_WEAK), keyword_search(_WEAK_WORD, _NUMBER, _weak), back=20, ahead=12
    ),
    Rule(
        "phone-shape",
        (
            rb"[^0-9a-z]\([0-9]{2,5}\)[ ]?[0-9]{3}",
            rb"[^0-9a-z._:/-][0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}[^0-9]",
            rb"[^0-9a-z._:/-]1[-. ][0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}[^0-9]",
            rb"[^0-9a-z._:/-]8[ (-]{1,2}[0-9]{3}[) -]{1,2}[0-9]{3}",
            rb"[^0-9a-z._:/-]0[0-9]{2,4}[ /-][0-9]{3}",
            rb"[^0-9a-z._:/-][67][0-9]{2} [0-9]{2} [0-9]{2} [0-9]{2}",
            rb"[^0-9a-z._:/-][679][0-9]{2} [0-9]{3} [0-9]{3}",
            rb"[^0-9a-z._:/-]0[1-9][ .][0-9]{2}[ .][0-9]{2}[ .][0-9]{2}",
            rb"[^0-9a-z._:/-]1[3-9][0-9]{9}[^0-9a-z]",
            rb"[^0-9a-z._:/-]1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}",
        ),
        pattern_search(_SHAPES, _shape),
        back=24,
        ahead=24,
    ),
)
