"""From a draft to a published statement: prepare here, sign here or elsewhere, publish here.

Preparing fixes everything that is signed: number, hash of the one before, times. Publishing checks the
whole series with the new statement at its end, as a suspicious reader would, before it adds it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.core.notice import Identity, Kind, Notice, PublishedNotice, Statement, Words
from veildesk.core.ports import Clock, Engine
from veildesk.notices.archive import NoticeDirectory, NoticeRefused
from veildesk.notices.crashpoint import crashpoint
from veildesk.notices.draft import Draft, placeholders
from veildesk.notices.guard import concerns, official_values
from veildesk.notices.lost_end import refuse_lost_end
from veildesk.notices.series import AHEAD, Defect, Judgement, Signed, judge_series
from veildesk.notices.signing import combine, read_signed, sign_text, signed_body
from veildesk.notices.text import parse_statement, statement_text

__all__ = ["Publisher", "Rules"]

DAY = 86400
_STALE = 7 * DAY
_PAUSE = 45 * DAY


@dataclass(frozen=True, slots=True)
class Rules:
    """The team's settings. `identity` is the list of addresses as the configuration has it now.

    Lifetimes in days. `where` is the address at which the list of official addresses is served.
    """

    identity: Identity
    where: str
    valid_days: int = 30
    list_days: int = 180
    canary_days: int = 45


class Publisher:
    """One team's series. `engine` has the public keys of all signers, and the secret ones that are here.

    `copies` are folders of exports, which remember what was published.
    """

    def __init__(
        self,
        directory: NoticeDirectory,
        engine: Engine,
        clock: Clock,
        rules: Rules,
        copies: Sequence[Path] = (),
    ) -> None:
        self.directory = directory
        self._engine = engine
        self._clock = clock
        self.rules = rules
        self.copies = tuple(copies)

    # ------------------------------------------------------------------ preparing

    async def prepare(
        self, content: Draft | Identity, *, allowed: Collection[str] = (), after_pause: bool = False
    ) -> str:
        """The text to sign. Raises `NoticeRefused`, `ConfigInvalid` or `KeyUnusable`."""
        series = self.directory.published()
        identity = self.directory.identity()
        if isinstance(content, Draft):
            if identity is None:
                raise NoticeRefused(
                    "the series has no list of official addresses yet; 'veildesk identity publish' makes it"
                )
            if left := placeholders(content.words):
                raise NoticeRefused(f"the template is not filled in: {', '.join(left)}")
            self._guard(content.words, allowed)
            self._story(content.notice)
        now = self._time(series, after_pause)
        number = len(series) + 1
        is_list = isinstance(content, Identity)
        signers = (
            content.signers if isinstance(content, Identity) else (identity or self.rules.identity).signers
        )
        statement = Statement(
            number=number,
            kind=Kind.IDENTITY if isinstance(content, Identity) else content.kind,
            issued=now,
            valid_until=await self._valid_until(content, now, signers),
            previous=series[-1].sha256 if series else "",
            addresses=number if is_list else series[-1].statement.addresses,
            where=self.rules.where,
            content=content if isinstance(content, Identity) else (content.notice or content.words),
        )
        return statement_text(statement)

    def _guard(self, words: Mapping[str, Words], allowed: Collection[str]) -> None:
        official = official_values(self.directory.identity()) | official_values(self.rules.identity)
        found = concerns(words, official, allowed)
        if found:
            listed = "; ".join(str(one) for one in found[:8])
            way = (
                "a secret can never be published"
                if any(one.secret for one in found)
                else ("take it out, or name the exact value with --allow")
            )
            raise NoticeRefused(f"personal or secret data: {listed}; {way}")

    def _story(self, notice: Notice | None) -> None:
        """An update must belong to a story that exists and is of its kind."""
        if notice is None or notice.incident is None:
            if notice is not None and notice.kind is Kind.POSTMORTEM:
                raise NoticeRefused(
                    "a post-mortem needs 'incident', the number of the notice that opened the story"
                )
            return
        story = [item for item in self.directory.published() if _opened_by(item, notice.incident)]
        if not story:
            raise NoticeRefused(
                f"no notice {notice.incident} opened a story; 'veildesk notice list' shows them"
            )
        kind = story[0].kind
        if notice.kind is not kind and notice.kind is not Kind.POSTMORTEM:
            raise NoticeRefused(f"that story is of the kind '{kind.value}'")

    def _time(self, series: Sequence[PublishedNotice], after_pause: bool) -> int:
        """Now in whole minutes, unless the clock cannot be right."""
        now = self._clock.now() // 60 * 60
        last = series[-1].issued if series else 0
        if now < last:
            raise NoticeRefused("the clock is behind the newest statement; set it right, then try again")
        if (
            series
            and now - last > _PAUSE
            and now > series[-1].statement.valid_until + _PAUSE
            and not after_pause
        ):
            raise NoticeRefused(
                "by this clock the newest statement is long over; if the clock is right, use --after-pause"
            )
        return now

    async def _valid_until(self, content: Draft | Identity, now: int, signers: Sequence[str]) -> int:
        """As long as such statements last, but never longer than a key that signs it."""
        days = self.rules.valid_days
        if isinstance(content, Identity):
            days = self.rules.list_days
        elif content.kind is Kind.CANARY:
            days = self.rules.canary_days
        until = now + days * DAY
        for signer in signers:
            status = await self._engine.certificate_status(await self._engine.export(signer))
            if status.revoked or status.expired:
                raise KeyUnusable("a notice key is expired or revoked; renew or rotate it before publishing")
            if status.expires is not None:
                until = min(until, status.expires // 60 * 60)
        if until <= now:
            raise KeyUnusable("a notice key is about to expire; renew or rotate it before publishing")
        return until

    # ------------------------------------------------------------------ signing here

    async def sign(self, text: str) -> str:
        """Sign with the keys that are here, as many as are needed; publishing counts them.

        Raises `KeyUnusable` if none of them can sign here.
        """
        now = self.directory.identity()
        is_list = "\nKind: identity\n" in text
        wanted = list(now.signers) if now else []
        if is_list:
            wanted += [one for one in self.rules.identity.signers if one not in wanted]
        enough = len(wanted) if is_list or now is None else now.threshold
        parts: list[str] = []
        for signer in wanted:
            if len(parts) < enough:
                with contextlib.suppress(KeyUnusable):
                    parts.append(await sign_text(text, self._engine, [signer]))
        if not parts:
            raise KeyUnusable(
                "no notice key can sign here; write the text with 'veildesk notice preview --out', sign it "
                "where the key is, and publish the signed file"
            )
        return combine(parts)

    # ------------------------------------------------------------------ publishing

    async def publish(self, signed: str, *, allowed: Collection[str] = ()) -> PublishedNotice:
        """Check as a reader would, then add. Publishing the same file again changes nothing.

        Raises `NoticeRefused`, `KeyUnusable` or `ConfigInvalid`.
        """
        raw = signed.encode("utf-8")
        with self.directory.publishing():
            crashpoint("notice.signed")
            series = self.directory.published()
            for item in series:
                if item.signed_text == signed:
                    return item
            with contextlib.suppress(ValueError):
                if parse_statement(signed_body(signed)).number <= len(series):
                    raise NoticeRefused(
                        "another statement with this number is published; draft again after it"
                    )
            refuse_lost_end(self.directory, self.copies)
            judgement = await self._judged([*series_bytes(series), raw])
            self._refuse_faults(judgement, len(series) + 1)
            statement = judgement.statements[-1]
            await self._fit_to_publish(statement, judgement)
            if not isinstance(statement.content, Identity):
                words = (
                    statement.content.words if isinstance(statement.content, Notice) else statement.content
                )
                self._guard(words, allowed)
                if isinstance(statement.content, Notice):
                    self._story(statement.content)
            return await asyncio.to_thread(self.directory.add, statement.number, signed)

    async def judged(self) -> Judgement:
        """The published series as a reader would judge it, without heartbeat."""
        return await self._judged(series_bytes(self.directory.published()))

    async def _judged(self, files: Sequence[bytes]) -> Judgement:
        read: list[Signed] = []
        for raw in files:
            read.append(await read_signed(raw, self._engine))
        anchor = self._anchor(read)
        return judge_series(read, anchor, self._clock.now())

    def _anchor(self, read: Sequence[Signed]) -> str:
        """We trust our own configuration: any of its signers, or of the list in force."""
        known = self.directory.identity() or self.rules.identity
        names = {name for file in read for name, _ in file.signers}
        return next(
            (one for one in (*self.rules.identity.signers, *known.signers) if one in names), known.signers[0]
        )

    def _refuse_faults(self, judgement: Judgement, number: int) -> None:
        faults = [one for one in judgement.faults if one.defect is not Defect.EXPIRED]
        if not faults:
            return
        first = faults[0]
        if damaged := [one for one in faults if 0 < one.number < number]:
            raise NoticeRefused(
                f"published statement {damaged[0].number} is {damaged[0].defect.value}: restore it from a "
                "channel that has it, such as a static export, and run 'veildesk notice verify'"
            )
        advice = {
            Defect.UNREADABLE: "sign the exact text that 'veildesk notice preview --out' wrote",
            Defect.UNSIGNED: "sign it with the keys that the list of official addresses names",
            Defect.FORKED: "another statement was published meanwhile; draft again after it",
            Defect.REPLAYED: "it is published already",
            Defect.DROPPED: "it was made for another place in the series; draft again",
            Defect.REORDERED: "another statement was published meanwhile; draft again after it",
            Defect.FUTURE: "set the clocks right",
            Defect.BACKDATED: "set the clocks right, then draft again",
        }.get(first.defect, "run 'veildesk notice verify'")
        raise NoticeRefused(
            f"statement {first.number or number} is {first.defect.value}: {first.detail}; {advice}"
        )

    async def _fit_to_publish(self, statement: Statement, judgement: Judgement) -> None:
        now = self._clock.now()
        if statement.issued > now + AHEAD or statement.issued < now - _STALE:
            raise NoticeRefused("it was drafted too long ago, or by another clock; draft again")
        if statement.valid_until <= now:
            raise NoticeRefused("it is not valid any more; draft again")
        identity = judgement.identity or self.rules.identity
        for signer in identity.signers:
            with contextlib.suppress(VeildeskError):
                status = await self._engine.certificate_status(await self._engine.export(signer))
                if status.expires is not None and statement.valid_until > status.expires:
                    raise NoticeRefused("it would outlive the key that signs it; draft again")
                if status.expired or status.revoked:
                    raise KeyUnusable("a notice key is expired or revoked; rotate it before publishing")


def series_bytes(series: Sequence[PublishedNotice]) -> list[bytes]:
    """The exact files."""
    return [item.signed_text.encode("utf-8") for item in series]


def _opened_by(item: PublishedNotice, number: int) -> bool:
    return isinstance(item.statement.content, Notice) and item.number == number and item.incident == number
