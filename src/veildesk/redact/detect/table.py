# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Columns of secrets: rows under a head line that names one, as password managers and databases export.

A head line is a row of short names apart by commas, semicolons, tabs or bars, one of them a word for a
secret. The rows below have as many fields; the field under the word is the secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.detect.secret import PLACEHOLDER
from veildesk.redact.rule import Rule, finding

__all__ = ["RULES"]

_COLUMNS = (
    (
        "PASSWORD",
        re.compile(rf"(?:login[ _]|user[ _]|db[ _])?(?:{keywords.PASSWORD})|passwords", re.IGNORECASE),
    ),
    (
        "TOTP",
        re.compile(rf"(?:login[ _])?(?:{keywords.TOTP}|otpauth)(?:[ _-]?(?:secret|key|uri))?", re.IGNORECASE),
    ),
    ("SEED", re.compile(rf"(?:{keywords.SEED})", re.IGNORECASE)),
    ("PRIVKEY", re.compile(rf"(?:{keywords.PRIVATE_KEY})", re.IGNORECASE)),
    ("API_TOKEN", re.compile(rf"(?:{keywords.API_KEY})", re.IGNORECASE)),
)
_HEAD = re.compile(
    r"[ \t>]*(?:[|][ ]?)?[\w .#/()\"'-]{1,40}(?:[ ]?[,;|\t][ ]?[\w .#/()\"'-]{0,40}){1,30}[|]?[ \t\r]*"
)
_RULED = re.compile(r"[ >]*[|+:-][-|+: ]{2,}[ \r]*")
_ROWS = 2000
_WIDEST = 4000


def _search(text: str, start: int, end: int) -> Iterator[Finding]:
    """Look at each line that holds a trigger, and at the rows under it."""
    low = text.rfind("\n", 0, start) + 1
    seen = -1
    while low < end:
        stop = text.find("\n", low)
        stop = len(text) if stop < 0 else stop
        if low > seen and stop - low <= 600 and _parted(text, low, stop) and _HEAD.fullmatch(text, low, stop):
            yield from _table(text, low, stop)
            seen = low
        low = stop + 1


def _is_head(row: str, fields: Sequence[tuple[int, int]]) -> bool:
    """Whether a row is a head line of its own, at which the table before it ends."""
    cells = [row[a:b].strip(" \"'>\r\t") for a, b in fields]
    return any(word.fullmatch(cell) for cell in cells if cell for _, word in _COLUMNS)


def _cell(line: str, start: int, field: tuple[int, int], type_: str) -> Iterator[Finding]:
    """The value in the second of two cells, as tables of names and values have it."""
    low, high = field
    value = line[low:high]
    low += len(value) - len(value.lstrip(" \"'"))
    value = value.strip(" \"'\r")
    if len(value) >= 4 and not PLACEHOLDER.fullmatch(value) and re.search(r"[0-9]|[^\w\s.,:;()-]", value):
        yield finding(start + low, start + low + len(value), type_, "cell", 0.7)


_INSERT = re.compile(r"\((?P<names>[\w\s,\"`\[\].]{3,600})\)\s{0,4}VALUES\s{0,4}", re.IGNORECASE)
_TUPLE = re.compile(r"[\s,]{0,6}\((?P<row>(?:'(?:[^'\\\n]|''|\\[^\n]){0,400}'|[^'()\n]){1,4000}?)\)")


_FIELD = re.compile(r"\s*(?:'((?:[^'\\]|''|\\.)*)'|([^,']*))\s*(?:,|\Z)")


def _inserted(text: str, start: int, end: int) -> Iterator[Finding]:
    """Values of an SQL INSERT whose column is named after a secret."""
    for head in _INSERT.finditer(text, start, end):
        names = [name.strip(' "`[]\n\r\t') for name in head["names"].split(",")]
        columns = {
            at: type_ for at, name in enumerate(names) for type_, word in _COLUMNS if word.fullmatch(name)
        }
        position = head.end()
        for _ in range(_ROWS if columns else 0):
            row = _TUPLE.match(text, position)
            if row is None:
                break
            position = row.end()
            fields = list(_FIELD.finditer(row["row"]))
            for at, type_ in columns.items():
                if at < len(fields) and fields[at][1] and not PLACEHOLDER.fullmatch(fields[at][1]):
                    low, high = fields[at].span(1)
                    yield finding(row.start("row") + low, row.start("row") + high, type_, "insert", 0.9)


def _parted(text: str, start: int, stop: int) -> bool:
    return any(text.find(mark, start, stop) >= 0 for mark in "|\t;,")


def _table(text: str, start: int, stop: int) -> Iterator[Finding]:
    line = text[start:stop]
    mark = next((mark for mark in "|\t;," if mark in line), ",")
    heads = [line[a:b].strip(" \"'>\r\t") for a, b in _fields(line, mark)]
    columns = {at: type_ for at, head in enumerate(heads) for type_, word in _COLUMNS if word.fullmatch(head)}
    full = [at for at, head in enumerate(heads) if head]
    if len(full) == 2 and full[0] in columns and full[1] not in columns:
        cell = list(_cell(line, start, list(_fields(line, mark))[full[1]], columns[full[0]]))
        if cell:
            yield from cell
            return
    if not columns or any(re.search(r"[0-9]{3}|[:=]", head) for head in heads):
        return
    for _ in range(_ROWS):
        start, stop = stop + 1, text.find("\n", stop + 1)
        stop = len(text) if stop < 0 else stop
        row = text[start:stop]
        if _RULED.fullmatch(row):
            continue
        fields = list(_fields(row, mark)) if len(row) <= _WIDEST else []
        if start > len(text) or len(fields) != len(heads) or _is_head(row, fields):
            return
        for at, type_ in columns.items():
            low, high = fields[at]
            value = row[low:high]
            low += len(value) - len(value.lstrip(" \"'"))
            value = value.strip(" \"'\r")
            if len(value) >= 3 and not PLACEHOLDER.fullmatch(value):
                yield finding(start + low, start + low + len(value), type_, "column", 0.8)


def _fields(line: str, mark: str) -> Iterator[tuple[int, int]]:
    """Spans of the fields of a row; a mark inside double quotes parts nothing."""
    begin, quoted = 0, False
    for at, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        elif char == mark and not quoted:
            yield begin, at
            begin = at + 1
    yield begin, len(line)


_WORDS = (
    "pass", "pwd", "kennwort", "contrase", "clave", "senha", "hasło", "haslo", "wachtwoord", "mot de passe", "пароль", "密码", "口令", "totp", "otp",
    "seed", "mnemonic", "private key", "private_key", "private-key", "secret", "api key", "api_key", "api-key", "apikey", "token",
)  # fmt: skip
RULES = (
    Rule("column", keywords.triggers(_WORDS), _search, back=2, ahead=2),
    Rule("insert", (rb"\)\s{0,4}values\s{0,4}\(",), _inserted, back=640, ahead=2),
)
