"""A diagnosis report by an allow list: only fields named here get in, and only in the form they should have.

Pure. What a field may hold is said by a pattern, not by what was found to be bad. Fields that can tell who
or where somebody is stay out until their owner ticks them. Free text goes through redaction, and a value
of a fixed form in which redaction finds something is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from veildesk.core.finding import MaskNumbering
from veildesk.redact.apply import redact_text
from veildesk.redact.rules import RuleSet

__all__ = ["SCHEMA", "Field", "Report", "build_report"]


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the report. Without `form` it is free text; `risky` is left out until ticked."""

    name: str
    label: str
    form: re.Pattern[str] | None = None
    risky: bool = False


_WORDS = re.compile(r"[A-Za-z][A-Za-z0-9 ._+-]{0,59}")
_VERSION = re.compile(r"v?[0-9]{1,10}(?:\.[0-9]{1,8}){0,4}(?:[-+~ ._]?[A-Za-z0-9]{1,12}){0,4}")
_BUILD = re.compile(r"[0-9a-f]{7,64}|[A-Za-z0-9]{1,10}(?:[.-][A-Za-z0-9]{1,12}){0,4}")
_SYSTEM = re.compile(r"[A-Za-z][A-Za-z0-9 ./()_+-]{1,79}")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4})?(?:\.[A-Za-z0-9-]{1,12})?")
_CODE = re.compile(r"[A-Za-z0-9_.:x#() -]{1,120}")

SCHEMA: tuple[Field, ...] = (
    Field("product", "Product", _WORDS),
    Field("version", "Version", _VERSION),
    Field("build", "Build", _BUILD),
    Field("platform", "Platform", _SYSTEM),
    Field("architecture", "Architecture", re.compile(r"[A-Za-z0-9_-]{1,20}")),
    Field("runtime", "Runtime", _SYSTEM),
    Field("error_code", "Error code", _CODE),
    Field("error", "Error"),
    Field("steps", "Steps"),
    Field("expected", "Expected"),
    Field("seen", "Seen"),
    Field("device", "Device", re.compile(r"[A-Za-z0-9 .,()+_-]{1,60}"), risky=True),
    Field("language", "Language", _LOCALE, risky=True),
    Field(
        "time",
        "Time",
        re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]{4,12}(?:Z|[+-][0-9:]{2,5})?)?"),
        risky=True,
    ),
    Field("settings", "Settings", risky=True),
    Field("transaction", "Transaction", re.compile(r"(?:0x)?[0-9a-fA-F]{64}"), risky=True),
    Field("log", "Log", risky=True),
    Field("contact", "Contact", risky=True),
)
"""In the order of the report. Ticking `contact` or `transaction` means what redaction would hide."""

_MEANT = frozenset(("transaction", "contact"))
_LONGEST = 200_000


@dataclass(frozen=True, slots=True)
class Report:
    """The report's text, what was hidden in it, and names of fields that stayed out, with the reason."""

    text: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    counts: Mapping[str, int]
    left_out: Mapping[str, str]


def build_report(
    values: Mapping[str, object],
    ticked: Collection[str],
    numbering: MaskNumbering,
    *,
    rules: RuleSet | None = None,
    own_words: Sequence[str] = (),
) -> Report:
    """A report from given values. Names not in the schema are left out like everything else unknown."""
    known = {one.name for one in SCHEMA}
    left_out = {str(name)[:40]: "not a field of the report" for name in values if name not in known}
    taken: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for one in SCHEMA:
        value = str(values.get(one.name, "")).strip()
        if not value:
            continue
        reason = _refused(one, value, ticked)
        if reason is None and one.name not in _MEANT:
            masked = redact_text(value, numbering, rules=rules, own_words=own_words)
            if one.form is not None and masked.text != value:
                reason = "not in the form it should have"
            else:
                value = masked.text
                counts.update(masked.counts)
        if reason is not None:
            left_out[one.name] = reason
        else:
            taken[one.label] = value
    return Report(_written(taken), taken, dict(sorted(counts.items())), left_out)


def _refused(one: Field, value: str, ticked: Collection[str]) -> str | None:
    """Why a value stays out, None if it may get in."""
    if one.risky and one.name not in ticked:
        return "not ticked"
    if len(value) > _LONGEST:
        return "too long"
    if one.form is not None and one.form.fullmatch(value) is None:
        return "not in the form it should have"
    return None


def _written(taken: Mapping[str, str]) -> str:
    """Short values behind their label, longer ones below it."""
    lines = [
        f"{label}:\n{value}\n" if "\n" in value else f"{label}: {value}\n" for label, value in taken.items()
    ]
    return "".join(lines)
