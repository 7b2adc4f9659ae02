"""Finds what should be hidden in a text.

`find` scans a normalised view once for triggers, asks the rules that fired, looks again into windows
where encodings may hide something and into values broken by mail wrapping, adds the user's own words
and the operator's rules, and returns findings in offsets of the given text. It never changes the text,
keeps nothing, and answers for any input, lone surrogates and NUL included.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache

from veildesk.core.finding import Finding
from veildesk.redact import decode, gaps, joins
from veildesk.redact.detect.catalogue import RULES, WORDED
from veildesk.redact.masks import BLANK, MASK
from veildesk.redact.resolve import resolve, without_masks
from veildesk.redact.rule import Rule
from veildesk.redact.rules import RuleSet
from veildesk.redact.scan import Scanner, Trigger, make_scanner, positions
from veildesk.redact.values import same_value
from veildesk.redact.view import View, plain_view
from veildesk.redact.words import own_findings

__all__ = ["Searcher", "find", "searcher"]

_DECODE_REACH = 200
_CONTEXT = 16
"""So near before a finding an undone piece counts as part of its reason."""


class Searcher:
    """The rules bound to a scanning engine. Immutable after building; any thread may use it."""

    def __init__(self, rules: Sequence[Rule], *, pure: bool = False) -> None:
        self._rules = tuple(rules)
        worded = set(map(id, WORDED))
        self._worded = frozenset(number for number, rule in enumerate(self._rules) if id(rule) in worded)
        triggers: dict[Trigger, int] = {}
        self._trigger_rules: list[list[int]] = []
        for number, rule in enumerate(self._rules):
            at = triggers.setdefault((rule.triggers, rule.cased), len(triggers))
            if at == len(self._trigger_rules):
                self._trigger_rules.append([])
            self._trigger_rules[at].append(number)
        self._decode_from = len(triggers)
        self.triggers: tuple[Trigger, ...] = (
            *triggers,
            (decode.CASED_TRIGGERS, True),
            (decode.TRIGGERS, False),
            (gaps.TRIGGERS, True),
        )
        self.scanner: Scanner = make_scanner(self.triggers, pure=pure)

    def search(self, text: str, *, depth: int = 0) -> list[Finding]:
        """Findings in view offsets, overlapping ones included; `depth` counts decodings."""
        fired, decodable, parted = self._hits(text)
        found: list[Finding] = []
        for number, ends in fired.items():
            rule = self._rules[number]
            for start, stop in _windows(ends, rule.back, rule.ahead, len(text)):
                found.extend(rule.search(text, start, stop))
        if depth < 2:
            for start, stop in _windows(decodable, _DECODE_REACH, _DECODE_REACH, len(text)):
                found.extend(self._decoded(text, start, stop, depth))
        if depth == 0:
            found.extend(joins.joined_findings(text, found, self._in_turn))
            found.extend(joins.continued(text, found))
            for start, stop in _windows(parted, gaps.REACH, 0, len(text)):
                found.extend(
                    gaps.spaced_findings(text, start, stop, lambda piece: next(self._in_turn(piece)))
                )
        return found

    def _hits(self, text: str) -> tuple[dict[int, list[int]], list[int], list[int]]:
        """Per rule, for decoding and for gaps, where triggers ended, in code points."""
        data = b"\n" + text.encode("utf-8", "surrogatepass") + b"\n"
        hits = self.scanner.scan(data)
        where: Mapping[int, int] | None = None
        if len(data) != len(text) + 2:
            where = positions(data, [end for _, end in hits])
        ends: dict[int, list[int]] = {}
        for trigger, end in hits:
            at = (end if where is None else where[end]) - 1
            if trigger in ends:
                ends[trigger].append(at)
            else:
                ends[trigger] = [at]
        fired: dict[int, list[int]] = {}
        decodable: list[int] = []
        parted = ends.pop(self._decode_from + 2, [])
        for trigger, places in ends.items():
            if trigger < self._decode_from:
                for number in self._trigger_rules[trigger]:
                    fired[number] = places
            else:
                decodable += places
        return fired, decodable, parted

    def _decoded(self, text: str, start: int, stop: int, depth: int) -> Iterator[Finding]:
        """Findings that only show once leftovers of encodings are undone."""
        for view in decode.decoded_views(text[start:stop]):
            if view.text == text[start:stop]:
                continue
            for item in self.search(view.text, depth=depth + 1):
                if view.touches_edit(max(0, item.start - _CONTEXT), item.end + 1):
                    yield _moved(item, view, start)

    def _in_turn(self, text: str) -> Iterator[list[Finding]]:
        """Findings in a short text taken as it stands: of the exact rules, then of those that go by words."""
        fired, _, _ = self._hits(text)
        yield [
            item
            for number in sorted(fired)  # the first that fits is taken, with either engine the same
            if self._rules[number].exact
            for item in self._rules[number].search(text, 0, len(text))
        ]
        found: list[Finding] = []
        for number, ends in sorted(fired.items()):
            rule = self._rules[number]
            if number in self._worded:
                for start, stop in _windows(ends, rule.back, rule.ahead, len(text)):
                    found.extend(rule.search(text, start, stop))
        yield found


def searcher(pure: bool = False) -> Searcher:
    """The built-in rules, compiled once."""
    return _searcher(bool(pure))  # Not cached here: a default and the same value given would be two.


@cache
def _searcher(pure: bool) -> Searcher:
    return Searcher(RULES, pure=pure)


def _windows(ends: list[int], back: int, ahead: int, length: int) -> Sequence[tuple[int, int]]:
    """Merged windows around trigger ends."""
    if len(ends) == 1:
        return ((max(0, ends[0] - back), min(ends[0] + ahead, length)),)
    windows: list[tuple[int, int]] = []
    ends.sort()
    start = stop = -1
    for end in ends:
        if stop < 0:
            start, stop = max(0, end - back), end + ahead
        elif end - back <= stop:
            stop = end + ahead
        else:
            windows.append((start, min(stop, length)))
            start, stop = end - back, end + ahead
    if stop >= 0:
        windows.append((start, min(stop, length)))
    return windows


def _moved(item: Finding, view: View, by: int) -> Finding:
    """`item` in offsets of the view's source, `by` code points further on."""
    if view.unchanged and by == 0:
        return item
    start, end = view.source(item.start, item.end)
    return Finding(start + by, end + by, item.type, item.rule, item.confidence, item.secret)


_ALL = RuleSet()


def find(
    text: str,
    *,
    rules: RuleSet | None = None,
    own_words: Sequence[str] = (),
    kept: Collection[str] = (),
    confirmed: Collection[str] = (),
    pure: bool = False,
) -> tuple[Finding, ...]:
    """What should be hidden in `text`: sorted, without overlaps, offsets in code points of `text`.

    `own_words` are words the user wants hidden too. Values in `kept` are not reported unless secret;
    those in `confirmed` are not reported at all: their owner said twice that agents may see them.
    `pure` searches without Hyperscan, with the same result.
    """
    rules = rules or _ALL
    view = plain_view(text)
    found = [_moved(item, view, 0) for item in _searched(view.text, rules, own_words, pure)]
    if not found:
        return ()
    keep = frozenset(kept) | frozenset(confirmed)
    same = {same_value(value) for value in keep}
    said_twice = {same_value(value) for value in confirmed}
    reported = [
        item for item in without_masks(found, _blanked(text)) if item.secret or item.type not in rules.off
    ]
    return tuple(
        item
        for item in resolve(reported)
        if not keep or same_value(text[item.start : item.end]) not in (said_twice if item.secret else same)
    )


def _searched(text: str, rules: RuleSet, own_words: Sequence[str], pure: bool) -> Iterator[Finding]:
    yield from searcher(pure).search(text)
    if own_words:
        yield from own_findings(text, own_words)
    for rule in rules.own:
        group = 1 if rule.pattern.groups else 0
        for match in rule.pattern.finditer(text):
            if match.end(group) > match.start(group):
                yield Finding(match.start(group), match.end(group), rule.type, "operator", 1.0, rule.secret)


def _blanked(text: str) -> str:
    """`text` with masks replaced by blanks of the same length."""
    return MASK.sub(lambda match: BLANK * len(match[0]), text) if "[" in text else text
