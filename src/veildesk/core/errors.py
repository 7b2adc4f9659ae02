"""Errors that know what to tell whom.

Every error carries two texts. `public` is one fixed sentence that is safe to show to a stranger: it
never holds a value from the message at hand. `detail` is for the operator's log and holds enumerated
codes or counts, never user content, addresses or key ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "AcceptanceUnknown",
    "AlreadyRunning",
    "AmbiguousSender",
    "AuthenticationFailed",
    "BackendRefused",
    "BackendUnavailable",
    "CannotVouch",
    "ConfigInvalid",
    "EngineUnavailable",
    "FilesUnavailable",
    "FolderUnusable",
    "GatewayAway",
    "InputInvalid",
    "GnuPGUnusable",
    "KeyAbsent",
    "KeyUnusable",
    "LimitExceeded",
    "ListenerUnavailable",
    "MailRefused",
    "NotEncrypted",
    "NotSigned",
    "NotSoundCiphertext",
    "OnionKeyUnusable",
    "OnionUnavailable",
    "OtherUser",
    "RingOpen",
    "RingSealed",
    "RingUnusable",
    "ScanUnavailable",
    "SendFailed",
    "SendRefused",
    "SpoolUnavailable",
    "StoreMissing",
    "StoreOther",
    "SystemRefused",
    "Undecryptable",
    "Unforeseen",
    "Unparsable",
    "VeildeskError",
    "WorkLost",
]


class VeildeskError(Exception):
    """Base of all errors that Veildesk raises on purpose.

    Class attributes: `code` (stable word for logs and the store), `public` (one sentence for
    anyone), `temporary` (whether trying again later can help), `smtp_code` with `smtp_status`
    (RFC 5321 § 4.2 and RFC 3463), `exit_code` of the command line, `hint` (what to do next).
    """

    code: ClassVar[str] = "error"
    public: ClassVar[str] = "Something went wrong and nothing was kept."
    temporary: ClassVar[bool] = False
    smtp_code: ClassVar[int] = 554
    smtp_status: ClassVar[str] = "5.3.0"
    exit_code: ClassVar[int] = 1
    hint: ClassVar[str] = "Try again later or write to the operator."
    for_sender: ClassVar[bool] = False
    """Whether `hint` is for who sent a mail, not for the operator."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail

    @property
    def smtp_reply(self) -> str:
        """The reply line for an SMTP or LMTP client, without line end: what is wrong and what to do next."""
        advice = f" {self.hint}" if self.for_sender else ""
        return f"{self.smtp_code} {self.smtp_status} {self.public}{advice}"


class ConfigInvalid(VeildeskError):
    """The configuration cannot be used."""

    code = "config-invalid"
    public = "The configuration cannot be used."
    exit_code = 10
    hint = "Mend this in veildesk.toml; 'veildesk check-config' says whether it can be used then."


class InputInvalid(ConfigInvalid):
    """A file, text or option that a command was given cannot be used."""

    public = "What was given cannot be used."
    hint = "Mend what is named and run the command again; '--help' tells what it takes."


class FolderUnusable(ConfigInvalid):
    """A folder cannot be made or written."""

    code = "folder-unusable"
    public = "The gateway's folder cannot be written."
    hint = "Give --dir a folder on a disk with room that this user may write."


class GatewayAway(VeildeskError):
    """No gateway answers on its control socket."""

    code = "gateway-away"
    public = "No gateway answers on its control socket."
    exit_code = 3
    hint = "Start it with 'veildesk run', or run this as its user."


class SystemRefused(VeildeskError):
    """The operating system did not do what was asked of it: a file, a folder, a socket, memory."""

    code = "system-refused"
    public = "The system did not do what was asked of it."
    exit_code = 71
    hint = "Check that the path is right, what this user may do there, and the room on the disk."


class Unforeseen(VeildeskError):
    """A fault of ours; `detail` names its class and where it was, nothing else."""

    code = "internal"
    public = "Something happened that this program did not foresee."
    exit_code = 70
    hint = "Run 'veildesk doctor'; if it says nothing of use, report this line: 'veildesk report'."


class KeyUnusable(VeildeskError):
    """A key is missing, expired, revoked or cannot do what it is asked to do."""

    code = "key-unusable"
    public = "The key cannot be used for this."
    exit_code = 11
    hint = "Check the key's expiry, revocation and usage with 'veildesk doctor'."


class KeyAbsent(KeyUnusable):
    """The GnuPG home, or the secret half of a key in it, is not there."""

    public = "A key of the gateway is not there."
    hint = (
        "Put the GnuPG home that [keys] names back from the newest backup of the keys, "
        "or correct the path or fingerprint there."
    )


class GnuPGUnusable(KeyUnusable):
    """gpg is too old, or cannot work in the home as it lies."""

    public = "GnuPG cannot be used."
    hint = "Install GnuPG 2.2.40 or later; for 'home-path-length' give [keys] home a shorter path."


class CannotVouch(KeyUnusable):
    """The present key has ended, was revoked or cannot sign: it certifies no other."""

    public = "The present key cannot vouch for another one."
    hint = (
        "Extend an ended key first ('veildesk keys extend'). In the place of a revoked support key: "
        "'veildesk keys replace support --without-old --use'; of a notice key: docs/notices.md."
    )


class OnionKeyUnusable(KeyUnusable):
    """The key of the onion service is missing, damaged or open to others. It is the portal's address."""

    public = "The key of the onion service cannot be used."
    hint = (
        "Put the onion key of a backup back in its place (mode 0600, the gateway's user); another key is "
        "another address."
    )


class RingUnusable(KeyUnusable):
    """The store's key ring is missing, damaged, open to others, or another store's."""

    public = "The store's key ring cannot be used."
    hint = "Put the key ring of the newest backup of the keys in its place; nothing kept opens without it."


class RingOpen(RingUnusable):
    """Other users may read the key ring."""

    hint = "Run 'chmod go=' on the file that [keys] ring names; ask yourself who may have read it."


class RingSealed(KeyUnusable):
    """The key ring opens only with a credential of the service manager, which this process does not have."""

    hint = (
        "Run the command by 'systemd-run -P -p User=veildesk "
        "-p LoadCredentialEncrypted=veildesk-ring-root COMMAND'."
    )


class ListenerUnavailable(VeildeskError):
    """The place to wait for mail at cannot be taken: in use, not allowed, or not there."""

    code = "listener-unavailable"
    public = "The place to listen at cannot be used."
    exit_code = 13
    hint = "End what uses it ('ss -ltnpx' shows that), or name another place as 'listen'."


class OnionUnavailable(VeildeskError):
    """tor does not answer or does not let us publish."""

    code = "onion-unavailable"
    public = "The onion service is not reachable at the moment."
    temporary = True
    smtp_code = 451
    smtp_status = "4.3.0"
    exit_code = 12
    hint = "Check that tor runs and that its control socket is readable for this user."


class MailRefused(VeildeskError):
    """A mail that is refused while its sender is still connected."""

    code = "mail-refused"
    public = "This mail cannot be accepted."
    smtp_code = 550
    smtp_status = "5.7.1"
    exit_code = 13
    hint = "Write again as described on the support page."
    for_sender = True


class Unparsable(MailRefused):
    """The bytes are not a mail within the limits that are safe to read."""

    code = "unparsable"
    public = "This mail is not built in a way that can be read safely."
    smtp_code = 554
    smtp_status = "5.6.0"
    hint = "Send the text as a plain mail without nested messages."


class NothingOpened(Unparsable):
    """All of a mail is ciphertext in parts, which is not opened where it stands."""

    public = "Nothing in this mail could be opened: it is not encrypted as a whole."
    hint = "Encrypt the whole mail (PGP/MIME) and send it again."


class LimitExceeded(MailRefused):
    """Too large, too deep or too many parts."""

    code = "limit-exceeded"
    public = "This mail is larger or more deeply nested than is accepted here."
    smtp_code = 552
    smtp_status = "5.3.4"
    hint = "Send fewer or smaller attachments."


class NotEncrypted(MailRefused):
    """The queue takes encrypted mail only."""

    code = "not-encrypted"
    public = "This address accepts encrypted mail only; nothing was kept."
    smtp_status = "5.7.1"
    hint = "Encrypt to the support key and send it again."


class NotSigned(MailRefused):
    """The queue takes signed mail only."""

    code = "not-signed"
    public = "This address accepts signed mail only; nothing was kept."
    hint = "Sign with your key and send it again."


class AmbiguousSender(MailRefused):
    """A signed mail whose authors programs would read differently."""

    code = "ambiguous-sender"
    public = "This mail is signed but does not name one single sender."
    hint = "Send it again with exactly one address in From."


class Undecryptable(VeildeskError):
    """None of our keys opens this message."""

    code = "undecryptable"
    public = "This mail is not encrypted to the support key."
    smtp_code = 550
    smtp_status = "5.7.5"
    exit_code = 11
    hint = "Fetch the current support key and encrypt again."
    for_sender = True


class NotSoundCiphertext(VeildeskError):
    """Integrity protection is missing or broken; final, never tried with another engine."""

    code = "integrity-failed"
    public = "The encrypted part of this mail is damaged or not protected against changes."
    smtp_code = 554
    smtp_status = "5.7.7"
    exit_code = 11
    hint = "Use a current OpenPGP program and send it again."
    for_sender = True


class EngineUnavailable(VeildeskError):
    """The OpenPGP program or its agent did not answer in time or could not be started."""

    code = "engine-unavailable"
    public = "Mail cannot be opened at the moment; please try again later."
    temporary = True
    smtp_code = 451
    smtp_status = "4.3.0"
    exit_code = 11
    hint = "Check that gpg and gpg-agent run and that the machine is not overloaded."


class AuthenticationFailed(VeildeskError):
    """A server or client did not prove who it is."""

    code = "authentication-failed"
    public = "The other side did not prove who it is."
    exit_code = 3
    hint = "Check credentials and certificates."


class SpoolUnavailable(VeildeskError):
    """The store cannot keep anything now (full, read-only, locked, stopping)."""

    code = "spool-unavailable"
    public = "Nothing can be kept safely at the moment; please try again later."
    temporary = True
    smtp_code = 452
    smtp_status = "4.3.1"
    exit_code = 15
    hint = "Look into the log and at the state directory; senders will try again by themselves."
    hints: ClassVar[Mapping[str, str]] = {
        "disk-full": "Free space (and inodes) where the state lies; senders will try again by themselves.",
        "read-only": "Let the gateway's user own and write the state directory; see how its disk is mounted.",
        "io-error": "The disk fails: look into the kernel's log and restore a backup on another one.",
        "damaged": "Stop the gateway, set the files aside, restore the newest backup ('veildesk restore').",
        "locked": "Another process holds the database for long; look for a 'migrate' or 'backup' that hangs.",
        "database-unreachable": "Start PostgreSQL, or correct [store] database; nothing is lost meanwhile.",
        "database-refused": "Correct user, password_file or database name in [store]; see PostgreSQL's log.",
        "database-crowded": "Raise max_connections of PostgreSQL: a gateway needs two, a command as many.",
        "ownership-lost": "The database went away; the gateway starts anew once it answers again.",
        "database-is-replica": "Name the primary in [store] database: a replica keeps nothing.",
    }
    """What to do next where `detail` tells."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        if detail in self.hints and type(self).hint is SpoolUnavailable.hint:
            self.hint = self.hints[detail]  # type: ignore[misc]


class StoreMissing(SpoolUnavailable):
    """The key ring has served a store, and there is none: a disk that is not mounted, another database."""

    code = "store-missing"
    public = "The store of this key ring is not where the configuration says."
    hint = (
        "Mount its disk, correct [gateway] state_dir or [store], or restore a backup. To begin with an "
        "empty store, move the key ring away and run 'veildesk keys ring'."
    )


class StoreOther(ConfigInvalid):
    """The store is one that this version must not open."""

    public = "The store cannot be opened by this version."
    hint = "Use the version that wrote it or the store that is named; nothing was changed."


class AlreadyRunning(SpoolUnavailable):
    """Another gateway works on this state directory."""

    code = "already-running"
    public = "A gateway is running already."
    hint = "Stop that one first ('systemctl stop veildesk'), or use it: 'veildesk status'."


class OtherUser(SpoolUnavailable):
    """Started by root on what belongs to the gateway's own user."""

    code = "other-user"
    public = "This is another user than the gateway's."
    hint = "Run it as that user: 'runuser -u veildesk -- COMMAND', or start the service."


class AcceptanceUnknown(SpoolUnavailable):
    """The answer of whoever keeps things was lost: it may be kept. The same again is one thing still."""

    code = "acceptance-unknown"
    public = "It is not known whether this was kept; sending it again does no harm."
    smtp_code = 451
    smtp_status = "4.4.2"


class FilesUnavailable(SpoolUnavailable):
    """The object store for large parts does not answer or refuses; everything else goes on."""

    code = "files-unavailable"
    smtp_code = 451
    smtp_status = "4.3.0"
    hint = "Check [store.s3] with 'veildesk doctor'; senders and waiting messages try again by themselves."


class BackendUnavailable(VeildeskError):
    """The helpdesk does not answer or has a passing fault."""

    code = "backend-unavailable"
    public = "The helpdesk is not reachable at the moment."
    temporary = True
    smtp_code = 451
    smtp_status = "4.4.1"
    exit_code = 14
    hint = "Check the helpdesk; tickets wait in the spool until it answers."


class BackendRefused(VeildeskError):
    """The helpdesk refuses for good."""

    code = "backend-refused"
    public = "The helpdesk refused the ticket."
    smtp_code = 554
    smtp_status = "5.4.0"
    exit_code = 14
    hint = "Run 'veildesk doctor' and check credentials, queue and fields."


class ScanUnavailable(VeildeskError):
    """The malware scan is switched on and gives no verdict; the message waits."""

    code = "scan-unavailable"
    public = "Files cannot be scanned at the moment; the message waits."
    temporary = True
    smtp_code = 451
    smtp_status = "4.7.0"
    exit_code = 14
    hint = "Check that clamd runs and that its socket is readable for this user."


class SendFailed(VeildeskError):
    """The outgoing mail server did not take the mail; it will be tried again."""

    code = "send-failed"
    public = "The answer could not be sent yet."
    temporary = True
    smtp_code = 451
    smtp_status = "4.4.1"
    exit_code = 13
    hint = "Check the outgoing mail server."


class SendRefused(VeildeskError):
    """The outgoing mail server refused for good, or a rule forbids sending."""

    code = "send-refused"
    public = "The answer could not be sent."
    exit_code = 13
    hint = "See 'veildesk spool list' for the reason."


class WorkLost(VeildeskError):
    """The message was erased, moved or taken over meanwhile; nothing was changed."""

    code = "work-lost"
    public = "This message is no longer there."
    exit_code = 15
    hint = "Nothing needs to be done; see 'veildesk spool list'."
