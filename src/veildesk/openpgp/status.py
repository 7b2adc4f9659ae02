"""The status lines of gpg, read as a grammar (GnuPG doc/DETAILS); the only source of verdicts.

Input are the bytes of a descriptor that carries nothing else. Lines end with LF and with nothing
else, whatever their arguments hold. What does not fit the grammar makes the whole report worthless:
`StatusMalformed`, never a guess. No human text of gpg is read anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from veildesk.core.message import Signature, Verdict

__all__ = ["Report", "SignatureRecord", "StatusMalformed", "judge", "parse_status", "read_report"]

_PREFIX = b"[GNUPG:] "
_KEYWORD = re.compile(rb"[A-Z][A-Z0-9_]{1,39}\Z")
_HEX = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})\Z")
_VERDICTS = frozenset({"GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG"})
_WITH_DETAILS = frozenset({"GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"})
_ONCE = frozenset(
    {
        "BEGIN_DECRYPTION",
        "DECRYPTION_OKAY",
        "DECRYPTION_FAILED",
        "DECRYPTION_INFO",
        "GOODMDC",
        "BADMDC",
        "END_DECRYPTION",
        "PLAINTEXT",
        "BEGIN_ENCRYPTION",
        "END_ENCRYPTION",
        "SIG_CREATED",
        "KEY_CREATED",
    }
)
_KNOWN_DECRYPTION = frozenset(
    {
        "DECRYPTION_OKAY",
        "DECRYPTION_FAILED",
        "DECRYPTION_INFO",
        "DECRYPTION_KEY",
        "DECRYPTION_COMPLIANCE_MODE",
    }
)
_HASHES = {
    1: "md5",
    2: "sha1",
    3: "ripemd160",
    8: "sha256",
    9: "sha384",
    10: "sha512",
    11: "sha224",
    12: "sha3-256",
    14: "sha3-512",
}
_AGAINST = frozenset({"NODATA", "UNEXPECTED", "BADARMOR"})
# One of several keys did not open the message; another one may have.
_NO_KEY_ERROR = "pkdecrypt_failed"
# libgpg-error codes that may pass: timeout, no agent, agent error, Assuan fault; system errors besides.
_PASSING = frozenset({62, 77, 78, 80})
_SYSTEM_ERROR = 0x8000
_WEAK = frozenset({"md5", "sha1", "ripemd160"})
_DATA_CLASSES = frozenset({"00", "01"})
_NO_PUBLIC_KEY = 9
_TIME_CONFLICT = 39
# Unknown version, public-key, digest or cipher algorithm, not supported, unsupported algorithm.
_UNSUPPORTED = frozenset({3, 4, 5, 12, 60, 84})
_MAX_BYTES = 1024 * 1024
CLOCK_SKEW = 300


class StatusMalformed(ValueError):
    """The status stream does not follow its grammar; nothing it says may be believed."""


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A keyword and its arguments, percent-decoded, in raw bytes."""

    keyword: str
    arguments: tuple[bytes, ...] = field(default=(), repr=False)

    def text(self, index: int) -> str:
        """An argument that must be plain ASCII; empty when it is not there."""
        if index >= len(self.arguments):
            return ""
        try:
            return self.arguments[index].decode("ascii")
        except UnicodeDecodeError as error:
            raise StatusMalformed("argument") from error

    def number(self, index: int) -> int:
        """An argument that must be a decimal number."""
        value = self.text(index)
        if not value.isdigit() or len(value) > 20:
            raise StatusMalformed("number")
        return int(value)


@dataclass(frozen=True, slots=True)
class SignatureRecord:
    """What gpg said between one NEWSIG and the next: one verdict word and perhaps VALIDSIG."""

    verdict: StatusLine | None = None
    details: StatusLine | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run of gpg. `once` holds lines that may come only once, by keyword.

    `order` are all keywords in order. `errors` are keywords that speak against the run as a whole.
    `agent_fault` is true when the agent failed in a way that may pass.
    """

    once: dict[str, StatusLine]
    order: tuple[str, ...]
    signatures: tuple[SignatureRecord, ...] = ()
    recipients: tuple[str, ...] = ()
    missing_secret: int = 0
    errors: tuple[str, ...] = ()
    agent_fault: bool = False

    def has(self, *keywords: str) -> bool:
        """Whether all these keywords came."""
        return all(word in self.order for word in keywords)

    @property
    def sound_decryption(self) -> bool:
        """Whether gpg began, finished and checked exactly one decryption, in that order."""
        wanted = ("BEGIN_DECRYPTION", "DECRYPTION_OKAY", "GOODMDC", "END_DECRYPTION")
        if not self.has(*wanted) or self.has("DECRYPTION_FAILED") or self.has("BADMDC"):
            return False
        places = [self.order.index(word) for word in wanted]
        return places == sorted(places)


def parse_status(raw: bytes) -> tuple[StatusLine, ...]:
    """Lines of a status descriptor. Raises `StatusMalformed`."""
    if len(raw) > _MAX_BYTES:
        raise StatusMalformed("size")
    if not raw:
        return ()
    if not raw.endswith(b"\n"):
        raise StatusMalformed("truncated")
    return tuple(_line(line) for line in raw[:-1].split(b"\n"))


def _line(line: bytes) -> StatusLine:
    if not line.startswith(_PREFIX):
        raise StatusMalformed("prefix")
    keyword, *arguments = line[len(_PREFIX) :].split(b" ")
    if not _KEYWORD.match(keyword):
        raise StatusMalformed("keyword")
    return StatusLine(keyword.decode("ascii"), tuple(_decoded(one) for one in arguments))


def _decoded(argument: bytes) -> bytes:
    if b"%" not in argument:
        return argument
    head, *tails = argument.split(b"%")
    out = [head]
    for tail in tails:
        try:
            out.append(bytes((int(tail[:2], 16),)) + tail[2:] if len(tail) >= 2 else b"%" + tail)
        except ValueError:
            # User ids come with a bare percent sign in some versions; it is content, not syntax.
            out.append(b"%" + tail)
    return b"".join(out)


def read_report(raw: bytes) -> Report:
    """Group status bytes into one report. Raises `StatusMalformed`."""
    once: dict[str, StatusLine] = {}
    order: list[str] = []
    records: list[list[StatusLine | None]] = []
    recipients: list[str] = []
    errors: list[str] = []
    passing = False
    for line in parse_status(raw):
        word = line.keyword
        order.append(word)
        if word in _ONCE:
            if word in once:
                raise StatusMalformed("repeated")
            once[word] = line
        elif word == "NEWSIG":
            records.append([None, None])
        elif word in _VERDICTS or word == "VALIDSIG":
            _put(records, line)
        elif word == "ENC_TO":
            recipients.append(line.text(0))
        elif word == "ERROR" and line.text(0) == _NO_KEY_ERROR:
            passing = passing or _may_pass(line.number(1))
        elif word in _AGAINST or word == "ERROR":
            errors.append(word)
        elif _looks_decisive(word):
            raise StatusMalformed("unknown-decisive")
    return Report(
        once,
        tuple(order),
        tuple(SignatureRecord(one, two) for one, two in records),
        tuple(recipients),
        order.count("NO_SECKEY"),
        tuple(errors),
        passing,
    )


def _may_pass(code: int) -> bool:
    return bool(code & _SYSTEM_ERROR) or code & 0xFFFF in _PASSING


def _put(records: list[list[StatusLine | None]], line: StatusLine) -> None:
    slot = 1 if line.keyword == "VALIDSIG" else 0
    if not records or records[-1][slot] is not None or (slot == 1 and records[-1][0] is None):
        raise StatusMalformed("signature-order")
    records[-1][slot] = line


def _looks_decisive(word: str) -> bool:
    """Whether an unknown keyword is of a family that decides; informational ones are let pass."""
    if word.startswith("DECRYPTION_"):
        return word not in _KNOWN_DECRYPTION
    return word.startswith(("GOOD", "BAD", "VALID")) and word not in ("BAD_PASSPHRASE",)


def judge(record: SignatureRecord, now: int) -> Signature:
    """One verdict for one record. Whatever is not plainly something else is `INVALID`."""
    line = record.verdict
    if line is None or line.keyword == "BADSIG":
        return Signature(Verdict.INVALID)
    if line.keyword == "ERRSIG":
        return _not_checked(line, now)
    if line.keyword not in _WITH_DETAILS or record.details is None:
        return Signature(Verdict.INVALID)
    return _checked(line.keyword, record.details, now)


def _not_checked(line: StatusLine, now: int) -> Signature:
    """ERRSIG keyid pkalgo hashalgo class time rc [fingerprint]."""
    reason, created, name = line.number(5), line.number(4), _HASHES.get(line.number(2))
    if reason == _NO_PUBLIC_KEY:
        verdict = Verdict.UNKNOWN_KEY
    elif name in _WEAK:
        verdict = Verdict.WEAK_HASH
    elif reason == _TIME_CONFLICT:
        verdict = Verdict.FUTURE_DATE if created > now + CLOCK_SKEW else Verdict.INVALID
    elif reason in _UNSUPPORTED:
        verdict = Verdict.UNSUPPORTED
    else:
        verdict = Verdict.INVALID
    signing = line.text(6)
    return Signature(
        verdict,
        signing_fingerprint=signing if _HEX.match(signing) else None,
        created=created,
        hash_name=name,
    )


def _checked(keyword: str, details: StatusLine, now: int) -> Signature:
    """VALIDSIG fpr date created expires version reserved pkalgo hashalgo class primary-fpr."""
    signing, primary = details.text(0), details.text(9)
    if not _HEX.match(signing) or not _HEX.match(primary):
        raise StatusMalformed("fingerprint")
    created, expires = details.number(2), details.number(3)
    name = _HASHES.get(details.number(7))
    states = {
        "EXPSIG": Verdict.EXPIRED_SIGNATURE,
        "EXPKEYSIG": Verdict.EXPIRED_KEY,
        "REVKEYSIG": Verdict.REVOKED_KEY,
    }
    verdict = Verdict.INVALID
    if details.text(8) not in _DATA_CLASSES:
        verdict = Verdict.INVALID
    elif keyword in states:
        verdict = states[keyword]
    elif name in _WEAK:
        verdict = Verdict.WEAK_HASH
    elif name is None:
        verdict = Verdict.UNSUPPORTED
    elif created > now + CLOCK_SKEW:
        verdict = Verdict.FUTURE_DATE
    elif keyword == "GOODSIG":
        verdict = Verdict.VALID
    return Signature(verdict, primary, signing, created=created, expires=expires or None, hash_name=name)
