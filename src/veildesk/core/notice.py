"""Signed incident notices, in the words people know from status pages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Impact", "IncidentState", "Notice", "PublishedNotice"]


class IncidentState(StrEnum):
    """Where an incident stands."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    POSTMORTEM = "post-mortem"


class Impact(StrEnum):
    """How bad it is."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice before signing, user action first. All texts are plain text."""

    title: str
    state: IncidentState
    impact: Impact
    action: str
    summary: str
    affected: str = ""


@dataclass(frozen=True, slots=True)
class PublishedNotice:
    """A notice as served. `signed_text` is the clear-signed file (RFC 9580 § 7), byte for byte.

    `issued` is seconds since 1970 UTC; `number` counts from 1 and `sha256` is that of `signed_text`.
    """

    number: int
    issued: int
    notice: Notice
    signed_text: str
    sha256: str
