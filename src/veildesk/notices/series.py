"""Judge a series of signed statements: complete, in order, by the right keys, and fresh? Pure.

Trust starts at one fingerprint that the reader has from somewhere else (the anchor) and moves with the
lists of official addresses in the series: a list may name new signing keys only if the keys before it
and every new key signed it. What the hash chain covers is vouched for by the signatures after it.

What cannot be seen from one copy: two audiences being shown different series (compare heads), and a
withheld end before its time is over, unless a heartbeat, a remembered head or another copy tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from veildesk.core.notice import Heartbeat, Identity, Kind, Statement
from veildesk.notices.text import parse_heartbeat, parse_statement

__all__ = ["AHEAD", "Defect", "Fault", "Head", "Judgement", "Signed", "judge_series"]

AHEAD = 3600
"""Seconds that a statement may be dated ahead of the reader's clock."""
_LATEST = 31 * 86400
"""Seconds after the issue time in which signatures may be made: several people sign one after the other."""


class Defect(StrEnum):
    """What is wrong, one word each. docs/notices.md says what each means and what to do."""

    UNREADABLE = "unreadable"
    UNSIGNED = "unsigned"
    DROPPED = "dropped"
    REORDERED = "reordered"
    REPLAYED = "replayed"
    FORKED = "forked"
    ROLLED_BACK = "rolled-back"
    WITHHELD = "withheld"
    EXPIRED = "expired"
    FUTURE = "future"
    BACKDATED = "backdated"
    ANCHOR = "anchor"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True)
class Signed:
    """A file and what cryptography says of it.

    `text` is what the signature covers, None unless the file is exactly one clear-signed text.
    `signers` are primary fingerprints of sound signatures made while their key was valid, with the
    time of the signature; `revoked` those whose key was revoked later.
    """

    raw: bytes = field(repr=False)
    text: str | None = field(default=None, repr=False)
    signers: tuple[tuple[str, int], ...] = ()
    revoked: frozenset[str] = frozenset()

    @property
    def sha256(self) -> str:
        """Of the whole file."""
        return hashlib.sha256(self.raw).hexdigest()


@dataclass(frozen=True, slots=True)
class Head:
    """The newest statement that someone has seen, and the newest heartbeat's number."""

    number: int
    sha256: str
    heartbeat: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """One defect; `number` is that of the statement it shows at, 0 for the series as a whole."""

    defect: Defect
    number: int
    detail: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome. Sound only if `faults` is empty. `identity` is the list in force at the end."""

    statements: tuple[Statement, ...]
    faults: tuple[Fault, ...]
    head: Head | None
    fresh_until: int | None
    identity: Identity | None


def judge_series(
    files: Sequence[Signed],
    anchor: str,
    now: int,
    *,
    heartbeat: Signed | None = None,
    remembered: Head | None = None,
) -> Judgement:
    """Judge files in the order they were given. `anchor` is a full fingerprint, `now` in seconds."""
    faults: list[Fault] = []
    read: list[tuple[Statement, Signed]] = []
    for place, file in enumerate(files, 1):
        try:
            if file.text is None:
                raise ValueError("not exactly one clear-signed text")
            read.append((parse_statement(file.text), file))
        except ValueError as error:
            faults.append(Fault(Defect.UNREADABLE, place, str(error)))
    ordered = _order(read, faults)
    if not ordered:
        return Judgement((), tuple(faults), None, None, None)
    _chain(ordered, faults)
    authority = _Authority(anchor)
    authority.walk(ordered, faults)
    _dates(ordered, now, faults)
    head = Head(ordered[-1][0].number, ordered[-1][1].sha256)
    beat = _beat(heartbeat, authority, now, faults)
    fresh = _freshness(ordered, beat, now, faults)
    _compare(ordered, head, beat, remembered, faults)
    if beat is not None:
        head = Head(head.number, head.sha256, beat.number)
    return Judgement(tuple(one for one, _ in ordered), tuple(faults), head, fresh, authority.identity)


Ordered = list[tuple[Statement, Signed]]


def _order(read: Ordered, faults: list[Fault]) -> Ordered:
    """In order of number, with a fault for every way in which they were not."""
    by_number: dict[int, tuple[Statement, Signed]] = {}
    numbers = [statement.number for statement, _ in read]
    for statement, file in read:
        known = by_number.get(statement.number)
        if known is None:
            by_number[statement.number] = (statement, file)
            continue
        same = known[1].raw == file.raw
        detail = "the same statement twice" if same else "two statements with one number"
        faults.append(Fault(Defect.REPLAYED if same else Defect.FORKED, statement.number, detail))
    if any(later < earlier for earlier, later in pairwise(numbers)):
        faults.append(Fault(Defect.REORDERED, 0, "not in order of number"))
    for missing in sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers)):
        faults.append(Fault(Defect.DROPPED, missing, "missing"))
    if not read:
        faults.append(Fault(Defect.DROPPED, 1, "there is no statement at all"))
    return [by_number[number] for number in sorted(by_number)]


def _chain(ordered: Ordered, faults: list[Fault]) -> None:
    hashes = {0: ""} | {statement.number: file.sha256 for statement, file in ordered}
    for statement, _ in ordered:
        before = hashes.get(statement.number - 1)
        if before is not None and statement.previous != before:
            faults.append(Fault(Defect.FORKED, statement.number, "does not follow the statement before it"))


class _Authority:
    """Who may sign, from one statement to the next."""

    def __init__(self, anchor: str) -> None:
        self._anchor = anchor
        self._anchored = False
        self.identity: Identity | None = None
        self.until = 0
        self._revoked: list[tuple[int, str]] = []

    def walk(self, ordered: Ordered, faults: list[Fault]) -> None:
        """Check every signature; `identity` is then the list in force, good `until`."""
        for statement, file in ordered:
            names = {name for name, _ in file.signers}
            late = [made for _, made in file.signers if not -AHEAD <= made - statement.issued <= _LATEST]
            if late:
                faults.append(Fault(Defect.BACKDATED, statement.number, "signed at quite another time"))
            if isinstance(statement.content, Identity):
                self._list_of_addresses(statement, statement.content, names, file.revoked, faults)
            else:
                self._ordinary(statement, names, file.revoked, faults)
        if not self._anchored:
            faults.append(Fault(Defect.ANCHOR, 0, "no list in this series is signed by the key you named"))
        for number, name in self._revoked:
            faults.append(Fault(Defect.UNSIGNED, number, f"by a key that was revoked later: {name}"))

    def _list_of_addresses(
        self,
        statement: Statement,
        new: Identity,
        names: set[str],
        revoked: frozenset[str],
        faults: list[Fault],
    ) -> None:
        old = self.identity
        every = names | revoked
        if old is None and statement.number != 1:
            faults.append(Fault(Defect.UNSIGNED, statement.number, "the first list is missing"))
            return
        fresh = set(new.signers) - set(old.signers if old else ())
        enough = len(every & set(new.signers)) >= new.threshold and fresh <= every
        if old is not None:
            enough = enough and len(every & set(old.signers)) >= old.threshold
        if not enough:
            detail = "a new list needs the signatures of the keys before it and of every new key"
            faults.append(Fault(Defect.UNSIGNED, statement.number, detail))
            return
        if len(names & set(new.signers)) >= new.threshold and fresh <= names:
            # Vouched for by the hash chain and by keys that are still good.
            self._revoked.clear()
        else:
            self._revoked += [(statement.number, name) for name in sorted(revoked & set(new.signers))]
        if self._anchor in names and self._anchor in new.signers:
            self._anchored = True
        self.identity, self.until = new, statement.valid_until

    def _ordinary(
        self, statement: Statement, names: set[str], revoked: frozenset[str], faults: list[Fault]
    ) -> None:
        if self.identity is None:
            faults.append(Fault(Defect.UNSIGNED, statement.number, "no list says yet who may sign"))
            return
        allowed = set(self.identity.signers)
        if len((names | revoked) & allowed) < self.identity.threshold:
            detail = f"{len(names & allowed)} of {self.identity.threshold} signatures needed are sound"
            faults.append(Fault(Defect.UNSIGNED, statement.number, detail))
        elif len(names & allowed) < self.identity.threshold:
            self._revoked += [(statement.number, name) for name in sorted(revoked & allowed)]


def _dates(ordered: Ordered, now: int, faults: list[Fault]) -> None:
    last = 0
    addresses = 0
    for statement, _ in ordered:
        if statement.issued < last:
            faults.append(Fault(Defect.BACKDATED, statement.number, "issued before the one before it"))
        if statement.issued > now + AHEAD:
            faults.append(Fault(Defect.FUTURE, statement.number, "issued in the future of this clock"))
        if statement.valid_until <= statement.issued:
            faults.append(Fault(Defect.EXPIRED, statement.number, "was never valid"))
        last = max(last, statement.issued)
        addresses = statement.number if statement.kind is Kind.IDENTITY else addresses
        if statement.addresses != addresses:
            faults.append(Fault(Defect.FORKED, statement.number, "names another list of addresses"))


def _beat(file: Signed | None, authority: _Authority, now: int, faults: list[Fault]) -> Heartbeat | None:
    if file is None:
        return None
    try:
        if file.text is None:
            raise ValueError("not exactly one clear-signed text")
        beat = parse_heartbeat(file.text)
    except ValueError as error:
        faults.append(Fault(Defect.HEARTBEAT, 0, str(error)))
        return None
    key = authority.identity.heartbeat_key if authority.identity else None
    made = dict(file.signers).get(key or "")
    if made is None or not -AHEAD <= made - beat.issued <= _LATEST:
        faults.append(Fault(Defect.HEARTBEAT, 0, "not signed by the heartbeat key of the list in force"))
        return None
    if beat.next_by > authority.until:
        faults.append(Fault(Defect.HEARTBEAT, 0, "the list that names the heartbeat key is over before it"))
        return None
    if beat.issued > now + AHEAD or beat.next_by <= beat.issued:
        faults.append(Fault(Defect.FUTURE, 0, "the heartbeat is issued in the future of this clock"))
        return None
    return beat


def _freshness(ordered: Ordered, beat: Heartbeat | None, now: int, faults: list[Fault]) -> int:
    head, file = ordered[-1]
    fresh = head.valid_until
    if beat is not None and (beat.head_number, beat.head_sha256) == (head.number, file.sha256):
        fresh = max(fresh, beat.next_by)
    if fresh < now:
        detail = "nothing in it is valid any more: newer statements may be withheld"
        faults.append(Fault(Defect.EXPIRED, head.number, detail))
    return fresh


def _compare(
    ordered: Ordered,
    head: Head,
    beat: Heartbeat | None,
    remembered: Head | None,
    faults: list[Fault],
) -> None:
    """Against what others, or we earlier, know to be there."""
    hashes = {statement.number: file.sha256 for statement, file in ordered}
    newest = head.number
    if beat is not None:
        if beat.head_number > newest:
            faults.append(Fault(Defect.WITHHELD, beat.head_number, "the heartbeat knows newer statements"))
        elif hashes.get(beat.head_number, beat.head_sha256) != beat.head_sha256:
            faults.append(Fault(Defect.FORKED, beat.head_number, "the heartbeat knows another one"))
    if remembered is not None:
        if remembered.number > newest:
            faults.append(Fault(Defect.ROLLED_BACK, remembered.number, "a newer statement was seen before"))
        elif hashes.get(remembered.number, remembered.sha256) != remembered.sha256:
            faults.append(Fault(Defect.FORKED, remembered.number, "another one was seen before"))
        if beat is not None and beat.number < remembered.heartbeat:
            faults.append(Fault(Defect.ROLLED_BACK, 0, "a newer heartbeat was seen before"))
