# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Payment cards (ISO/IEC 7812, Luhn) and bank accounts (ISO 13616, mod 97, lengths per country)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from stdnum import iban, luhn

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search, pattern_search

__all__ = ["RULES"]

_GAP = r"(?:[ .]|-|[ ]{2}|[ ]?=?\r?\n(?:>[ \t]?)*[ ]?)?"
_CARD = re.compile(
    rf"(?<![0-9A-Za-z+])(?<![0-9][.,:-])(?<![A-Za-z][.-])[1-6](?:{_GAP}[0-9]){{11,18}}(?![0-9A-Za-z])(?![.,:-][0-9])"
)
_CARD_CUE = Keyword(
    r"card|karte|tarjeta|карт|卡|carte|cart[aã]o|carta|kart|visa|master|amex|maestro|mir\b|мир|credit|debit|cc\b|pan\b|カード|카드"
)
_NOT_CARD = re.compile(
    r"(?:order|ord|ticket|invoice|tracking|bestell\w*|auftrag\w*|rechnung\w*|заказ\w*|тикет\w*|pedido|factura|订单号?|单号|工单|commande|epoch|timestamp|time|ts|at|id|uid|"
    r"serial|imei|phone|tel|block|height|nonce|txid|offset|size|bytes|inode|pid|isbn|ean|sku|ref)[\"']?[ \t]*(?:number|no\.?|nr\.?|номер|n[úu]mero|№)?[ \t]*[#№:=_-]*[ \t]*[\"']?\Z",
    re.IGNORECASE,
)


_FOURS = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}")


def _card(match: re.Match[str], text: str) -> Iterator[Finding]:
    digits = re.sub(r"\D", "", match[0])
    if not _issuer(digits) or len(set(digits)) < 2:
        return
    sound = luhn.is_valid(digits)
    if not sound and not _FOURS.fullmatch(match[0]):
        return
    head = before(text, match.start(), 40)
    cued = _CARD_CUE.search(head) is not None
    if not cued and (digits[0] == "1" or _NOT_CARD.search(head)):
        return
    if cued or (sound and _grouped(match[0])):
        rule, sure = ("luhn", 0.95 if cued else 0.8) if sound else ("card-word", 0.6)
        yield finding(match.start(), match.end(), "CARD", rule, sure)
        ends = _EXPIRY.match(text, match.end())
        if ends is not None:
            yield finding(ends.start("date"), ends.end("date"), "CARD", "card-expiry", 0.7)


_EXPIRY = re.compile(
    r"[^\n0-9]{1,28}(?:\r?\n(?:> ?)*[^\n0-9]{0,24})?(?P<date>(?:0[1-9]|1[0-2])[ ]?[/.-][ ]?(?:20)?[2-4][0-9])(?![0-9./-])"
)
"""Until when the card is good, right behind its number."""


def _grouped(value: str) -> bool:
    """Whether the digits stand in groups as on a card, or in one run."""
    whole = re.sub(r"(?<=[0-9])=?\r?\n(?:> ?)*(?=[0-9])", "", value)
    groups = [len(group) for group in re.split(r"\D+", whole)]
    return (
        groups in ([4, 6, 5], [4, 6, 4], [4, 4, 4, 4], [4, 4, 4, 4, 3], [4, 4, 4, 1], [6, 13])
        or len(groups) == 1
    )


def _issuer(digits: str) -> bool:
    """Whether length and leading digits belong to a card network."""
    n = len(digits)
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    return (
        (digits[0] == "4" and n in (13, 16, 19))
        or (n == 16 and (51 <= two <= 55 or 2221 <= four <= 2720))
        or (n == 15 and two in (34, 37))
        or (n == 15 and (four in (2131, 1800) or digits[0] == "1"))
        or (n in (14, 16, 19) and (300 <= three <= 305 or two in (36, 38, 39) or three == 309))
        or (16 <= n <= 19 and (four == 6011 or two == 65 or 644 <= three <= 649 or 3528 <= four <= 3589))
        or (16 <= n <= 19 and (two in (62, 81, 60) or 2200 <= four <= 2205 or four == 9792))
        or (12 <= n <= 19 and (two in (50, 56, 57, 58, 59, 67, 68) or four in (6304, 6759, 6761, 6762, 6763)))
    )


_CARD_WORD = Keyword(
    r"(?:card|credit card|karte|kreditkarte|tarjeta|carte|cart[aã]o|carta|kart[ay]?|visa|mastercard|amex|карт[аыеу]|картой|卡号|卡|カード|카드)"
    r"(?![^\W\d_\u2e80-\uffdc])"
)
_LOOSE_CARD = re.compile(
    r"[^\n0-9]{0,24}?(?P<number>(?<![0-9A-Za-z_.-])[1-6](?:[ \t.-]{0,2}[0-9]){11,18})(?![0-9A-Za-z_])(?![.,:-][0-9])"
)


def _loose(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """A number after a word for a card, grouped however it may be."""
    digits = re.sub(r"\D", "", match["number"])
    if _issuer(digits) and len(set(digits)) > 2 and luhn.is_valid(digits):
        yield finding(match.start("number"), match.end("number"), "CARD", "luhn", 0.95)


_CVV = re.compile(
    r"(?<![A-Za-z])(?:cvv2?|cvc2?|cvn|prüfnummer|prüfziffer|kartenprüfnummer|код cvv|код безопасности|安全码|código de seguridad|code de sécurité)[\"']?[ \t]{0,2}(?:[:=：]|is|ist|es)?[ \t]{0,2}[\"']?(?P<code>[0-9]{3,4})(?![0-9A-Za-z])",
    re.IGNORECASE,
)


def _cvv(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start("code"), match.end("code"), "CARD", "card-code", 0.8)


_IBAN = re.compile(
    rf"(?<![0-9A-Za-z])(?P<country>[A-Z]{{2}})[0-9](?:{_GAP})[0-9](?:{_GAP}[0-9A-Z]){{10,30}}", re.IGNORECASE
)
_IBAN_CUE = Keyword(
    r"iban|konto|account|acct|cuenta|счёт|счет|账号|帐号|账户|compte|conto|bank|банк|refund|erstatt|reembolso|возврат"
)


@cache
def _length(country: str) -> int:
    """How many characters accounts of a country have, 0 if it has none."""
    info = iban._ibandb.info(country + "00")
    structure = info[0][1].get("bban", "") if info and info[0][0] == country else ""
    return 4 + sum(int(number) for number in re.findall(r"([0-9]+)!?[nac]", structure)) if structure else 0


def _iban(match: re.Match[str], text: str) -> Iterator[Finding]:
    length = _length(match["country"].upper())
    if not length:
        return
    end, value = match.start(), ""
    for char in match[0]:
        if len(value) == length:
            break
        end += 1
        if char.isalnum():
            value += char.upper()
    if len(value) != length or (text[end : end + 1].isalnum() and text[end - 1 : end + 1].isascii()):
        return
    remainder = int("".join(str(int(char, 36)) for char in value[4:] + value[:4])) % 97
    if remainder == 1:
        yield finding(match.start(), end, "IBAN", "iban")
    elif _IBAN_CUE.search(before(text, match.start(), 40)) and sum(char.isdigit() for char in value) >= 10:
        yield finding(match.start(), end, "IBAN", "iban-shape", 0.6)


RULES = (
    Rule(
        "luhn",
        (
            rb"[^0-9a-z][2-6][0-9]{3}[ \t.-]?[0-9]{2}[ \t.-]?[0-9]{2}[ \t.-]?[0-9]{2}[ \t.-]?[0-9]{2}",
            rb"[^0-9a-z][2-6][0-9]{3}(?:[ .-]|\s[>\s]{0,4})[0-9]{4,6}(?:[ .-]|\s[>\s]{0,4})[0-9]{4}",
            rb"[^0-9a-z][2-6](?:[0-9] ){11}",
            rb"[^0-9a-z]1[0-9]{14}[^0-9a-z]",
        ),
        pattern_search(_CARD, _card),
        back=36,
        ahead=60,
        exact=True,
    ),
    Rule(
        "card-code",
        (
            rb"cv[vc]",
            rb"cvn",
            *keywords.triggers(
                (
                    "安全码",
                    "prüfnummer",
                    "prüfziffer",
                    "код безопасности",
                    "código de seguridad",
                    "code de sécurité",
                )
            ),
        ),
        pattern_search(_CVV, _cvv),
        back=20,
        ahead=20,
    ),
    Rule(
        "card-number",
        keywords.triggers(
            (
                "card",
                "karte",
                "tarjeta",
                "carte",
                "cartão",
                "cartao",
                "carta",
                "kart",
                "visa",
                "amex",
                "карт",
                "卡",
                "カード",
                "카드",
            )
        ),
        keyword_search(_CARD_WORD, _LOOSE_CARD, _loose),
        back=20,
        ahead=12,
    ),
    Rule(
        "iban",
        (
            rb"[^0-9a-z][a-z][a-z][0-9][0-9](?:[ .-]{1,2}|=?\s[>\s]{0,4})?[0-9a-z]{4}(?:[ .-]{1,2}|=?\s[>\s]{0,4})?[0-9a-z]{4}",
            rb"[^0-9a-z][a-z][a-z][0-9][0-9](?:[ .-]?[0-9a-z]){8}",
        ),
        pattern_search(_IBAN, _iban),
        back=24,
        ahead=80,
        exact=True,
    ),
)
