"""From raw mail to the spool: the early check, then one durable acceptance, then a word to the sender.

Shared by the LMTP, SMTP and IMAP ways in. It promises that nobody is told "kept" before `Intake.accept`
has returned, and that an acceptance once begun is finished even if the client goes away meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from veildesk.core.envelope import with_envelope
from veildesk.core.errors import SpoolUnavailable, VeildeskError
from veildesk.core.ports import Intake
from veildesk.core.submission import Accepted, Channel, Submission, dedup_key

__all__ = ["Acceptance", "EarlyCheck"]

log = logging.getLogger("veildesk.intake")
_LARGE = 1024 * 1024

EarlyCheck = Callable[[bytes, str], Awaitable[VeildeskError | None]]


class Acceptance:
    """Hands mails of one channel to the spool.

    `secret` keys the digests by which a mail that comes twice is known again: they cover the queue and
    every byte of the mail, so a mail repeated after a lost reply, a crash or a UIDVALIDITY change stays
    one message. `early_check` may refuse a mail that its sender can still be told about; it gets the payload
    as it would be kept (`with_envelope`) and the envelope recipient.
    """

    def __init__(
        self,
        intake: Intake,
        channel: Channel,
        secret: bytes,
        early_check: EarlyCheck | None = None,
    ) -> None:
        self._intake = intake
        self._channel = channel
        self._secret = secret
        self._early_check = early_check
        self._running: set[asyncio.Task[Accepted]] = set()

    async def refusal(
        self, raw: bytes, recipient: str, *, null_sender: bool, extension: str = ""
    ) -> VeildeskError | None:
        """What speaks against this mail. A check that fails itself does not: the pipeline decides then."""
        if self._early_check is None:
            return None
        try:
            payload = with_envelope(raw, null_sender=null_sender, extension=extension)
            return await self._early_check(payload, recipient)
        except VeildeskError as error:
            return error
        except Exception as error:
            log.error("early-check-failed kind=%s", type(error).__name__)
            return None

    async def keep(
        self,
        raw: bytes,
        queue: str,
        *,
        null_sender: bool,
        extension: str = "",
        begun: Callable[[asyncio.Task[Accepted]], None] = lambda _: None,
    ) -> Accepted:
        """Keep a mail durably. Raises `SpoolUnavailable`, also for faults of the spool itself.

        `extension` is that of our address ("token" in support+token@...), as far as the envelope shows it.
        Who waits for this may go away with the connection; what was `begun` holds the mail until it ended.
        """
        scope = b"imap" if self._channel is Channel.IMAP else b"smtp"
        dedup = partial(dedup_key, self._secret, scope, queue.encode(), raw)
        submission = Submission(
            channel=self._channel,
            dedup=dedup() if len(raw) < _LARGE else await asyncio.to_thread(dedup),
            payload=with_envelope(raw, null_sender=null_sender, extension=extension),
            queue=queue,
        )
        task = asyncio.ensure_future(self._intake.accept(submission))
        self._running.add(task)
        begun(task)
        task.add_done_callback(self._finished)
        try:
            return await asyncio.shield(task)
        except VeildeskError:
            raise
        except Exception as error:
            log.error("accept-failed kind=%s", type(error).__name__)
            raise SpoolUnavailable("unexpected") from None

    def _finished(self, task: asyncio.Task[Accepted]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # Marked as seen: its waiter may be gone with the connection.

    async def drain(self) -> None:
        """Wait until every acceptance that was begun has ended."""
        while self._running:
            await asyncio.wait(self._running)
