# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Birthdays, and bank accounts without an IBAN: found after the words that name them, and nowhere else.

An "account number" alone is left: it is mostly the number by which the team knows its customer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search

__all__ = ["RULES"]

_BIRTH = (
    "bday", "date of birth", "dateofbirth", "dob", "d.o.b.", "birth date", "birthdate", "birthday", "born on", "born", "geburtsdatum", "geboren am", "geboren", "geburtstag", "fecha de nacimiento",
    "nacido el", "nacida el", "nací el", "date de naissance", "né le", "née le", "data de nascimento", "nascido em", "nascida em", "data di nascita", "nato il", "nata il", "data urodzenia",
    "geboortedatum", "födelsedatum", "fødselsdato", "syntymäaika", "datum narození", "doğum tarihi", "дата рождения", "день рождения", "родился", "родилась", "дата народження",
    "出生日期", "生日", "出生于", "生年月日", "생년월일",
)  # fmt: skip
_BIRTH_WORD = Keyword(rf"(?<![^\W\d_])(?:{keywords.pattern(_BIRTH)})(?![^\W\d_\u2e80-\uffdc])")
_MONTH = r"[^\W\d_]{3,12}\.?"
_YEAR = r"(?:19|20)[0-9]{2}"
_DATE = re.compile(
    r"[\"']?(?:[ \t]{0,2}[:=：]|[ ](?:is|was|ist|es|è|é|est|это)(?=[ ])|是|は)?[ \t\"'(]{0,3}(?P<date>"
    rf"(?<=:){_YEAR}[01][0-9][0-3][0-9]|[0-9]{{1,2}}[./-][0-9]{{1,2}}[./-](?:{_YEAR}|[0-9]{{2}}(?![0-9]))|{_YEAR}[./-][0-9]{{1,2}}[./-][0-9]{{1,2}}|{_YEAR}[ ]?[年년][ ]?[0-9]{{1,2}}[ ]?[月월][ ]?[0-9]{{1,2}}[ ]?[日일]?"
    rf"|[0-9]{{1,2}}(?:\.|st|nd|rd|th|º)?[ ](?:de[ ]|of[ ])?{_MONTH}[ ,]{{1,2}}(?:de[ ])?{_YEAR}|{_MONTH}[ ][0-9]{{1,2}}(?:st|nd|rd|th)?,?[ ]{_YEAR})(?![0-9A-Za-z])(?![./:-][0-9])",
    re.IGNORECASE,
)


def _birth(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start("date"), match.end("date"), "BIRTHDATE", "birth-word", 0.8)


_BANK = (
    "routing number", "routing no", "routing", "aba number", "transit number", "sort code", "sort-code", "sortcode", "blz", "bankleitzahl", "clabe", "bsb",
    "bank account number", "bank account no", "bank account", "bank a/c", "bankkonto", "kontonummer", "konto-nr", "kontonr", "cuenta bancaria", "número de cuenta bancaria", "compte bancaire", "conta bancária",
    "conta corrente", "conto bancario", "conto corrente", "rekeningnummer", "numer konta", "nr konta", "číslo účtu", "расчётный счёт", "расчетный счет", "номер счёта", "номер счета", "р/с", "лицевой счёт",
    "银行账号", "银行账户", "銀行帳號", "口座番号", "계좌번호",
)  # fmt: skip
_BANK_WORD = Keyword(rf"(?<![^\W\d_])(?:{keywords.pattern(_BANK)})(?![^\W\d_\u2e80-\uffdc])")
_NUMBER = r"[0-9](?:[ -]?[0-9]){5,21}(?:=?\r?\n(?:> ?)*[0-9]{6,12})?(?![0-9A-Za-z])(?![.,:/-][0-9])"
_ACCOUNT = re.compile(
    r"[\"']?(?:[ ](?:number|no\.?|nr\.?|nummer|num|id))?(?:[ \t]{0,2}[:=：#№]|[ ](?:is|was|ist|lautet|es|è|é|est|это)(?=[ ])|是|は)?[ \t\"'(]{0,3}"
    rf"(?P<number>{_NUMBER})(?:[^\n0-9]{{1,24}}(?<![0-9A-Za-z])(?P<more>{_NUMBER}))?",
    re.IGNORECASE,
)
_STAMP = re.compile(r"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}")


_EARLIER = re.compile(
    r"(?:konto(?:nummer|nr)?|kto\.?(?:nr\.?)?|account|acct|a/c)[^\n0-9]{0,12}(?P<number>[0-9](?:[ -]?[0-9]){5,16})[^\n0-9]{0,16}\Z",
    re.IGNORECASE,
)
_CODES = ("sort", "blz", "bankleitzahl", "bsb", "routing", "aba", "transit")


def _account(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """The number behind its name, and the one beside it: a bank code and an account go together."""
    for name in ("number", "more"):
        value = match[name]
        if value and len(set(value)) > 1 and not _STAMP.match(value):
            yield finding(match.start(name), match.end(name), "BANK", "bank-word", 0.8)
    if head[0].lower().startswith(_CODES):
        low = head.start() - len(before(text, head.start(), 60))
        earlier = _EARLIER.search(text, low, head.start())
        if earlier is not None:
            yield finding(earlier.start("number"), earlier.end("number"), "BANK", "bank-word", 0.8)


_SHORT = ("dob", "born", "blz", "bsb")
RULES = (
    Rule("birth-word", (*keywords.triggers([word for word in _BIRTH if word not in _SHORT]), rb"[^a-z]dob[^a-z]", rb"[^a-z]born[^a-z]"),
         keyword_search(_BIRTH_WORD, _DATE, _birth), back=30, ahead=8),
    Rule("bank-word", (*keywords.triggers([word for word in _BANK if word not in _SHORT]), rb"[^a-z]blz[^a-z]", rb"[^a-z]bsb[^a-z]"),
         keyword_search(_BANK_WORD, _ACCOUNT, _account), back=34, ahead=8),
)  # fmt: skip
