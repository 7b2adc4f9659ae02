"""Why a file was refused and what was taken out of it, as closed lists.

The worker answers with these words only, so that a worker taken over by a hostile file cannot put
sentences of its own before users or agents. Every sentence is fixed and safe to show to anyone.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["FileRefused", "Refusal", "Removed"]


class Refusal(StrEnum):
    """A stable code; `sentence` is what users and agents read."""

    EMPTY = "empty"
    TOO_LARGE = "too-large"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_MANY_PAGES = "too-many-pages"
    TOO_MANY_MEMBERS = "too-many-members"
    TOO_DEEP = "too-deep"
    BOMB = "bomb"
    UNSAFE = "unsafe"
    DAMAGED = "damaged"
    PROTECTED = "protected"
    NOTHING_LEFT = "nothing-left"
    UNKNOWN = "unknown"
    AUDIO_VIDEO = "audio-video"
    PROGRAM = "program"
    DRAWING = "drawing"
    OLD_OFFICE = "old-office"
    OTHER_ARCHIVE = "other-archive"
    NO_PDF = "no-pdf"
    TNEF = "tnef"
    MAIL = "mail"
    CONTACT = "contact"
    PUBLIC_KEY = "public-key"
    PRIVATE_KEY = "private-key"
    PGP_DATA = "pgp-data"
    TIMEOUT = "timeout"
    FAILED = "failed"
    NOT_CLEAN = "not-clean"
    MALWARE = "malware"
    SCAN_LATER = "scan-later"

    @property
    def sentence(self) -> str:
        """The public sentence."""
        return _SENTENCES[self]


_SENTENCES = {
    Refusal.EMPTY: "The file is empty.",
    Refusal.TOO_LARGE: "The file is larger than is accepted here.",
    Refusal.TOO_MANY_PIXELS: "The image has more pixels than can be cleaned safely; send a smaller one.",
    Refusal.TOO_MANY_PAGES: "The document has more pages than can be cleaned safely.",
    Refusal.TOO_MANY_MEMBERS: "The archive holds more files than can be cleaned safely.",
    Refusal.TOO_DEEP: "Archives within archives are not opened this deep; send the files themselves.",
    Refusal.BOMB: "The file unpacks to far more than its size and was not opened.",
    Refusal.UNSAFE: "The document is built in a way that is not safe to read.",
    Refusal.DAMAGED: "The file is damaged or incomplete and could not be cleaned.",
    Refusal.PROTECTED: "The file is protected with a password and could not be cleaned.",
    Refusal.NOTHING_LEFT: "Nothing in this file could be delivered.",
    Refusal.UNKNOWN: "This kind of file cannot be cleaned; send text, a screenshot (PNG, JPEG) or a log.",
    Refusal.AUDIO_VIDEO: "This audio or video cannot be cleaned here; send text or a screenshot.",
    Refusal.PROGRAM: "Programs are not delivered.",
    Refusal.DRAWING: "Vector drawings cannot be cleaned; send a screenshot (PNG, JPEG) instead.",
    Refusal.OLD_OFFICE: "Old Office files cannot be cleaned; send DOCX, XLSX, ODT or the text.",
    Refusal.OTHER_ARCHIVE: "This kind of archive is not opened; send a ZIP or the files themselves.",
    Refusal.NO_PDF: "PDF files cannot be cleaned on this server; send the text or a screenshot.",
    Refusal.TNEF: "Outlook's winmail.dat is not opened; send the files themselves.",
    Refusal.MAIL: "This attached mail could not be read; send its text.",
    Refusal.CONTACT: "Contact cards are not delivered, they name people.",
    Refusal.PUBLIC_KEY: "An OpenPGP public key is not delivered to agents, it names its owner.",
    Refusal.PRIVATE_KEY: "This file holds a private key and was dropped; never send it to anyone.",
    Refusal.PGP_DATA: "Separately encrypted or signed files are not opened; encrypt the whole mail instead.",
    Refusal.TIMEOUT: "Cleaning the file took too long and was stopped.",
    Refusal.FAILED: "The file could not be cleaned.",
    Refusal.NOT_CLEAN: "The file was not clean after cleaning and is not delivered.",
    Refusal.SCAN_LATER: "Files cannot be scanned at the moment; try again later or send the text alone.",
    Refusal.MALWARE: "The malware scan recognised this file; it is not delivered.",
}


class Removed(StrEnum):
    """What was taken out of a file that is delivered; shown to agents as it stands."""

    METADATA = "metadata"
    LOCATION = "location"
    THUMBNAIL = "embedded preview"
    COMMENT = "comment"
    COLOUR_PROFILE = "colour profile"
    TRAILING = "data after the end of the file"
    FRAMES = "all frames or pages but the first"
    CONTROLS = "control characters"
    LAYOUT = "everything but the text"
    CHANGES = "comments and tracked changes"
    HIDDEN = "hidden parts"
    PIXELS = "everything but the picture of each page"
    MEMBERS = "files that cannot be cleaned"
    PEOPLE = "organiser and attendees"


class FileRefused(Exception):
    """Raised inside cleaning when a file is not delivered; `reason` says why."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason
