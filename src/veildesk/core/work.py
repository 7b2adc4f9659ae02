"""States of a message on its way, and the only transitions that exist.

Rule 1: a state changes only by `Spool.advance`, in one commit with the effect that belongs to it.
Rule 2: before an effect outside the store, the state says that it is about to happen (`DELIVERING`,
`SENDING`); after a crash in between, the effect is looked up by its key before it is repeated.
Rule 3: nothing is dropped. What cannot go on is parked, held or quarantined with a reason code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from veildesk.core.submission import Channel

__all__ = ["TRANSITIONS", "Direction", "Reason", "State", "Work"]


class Direction(StrEnum):
    """Towards the agents or back to the user."""

    IN = "in"
    OUT = "out"


class State(StrEnum):
    """In: accepted, delivering, delivered. Out: collected, sending, sent. Both: parked.

    `QUARANTINED` keeps an incoming message that no ticket was made of; `HELD` an answer that a rule
    stopped until a person decides.
    """

    ACCEPTED = "accepted"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    QUARANTINED = "quarantined"
    COLLECTED = "collected"
    SENDING = "sending"
    SENT = "sent"
    HELD = "held"
    PARKED = "parked"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.ACCEPTED: frozenset({State.DELIVERING, State.QUARANTINED, State.PARKED}),
    State.DELIVERING: frozenset({State.DELIVERED, State.PARKED}),
    State.DELIVERED: frozenset(),
    State.QUARANTINED: frozenset({State.ACCEPTED}),
    State.COLLECTED: frozenset({State.SENDING, State.HELD, State.PARKED}),
    State.SENDING: frozenset({State.SENT, State.PARKED}),
    State.SENT: frozenset(),
    State.HELD: frozenset({State.COLLECTED}),
    State.PARKED: frozenset({State.ACCEPTED, State.DELIVERING, State.COLLECTED, State.SENDING}),
}


class Reason(StrEnum):
    """Why a message does not go on. Stored and shown as is; never free text."""

    NONE = ""
    UNPARSABLE = "unparsable"
    LIMIT = "limit-exceeded"
    UNDECRYPTABLE = "undecryptable"
    INTEGRITY = "integrity-failed"
    NOT_ENCRYPTED = "not-encrypted"
    NOT_SIGNED = "not-signed"
    AUTOMATIC = "automatic"
    LIST = "through-a-list"
    SENDER = "ambiguous-sender"
    BACKEND = "backend-refused"
    BACKEND_DOWN = "backend-unavailable"
    NO_CONTACT = "no-contact"
    NO_KEY = "no-usable-key"
    SEND = "send-refused"
    SEND_LATER = "send-failed"
    GUARD = "outgoing-guard"
    OTHER_PEOPLE = "names-other-people"
    INTERNAL_ADDRESS = "internal-address"
    HELPDESK_LINK = "links-to-helpdesk"
    FILES = "files-not-possible"
    FILES_LATER = "files-unavailable"
    EMPTY = "nothing-to-send"
    MERGED = "ticket-merged"
    BY_MAIL = "answered-by-mail"
    FORWARDED = "went-to-others"
    OPERATOR = "parked-by-operator"
    SCAN = "scan-unavailable"
    UNKNOWN_THREAD = "unknown-thread"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed message. Opaque ids and codes only; `accepted_day` is days since 1970 UTC.

    `parked_from` is the state it was parked in, so that a retry goes on from there.
    """

    message_id: str
    ticket_id: str
    direction: Direction
    channel: Channel
    state: State
    attempts: int = 0
    reason: Reason = Reason.NONE
    accepted_day: int = 0
    queue: str = "support"
    parked_from: State | None = None
