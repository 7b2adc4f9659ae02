# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Numbers by which states know people: identity, tax, insurance and health numbers, passports, licences.

Where a number has a form of its own and a check digit (python-stdnum, which names its sources), it is found
by itself. Everywhere else the name of the number must stand before it; after a name that means nothing else a
mistyped one is hidden too. Numbers of companies are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from stdnum.ar import cuit
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cl import rut
from stdnum.cn import ric
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.it import codicefiscale
from stdnum.mx import curp
from stdnum.ru import inn
from stdnum.th import pin as thai
from stdnum.us import ssn

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search, pattern_search

__all__ = ["RULES"]

Check = Callable[[str], bool]


def _snils(value: str) -> bool:
    """The sum of SNILS (resolution of the Pension Fund of Russia, 192p): nine digits by weight, mod 101."""
    digits = [int(char) for char in value if char.isdigit()]
    total = sum(digit * weight for digit, weight in zip(digits, range(9, 0, -1), strict=False))
    return len(digits) == 11 and len(set(digits)) > 1 and total % 101 % 100 == digits[9] * 10 + digits[10]


_HKID = {char: at for at, char in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ ")}


def _hkid(value: str) -> bool:
    """The sum of Hong Kong identity cards: weights 9 to 2, mod 11."""
    plain = re.sub(r"[()]", "", value).upper().rjust(9)
    total = sum(_HKID[char] * weight for char, weight in zip(plain[:8], range(9, 1, -1), strict=True))
    return "0123456789A"[-total % 11] == plain[8]


_RRN = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)


def _rrn(value: str) -> bool:
    """The sum and the birthday of a Korean resident number; those given out since 2020 have no sum."""
    digits = [int(char) for char in value if char.isdigit()]
    month, day = digits[2] * 10 + digits[3], digits[4] * 10 + digits[5]
    total = sum(digit * weight for digit, weight in zip(digits, _RRN, strict=False))
    return 1 <= month <= 12 and 1 <= day <= 31 and (11 - total % 11) % 10 == digits[12]


_SHAPES: dict[str, tuple[str, Check]] = {
    "cpf": (r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", cpf.is_valid),
    "snils": (r"[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}", _snils),
    "fiscal": (
        r"[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]",
        codicefiscale.is_valid,
    ),
    "nir": (r"[12] [0-9]{2} [01][0-9] (?:[0-9]{2}|2[AB]) [0-9]{3} [0-9]{3} [0-9]{2}", nir.is_valid),
    "ahv": (r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}", ahv.is_valid),
    "cuit": (r"2[03467]-[0-9]{8}-[0-9]", cuit.is_valid),
    "rut": (r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]", rut.is_valid),
    "curp": (r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", curp.is_valid),
    "rrn": (r"[0-9]{6}-[1-8][0-9]{6}", _rrn),
    "thai": (r"[1-8]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]", thai.is_valid),
    "ric": (r"[1-9][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9][0-9]{3}[0-9Xx]", ric.is_valid),
    "hetu": (r"[0-3][0-9][01][0-9][0-9]{2}[-+A][0-9]{3}[0-9A-FHJ-NPR-Y]", hetu.is_valid),
    "belgian": (r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", nn.is_valid),
    "hkid": (r"[A-Z]{1,2}[0-9]{6}\([0-9A]\)", _hkid),
    "ssn": (r"(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}", ssn.is_valid),
    "nino": (r"(?![DFIQUV])[A-Z](?![DFIOQUV])[A-Z] [0-9]{2} [0-9]{2} [0-9]{2} [A-D]", lambda value: True),
}
_SHAPE = re.compile(
    r"(?<![0-9A-Za-z._/:+-])(?:"
    + "|".join(f"(?P<{name}>{source})" for name, (source, _) in _SHAPES.items())
    + r")(?![0-9A-Za-z])(?![.:/-][0-9])"
)
_NOT_PERSON = re.compile(
    r"(?:part|p/n|pn|sku|model|serial|s/n|sn|order|ord|ticket|case|ref|invoice|rma|build|version|bestell\w*|auftrag\w*|rechnung\w*|заказ\w*|артикул|pedido|"
    r"factura|commande|订单|工单|型号)[\"']?[ \t]*(?:number|no\.?|nr\.?|номер|n[úu]mero|№)?[ \t]*[#№:=_-]*[ \t]*[\"']?\Z",
    re.IGNORECASE,
)


def _shape(match: re.Match[str], text: str) -> Iterator[Finding]:
    name = match.lastgroup or ""
    several = len(set(re.sub(r"\W", "", match[0]))) > 2
    if several and _SHAPES[name][1](match[0]) and not _NOT_PERSON.search(before(text, match.start(), 40)):
        yield finding(match.start(), match.end(), "NATIONAL_ID", "id-number", 0.9)


_NAMED: tuple[tuple[str, tuple[str, ...], str, Check | None], ...] = (
    ("ssn", ("ssn", "itin", "social security", "social-security", "social_security"), r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}", None),
    ("rvnr", ("sozialversicherungsnummer", "rentenversicherungsnummer", "versicherungsnummer", "sv-nummer", "rvnr"), r"[0-9]{2} ?[0-9]{6} ?[A-Z] ?[0-9]{3}", None),
    ("idnr", ("steuer-id", "steuerid", "steuer-identifikationsnummer", "steueridentifikationsnummer", "steuerliche identifikationsnummer", "idnr"), r"[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", None),
    ("mx", ("curp", "rfc", "clave única de registro de población", "registro federal de contribuyentes"), r"[A-ZÑ&]{3,4}[0-9]{6}(?:[HMX][A-Z]{5}[0-9A-Z][0-9]|[0-9A-Z]{3})", None),
    ("card-de", ("personalausweis", "personalausweisnummer", "ausweisnummer", "ausweis-nr", "ausweis"), r"(?=[0-9A-Z]{0,8}[0-9])[LMNPRTVWXY0-9][0-9CFGHJKLMNPRTVWXYZ]{8}[0-9]?", None),
    ("dni", ("dni", "nie", "nif", "documento nacional de identidad", "documento de identidad"), r"(?:[XYZxyz]-?[0-9]{7}|[0-9]{2}\.?[0-9]{3}\.?[0-9]{3})-?[A-Za-z]|[0-9]{2}\.[0-9]{3}\.[0-9]{3}", None),
    ("cpf", ("cpf",), r"[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}", None),
    ("pesel", ("pesel",), r"[0-9]{11}", None),
    ("inn", ("инн", "inn"), r"[0-9]{12}", inn.is_valid),
    ("snils", ("снилс", "snils"), r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{2}", None),
    ("nino", ("nino", "national insurance", "ni number"), r"[A-Za-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Da-d]?", None),
    ("nhs", ("nhs",), r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}", None),
    ("nir", ("numéro de sécurité sociale", "numero de securite sociale", "sécurité sociale", "n° sécu", "nir", "insee"), r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3}(?: ?[0-9]{2})?", None),
    ("bsn", ("bsn", "burgerservicenummer"), r"[0-9]{9}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}", None),
    ("nordic", ("personnummer", "personnr", "samordningsnummer", "cpr", "cpr-nr", "cpr-nummer", "fødselsnummer", "fodselsnummer", "kennitala"), r"(?:[0-9]{2})?[0-9]{6}[-+ ]?[0-9]{4,5}", None),
    ("hetu", ("henkilötunnus", "hetu"), r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]", None),
    ("rc", ("rodné číslo", "rodne cislo", "rodného čísla"), r"[0-9]{6}/?[0-9]{3,4}", None),
    ("eleven", ("tc kimlik", "t.c. kimlik", "kimlik no", "kimlik numarası", "isikukood", "asmens kodas", "personas kods", "oib", "amka", "αμκα"), r"[0-9]{6}-?[0-9]{5}", None),
    ("rntrc", ("рнокпп", "іпн", "ідентифікаційний код"), r"[0-9]{10}", None),
    ("cuit", ("cuit", "cuil"), r"[0-9]{2}-?[0-9]{8}-?[0-9]", None),
    ("rut", ("rut", "r.u.t."), r"[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}-?[0-9Kk]", rut.is_valid),
    ("aadhaar", ("aadhaar", "aadhar", "adhaar", "आधार"), r"[2-9][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}", None),
    ("pan", ("pan", "pan card"), r"[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]", None),
    ("ric", ("身份证", "身分證", "居民身份证", "证件号"), r"[0-9]{17}[0-9Xx]|[A-Z][12][0-9]{8}", None),
    ("mynumber", ("マイナンバー", "個人番号"), r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}", None),
    ("rrn", ("주민등록번호", "주민번호"), r"[0-9]{6}-?[0-9]{7}", None),
    ("nric", ("nric", "hkid"), r"[STFGM][0-9]{7}[A-Z]|[A-Z]{1,2}[0-9]{6}\(?[0-9A]\)?", None),
    ("balkan", ("cnp", "jmbg", "јмбг", "egn", "егн", "amka"), r"[0-9]{10,13}", None),
    ("pps", ("ppsn", "pps number"), r"[0-9]{7}[A-Za-z]{1,2}", None),
    ("israel", ("teudat zehut", "תעודת זהות"), r"[0-9]{9}", None),
    ("fiscal", ("codice fiscale",), r"[A-Za-z]{6}[0-9A-Za-z]{2}[A-Za-z][0-9A-Za-z]{2}[A-Za-z][0-9A-Za-z]{3}[A-Za-z]", None),
    ("sin", ("sin", "social insurance number"), r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}", sin.is_valid),
    ("medicare", ("medicare", "tax file number", "tfn"), r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}|[0-9]{4}[ -]?[0-9]{5}[ -]?[0-9]", None),
    ("any", ("national id", "nationalid", "national identification", "national identity", "identity card", "id card", "identification number", "tax id", "taxid", "tax identification", "nin", "tin", "cédula", "cedula de identidad", "удостоверение личности", "کد ملی", "کدملی", "شماره ملی", "رقم الهوية", "الرقم القومي", "رقم الجواز", "شماره پاسپورت", "dowód osobisty", "numer dowodu", "carta d'identità", "carte d'identité", "cni", "identiteitskaart", "osobní průkaz", "číslo občanského průkazu", "посвідчення особи", "nüfus cüzdanı", "社会保障番号", "在留カード"),
     r"(?=(?:[A-Z.-]{0,4} ?[0-9]){5})[A-Z0-9](?:[.-]?[A-Z0-9]|(?<=[0-9])[ ](?=[0-9])){5,17}", None),
("passport", ("passport", "reisepass", "reisepassnummer", "passnummer", "pasaporte", "passeport", "passaporto", "passaporte", "paszport", "паспорт", "паспорта", "загранпаспорт", "护照", "護照", "パスポート", "여권"),
     r"[A-Z]{1,2} ?[0-9]{6,8}|[a-z]{1,2}[0-9]{6,8}|[0-9]{9}|[0-9]{2} ?[0-9]{2},? ?(?:(?:№|номер|no\.?) ?)?[0-9]{6}|[CFGHJK][0-9CFGHJKLMNPRTVWXYZ]{8}", None),
    ("licence", ("driver's license", "drivers license", "driver license", "driving licence", "driving license", "driver's licence", "führerschein", "führerscheinnummer", "permiso de conducir", "permis de conduire", "patente di guida", "водительское удостоверение", "驾驶证", "驾照", "運転免許証"),
     r"(?=(?:[A-Z-]{0,6}[0-9]){4})[A-Z0-9](?:-?[A-Z0-9]){6,17}", None),
)  # fmt: skip
_CUES = {word: (name, check) for name, words, _, check in _NAMED for word in words}
_WORDS = tuple(dict.fromkeys(word for _, words, _, _ in _NAMED for word in words))
_WORD = Keyword(
    rf"(?<![^\W\d_])(?:{keywords.pattern(_WORDS)})(?:(?![^\W\d_])|(?=(?:number|num|no|nr|id)(?![^\W\d_]))|(?<=[\u0900-\uffdc]))"
)
_VALUES = {
    name: (re.compile(rf"(?:{source})(?![0-9A-Za-z])(?![.,:/-][0-9])"), check) for name, _, source, check in _NAMED
}  # fmt: skip
_GAP = re.compile(
    r"[\"']?(?:[ _-]{0,2}(?:id|card|number|num|no|nr|nummer|номер|серия|número|numero|numéro|code|nº|n°)\.?){0,2}(?:号码|號碼|号)?[\"'#№º°）)]{0,2}"
    r"(?:[ \t]{0,2}[:=：#№|,-]|[ ](?:is|was|ist|lautet|es|è|é|est|это|for[ ][^\n:0-9]{1,24}(?:is|:)|[^\n:=0-9]{1,24}[:：])(?=[ ]|\Z)|是|为|為|は|は、)?[ \t\"'(]{0,3}",
    re.IGNORECASE,
)  # fmt: skip


def _named(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """The number behind its own name."""
    word = re.sub(r"[\s_-]+", " ", head[0].lower())
    name, check = _CUES.get(word) or _CUES.get(word.replace(" ", "-")) or ("", None)
    if not name:
        return
    value = _VALUES[name][0].match(text, match.end())
    if value is not None and len(set(value[0])) > 2 and (check is None or check(value[0])):
        yield finding(value.start(), value.end(), "NATIONAL_ID", "id-word", 0.85)


_SHORT = 5
_TRIGGERS = (
    *keywords.triggers([word for word in _WORDS if len(word) > _SHORT or not word.isascii()]),
    *(b"[^a-z]" + word.encode() + b"[^a-z]" for word in _WORDS if len(word) <= _SHORT and word.isascii()),
)
"""Short words stand inside many others, so they fire by themselves only."""

RULES = (
    Rule("id-word", _TRIGGERS, keyword_search(_WORD, _GAP, _named), back=46, ahead=8),
    Rule("id-number",
         (rb"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", rb"[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}",
          rb"[^0-9A-Za-z][A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]", rb"[12] [0-9]{2} [01][0-9] [0-9][0-9AB] [0-9]{3} [0-9]{3}",
          rb"756\.[0-9]{4}\.", rb"2[03467]-[0-9]{8}-[0-9]", rb"[0-9]\.[0-9]{3}\.[0-9]{3}-[0-9Kk]", rb"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}", rb"[0-9]{6}-[1-8][0-9]{6}",
          rb"[1-8]-[0-9]{4}-[0-9]{5}-", rb"[0-9]{6}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9][0-9]{3}[0-9Xx]", rb"[0-3][0-9][01][0-9]{3}[-+A][0-9]{3}[0-9A-Y][^0-9A-Za-z]",
          rb"[0-9]\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.", rb"[A-Z][0-9]{6}\([0-9A]\)", rb"[0-9]{3}-[0-9]{2}-[0-9]{4}", rb"[A-Z]{2} [0-9]{2} [0-9]{2} [0-9]{2} [A-D]"),
         pattern_search(_SHAPE, _shape), back=34, ahead=12, exact=True, cased=True),
)  # fmt: skip
