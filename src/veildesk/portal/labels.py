"""Words for codes: everything that comes as a code and is shown to people gets its sentence here.

The texts are message ids of the catalogues; `N_` marks them for the extraction test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = [
    "COMPONENTS",
    "COMPONENT_STATES",
    "ERRORS",
    "FEEDBACK",
    "IMPACTS",
    "KINDS",
    "PLANNED",
    "PROBLEMS",
    "REFUSALS",
    "REMOVED",
    "SECTIONS",
    "STATEMENTS",
    "STATES",
    "THREAD_STATES",
    "TOPICS",
    "WORTH_SENDING_AGAIN",
    "kind_label",
]


def N_(text: str) -> str:  # noqa: N802 - the customary name of a gettext marker
    """Mark a text for translation."""
    return text


TOPICS: Final[Mapping[str, str]] = {
    "function": N_("Something does not work"),
    "outage": N_("Something is down or very slow"),
    "payment": N_("Payment"),
    "onboarding": N_("Getting started"),
    "security": N_("A security problem"),
    "data-request": N_("My data: copy or deletion"),
    "other": N_("Something else"),
}

KINDS: Final[Mapping[str, str]] = {
    "API_TOKEN": N_("Access tokens"),
    "BANK": N_("Bank accounts"),
    "BASIC_AUTH": N_("Logins in web requests"),
    "BEARER": N_("Access tokens in web requests"),
    "BIRTHDATE": N_("Birthdays"),
    "BTC": N_("Bitcoin addresses"),
    "CARD": N_("Card numbers"),
    "COOKIE": N_("Cookies"),
    "DOGE": N_("Dogecoin addresses"),
    "EMAIL": N_("E-mail addresses"),
    "ETH": N_("Ethereum addresses"),
    "GPS": N_("Places (coordinates)"),
    "HOSTNAME": N_("Computer names"),
    "IBAN": N_("Bank account numbers"),
    "IMEI": N_("Phone serial numbers"),
    "IPV4": N_("IP addresses"),
    "IPV6": N_("IP addresses (version 6)"),
    "JWT": N_("Login tokens"),
    "LTC": N_("Litecoin addresses"),
    "MAC": N_("Network card addresses"),
    "NAME": N_("Names"),
    "NATIONAL_ID": N_("Identity numbers"),
    "ONION": N_("Onion addresses"),
    "OWN": N_("Your own words"),
    "PASSWORD": N_("Passwords"),
    "PATH_USER": N_("Folders with a user name"),
    "PEM": N_("Keys and certificates"),
    "PGP": N_("OpenPGP blocks"),
    "PHONE": N_("Phone numbers"),
    "PRIVKEY": N_("Private keys"),
    "RECOVERY": N_("Recovery codes"),
    "SEED": N_("Wallet recovery phrases"),
    "SOL": N_("Solana addresses"),
    "TOTP": N_("Secrets of one-time codes"),
    "TRX": N_("Tron addresses"),
    "TXID": N_("Transaction numbers"),
    "URL_CRED": N_("Logins in web addresses"),
    "URL_TOKEN": N_("Tokens in web addresses"),
    "WALLET": N_("Wallet addresses"),
    "XMR": N_("Monero addresses"),
    "XPUB": N_("Wallet public keys"),
    "XRP": N_("XRP addresses"),
}

REMOVED: Final[Mapping[str, str]] = {
    "metadata": N_("hidden data about the file"),
    "location": N_("the place where it was taken"),
    "embedded preview": N_("the small preview picture"),
    "comment": N_("comments"),
    "colour profile": N_("the colour profile"),
    "data after the end of the file": N_("data after the end of the file"),
    "all frames or pages but the first": N_("all frames or pages but the first"),
    "control characters": N_("control characters"),
    "everything but the text": N_("everything but the text"),
    "comments and tracked changes": N_("comments and tracked changes"),
    "hidden parts": N_("hidden parts"),
    "everything but the picture of each page": N_("everything but the picture of each page"),
    "files that cannot be cleaned": N_("files that cannot be cleaned"),
    "organiser and attendees": N_("organiser and attendees"),
}

REFUSALS: Final[tuple[str, ...]] = (
    N_("The file is empty."),
    N_("The file is larger than is accepted here."),
    N_("The image has more pixels than can be cleaned safely; send a smaller one."),
    N_("The document has more pages than can be cleaned safely."),
    N_("The archive holds more files than can be cleaned safely."),
    N_("Archives within archives are not opened this deep; send the files themselves."),
    N_("The file unpacks to far more than its size and was not opened."),
    N_("The document is built in a way that is not safe to read."),
    N_("The file is damaged or incomplete and could not be cleaned."),
    N_("The file is protected with a password and could not be cleaned."),
    N_("Nothing in this file could be delivered."),
    N_("This kind of file cannot be cleaned; send text, a screenshot (PNG, JPEG) or a log."),
    N_("This audio or video cannot be cleaned here; send text or a screenshot."),
    N_("Programs are not delivered."),
    N_("Vector drawings cannot be cleaned; send a screenshot (PNG, JPEG) instead."),
    N_("Old Office files cannot be cleaned; send DOCX, XLSX, ODT or the text."),
    N_("This kind of archive is not opened; send a ZIP or the files themselves."),
    N_("PDF files cannot be cleaned on this server; send the text or a screenshot."),
    N_("Outlook's winmail.dat is not opened; send the files themselves."),
    N_("This attached mail could not be read; send its text."),
    N_("Contact cards are not delivered, they name people."),
    N_("An OpenPGP public key is not delivered to agents, it names its owner."),
    N_("This file holds a private key and was dropped; never send it to anyone."),
    N_("Separately encrypted or signed files are not opened; encrypt the whole mail instead."),
    N_("Cleaning the file took too long and was stopped."),
    N_("The file could not be cleaned."),
    N_("The file was not clean after cleaning and is not delivered."),
    N_("Files cannot be scanned at the moment; try again later or send the text alone."),
    N_("The malware scan recognised this file; it is not delivered."),
)
"""What the cleaner says when it refuses a file, here so that it is translated."""

PROBLEMS: Final[Mapping[str, tuple[str, str]]] = {
    "empty": ("message", N_("Write what happened. The message is empty.")),
    "too-long": ("message", N_("The message is too long. Shorten it, or put a part into a text file.")),
    "topic": ("topic", N_("Choose a topic.")),
    "honeypot": (
        "website",
        N_(
            "A field that nobody sees and that must stay empty was filled in, perhaps by an add-on of your "
            "browser. It is empty again: send once more."
        ),
    ),
    "own-words": ("own_words", N_("There are too many own words, or one is shorter than two letters.")),
    "words-in-text": (
        "message",
        N_("Your message contains your ticket words. Take them out: nobody else may see them."),
    ),
    "form-expired": (
        "",
        N_(
            "This form was too old, or no cookie came with it, and nothing was sent. Your text is still "
            "here: send it again. If you see this a second time, allow cookies for this site in your browser."
        ),
    ),
    "form-expired-files": (
        "files",
        N_(
            "This form was too old, or no cookie came with it, and nothing was sent. Your text is still "
            "here: add the files again and send it. If you see this a second time, allow cookies for this "
            "site in your browser."
        ),
    ),
    "check-expired": (
        "",
        N_(
            "That page was too old, or no cookie came with it, and it sent nothing. If you sent this message "
            "before, its ticket words open it: do not send it twice. If not, go on from here: your text is "
            "still here, add the files again, and note the new ticket words that you will get."
        ),
    ),
    "draft-lost": (
        "",
        N_(
            "Your draft was lost and nothing was sent. Your text is still here, but add the files again, and "
            "note the new ticket words that you will get: those you saw before open nothing."
        ),
    ),
    "changed": (
        "as-agents-get-it",
        N_("The message was changed in another tab. This is how it is now: look at it again."),
    ),
    "challenge": ("challenge", N_("Type the word that is asked for below. Nothing was sent yet.")),
    "busy": (
        "",
        N_(
            "Too many people are writing just now. Nothing was sent and nothing is lost: "
            "try again in a minute."
        ),
    ),
    "busy-form": (
        "",
        N_(
            "Too many people are writing just now, and nothing was sent. Your text is still here: wait a "
            "minute, add your files again and send it."
        ),
    ),
    "too-large": (
        "files",
        N_(
            "A file is too large, there are too many, or all together are too large. Nothing was sent, and "
            "your text is still here: choose fewer or smaller files."
        ),
    ),
    "no-room": (
        "files",
        N_(
            "There is no room for files just now. Nothing was sent, and your text is still here: wait a "
            "minute and add them again."
        ),
    ),
    "full": (
        "",
        N_(
            "We cannot keep anything safely just now. Nothing was sent and nothing is lost: try again in a "
            "few minutes."
        ),
    ),
    "unsure": (
        "",
        N_(
            "We could not find out whether your message arrived, because a part of our service broke off. "
            "Nothing is lost: send it again. If it did arrive, it will not come twice."
        ),
    ),
    "too-many-files": ("files", N_("There are too many files.")),
    "too-fast": ("", N_("Many people write just now. Wait a few seconds, then go on.")),
}

"""The field a problem is in, empty if it is in none, and what to say about it."""

FEEDBACK: Final[Mapping[str, str]] = {
    "yes": N_("Yes"),
    "partly": N_("Partly"),
    "no": N_("No"),
}

STATES: Final[Mapping[str, str]] = {
    "investigating": N_("Investigating"),
    "identified": N_("Cause found"),
    "monitoring": N_("Fixed, being watched"),
    "resolved": N_("Resolved"),
    "post-mortem": N_("Report after the incident"),
    "scheduled": N_("Planned"),
    "in progress": N_("Under way"),
    "verifying": N_("Being checked"),
    "completed": N_("Completed"),
}

SECTIONS: Final[Mapping[str, str]] = {
    "action": N_("What you should do"),
    "summary": N_("What happened"),
    "impact": N_("What it means for you"),
    "affected": N_("Who is affected"),
    "fix": N_("What was done"),
    "references": N_("More about it"),
}

PLANNED: Final[Mapping[str, str]] = {"summary": N_("What it is about"), "fix": N_("What is done")}
"""Headings of a notice about maintenance, which tells of what is still to come."""

STATEMENTS: Final[Mapping[str, str]] = {
    "identity": N_("Official addresses and keys"),
    "canary": N_("Canary"),
}

COMPONENTS: Final[Mapping[str, str]] = {
    "portal": N_("Portal"),
    "mail": N_("Mail"),
    "helpdesk": N_("Answers"),
}

COMPONENT_STATES: Final[Mapping[str, str]] = {
    "operational": N_("works"),
    "degraded": N_("slow or incomplete"),
    "partial outage": N_("partly down"),
    "major outage": N_("down"),
    "under maintenance": N_("under maintenance"),
    "unknown": N_("unknown: it cannot be seen at the moment"),
}

IMPACTS: Final[Mapping[str, str]] = {
    "none": N_("No disruption"),
    "minor": N_("Minor disruption"),
    "major": N_("Major disruption"),
    "critical": N_("Critical disruption"),
}

THREAD_STATES: Final[Mapping[str, str]] = {
    "open": N_("Open: we have it and will answer here."),
    "answered": N_("Answered: read the latest answer below."),
    "closed": N_("Closed. You can still write below."),
}

ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: (N_("This request could not be read"), N_("It did not come whole. Nothing was kept of it.")),
    403: (N_("This form is no longer valid"), N_("Open the page again and fill in the form once more.")),
    404: (N_("There is no such page"), N_("Check the address, or begin at the first page.")),
    405: (N_("This page cannot be used that way"), N_("Begin at the first page.")),
    410: (N_("This is no longer here"), N_("It was shown before, has expired, or was deleted.")),
    413: (N_("That was too large"), N_("Send fewer or smaller files. Nothing was kept.")),
    429: (
        N_("Too many people are writing just now"),
        N_("Wait a little and try again. This has nothing to do with you."),
    ),
    500: (
        N_("Something went wrong on our side"),
        N_("Try again in a few minutes. A message that arrived already will not come twice."),
    ),
    503: (
        N_("This does not work just now"),
        N_("A part of our service does not answer. Try again in a few minutes."),
    ),
}

WORTH_SENDING_AGAIN: Final = frozenset({400, 429, 500, 503})
"""Errors after which a form may be sent once more as it was. Going back would lose what is written in it."""


def kind_label(kind: str) -> str:
    """The label of a finding type; a type without one is shown by its own name."""
    return KINDS.get(kind, kind.replace("_", " ").capitalize())
