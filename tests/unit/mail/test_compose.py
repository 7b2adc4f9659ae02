"""Outgoing mail: exact header sets, round trips, and values that are refused."""

from __future__ import annotations

import dataclasses
import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.errors import SendRefused
from veildesk.core.message import Encryption, Integrity, Scope
from veildesk.core.ports import DetachedSignature
from veildesk.core.ticket import File
from veildesk.mail.compose import Draft, protected_entity, signable_entity, wrap_encrypted, wrap_signed
from veildesk.mail.normalise import normalise
from veildesk.mail.padding import FLOOR, pad, padded_size
from veildesk.mail.parse import parse_mail

DRAFT = Draft(
    sender="support@desk.example",
    sender_name="Desk",
    reply_to="support+token@desk.example",
    recipient="user@mail.example",
    subject="Re: my wallet",
    text="Hello,\n\nall is well.\n",
    message_id="8c0ffee0@desk.example",
    moment=20_000 * 86400,
    references=("first@mail.example", "second@mail.example"),
)
ARMOR = "-----BEGIN PGP MESSAGE-----\n\nwcBM\n=abcd\n-----END PGP MESSAGE-----\n"
SIGNATURE = DetachedSignature(
    "-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n", "sha512"
)
WHOLE = Encryption(Scope.WHOLE, Integrity.MDC)


def header_of(wire: bytes) -> str:
    return wire.partition(b"\r\n\r\n")[0].decode("ascii")


def test_golden_outer_header_of_encrypted_mail() -> None:
    assert header_of(wrap_encrypted(DRAFT, ARMOR)) == "\r\n".join(
        [
            "From: Desk <support@desk.example>",
            "Reply-To: support+token@desk.example",
            "To: user@mail.example",
            "Subject: [...]",
            "Date: Fri, 04 Oct 2024 00:00:00 +0000",
            "Message-ID: <8c0ffee0@desk.example>",
            "In-Reply-To: <second@mail.example>",
            "References: <first@mail.example> <second@mail.example>",
            "MIME-Version: 1.0",
            'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";',
            ' boundary="=6c1db41aad4968c93a4b364d4e9b4631="',
        ]
    )


def test_golden_header_of_signed_mail() -> None:
    wire = wrap_signed(DRAFT, signable_entity(DRAFT), SIGNATURE)
    assert header_of(wire).split("\r\n")[:-1] == [
        "From: Desk <support@desk.example>",
        "Reply-To: support+token@desk.example",
        "To: user@mail.example",
        "Subject: Re: my wallet",
        "Date: Fri, 04 Oct 2024 00:00:00 +0000",
        "Message-ID: <8c0ffee0@desk.example>",
        "In-Reply-To: <second@mail.example>",
        "References: <first@mail.example> <second@mail.example>",
        "MIME-Version: 1.0",
        "Content-Type: multipart/signed; micalg=pgp-sha512;",
        ' protocol="application/pgp-signature";',
    ]


def test_our_key_goes_with_signed_mail_only() -> None:
    draft = dataclasses.replace(DRAFT, autocrypt="addr=support@desk.example; keydata= " + "AAAA " * 200 + "B")
    wire = wrap_signed(draft, signable_entity(draft), SIGNATURE)
    lines = header_of(wire).split("\r\n")
    at = lines.index("MIME-Version: 1.0")
    assert "".join(lines[8:at]).startswith("Autocrypt: addr=support@desk.example; keydata= AAAA")
    assert all(len(line) <= 78 for line in lines)
    assert b"Autocrypt" not in wrap_encrypted(draft, ARMOR) + protected_entity(draft) + signable_entity(draft)


def test_golden_header_inside_encrypted_mail() -> None:
    lines = header_of(protected_entity(DRAFT)).split("\r\n")
    assert lines[1] == ' hp="cipher"; protected-headers="v1"'
    assert lines[2:] == [
        "From: Desk <support@desk.example>",
        "Reply-To: support+token@desk.example",
        "To: user@mail.example",
        "Subject: Re: my wallet",
        "Date: Fri, 04 Oct 2024 00:00:00 +0000",
        "Message-ID: <8c0ffee0@desk.example>",
        "In-Reply-To: <second@mail.example>",
        "References: <first@mail.example> <second@mail.example>",
        "HP-Outer: From: Desk <support@desk.example>",
        "HP-Outer: Reply-To: support+token@desk.example",
        "HP-Outer: To: user@mail.example",
        "HP-Outer: Subject: [...]",
        "HP-Outer: Date: Fri, 04 Oct 2024 00:00:00 +0000",
        "HP-Outer: Message-ID: <8c0ffee0@desk.example>",
        "HP-Outer: In-Reply-To: <second@mail.example>",
        "HP-Outer: References: <first@mail.example> <second@mail.example>",
    ]


def test_only_automatic_notes_say_so() -> None:
    assert b"Auto-Submitted" not in wrap_encrypted(DRAFT, ARMOR) + protected_entity(DRAFT)
    note = dataclasses.replace(DRAFT, automatic=True)
    assert b"\r\nAuto-Submitted: auto-replied\r\n" in wrap_encrypted(note, ARMOR)


def test_first_message_has_no_thread_fields() -> None:
    wire = wrap_encrypted(dataclasses.replace(DRAFT, references=()), ARMOR)
    assert b"In-Reply-To" not in wire
    assert b"References" not in wire


def test_encrypted_structure_is_exact() -> None:
    root = parse_mail(wrap_encrypted(DRAFT, ARMOR.replace("\n", "\r\n").encode()))
    assert [child.media_type for child in root.children] == [
        "application/pgp-encrypted",
        "application/octet-stream",
    ]
    assert root.children[0].content == b"Version: 1\r\n"
    assert root.children[1].content == ARMOR.strip().replace("\n", "\r\n").encode()


def test_signed_bytes_are_put_in_unchanged() -> None:
    inner = signable_entity(DRAFT)
    wire = wrap_signed(DRAFT, inner, SIGNATURE)
    signed, signature = parse_mail(wire).children
    assert wire[signed.start : signed.end] == inner
    assert signature.media_type == "application/pgp-signature"


TEXTS = [
    "",
    "plain",
    "Grüße ♥\n",
    "trail  \n\tx \n",
    "From me\n.\n..dot\n--x\n-- \nsig",
    "w" * 3000,
    "a\r\nb\rc",
    "= =3D",
]


@pytest.mark.parametrize("text", TEXTS)
def test_signable_entities_survive_transport(text: str) -> None:
    entity = signable_entity(dataclasses.replace(DRAFT, text=text))
    lines = entity.split(b"\r\n")
    assert entity.isascii()
    assert all(len(line) <= 78 for line in lines)
    assert not any(line.endswith((b" ", b"\t")) or line.startswith((b"From ", b".")) for line in lines)
    assert b"\n" not in entity.replace(b"\r\n", b"")


@given(
    text=st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=200),
    subject=st.text(alphabet=st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=80),
    content=st.binary(max_size=200),
)
def test_what_is_composed_is_read_again(text: str, subject: str, content: bytes) -> None:
    draft = dataclasses.replace(DRAFT, text=text, subject=subject, files=(File("a ü.bin", "x/y", content),))
    entity = protected_entity(draft)
    message = normalise(wrap_encrypted(draft, ARMOR), entity, encryption=WHOLE)
    reference = normalise(f"From: a@b.c\nContent-Type: text/plain; charset=utf-8\n\n{text}\n".encode())
    assert message.text == reference.text
    assert message.subject == normalise(f"Subject: {subject}\n\nx".encode()).subject or "=?" in subject
    assert message.subject_protected
    assert [(item.name, item.content) for item in message.attachments] == [("a ü.bin", content)]
    assert len(entity) == padded_size(len(entity))


def test_the_standard_library_reads_it_too() -> None:
    draft = dataclasses.replace(
        DRAFT, text="Grüße\n", subject="Über " * 30, files=(File("ü.txt", "text/plain", b"x"),)
    )
    parsed = email.message_from_bytes(signable_entity(draft), policy=email.policy.default)
    assert parsed["Subject"] == ("Über " * 30).strip()
    body, attached = parsed.iter_parts()
    assert body.get_content().rstrip() == "Grüße"
    assert attached.get_filename() == "ü.txt"


def test_footer_goes_below_a_signature_line() -> None:
    entity = signable_entity(dataclasses.replace(DRAFT, footer="The desk"))
    assert normalise(entity).text.endswith("all is well.\n\n--\nThe desk")


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "a\r\nBcc: x@example.org"},
        {"subject": "a\0"},
        {"sender_name": "x\ny"},
        {"recipient": "a@example.org\r\nRCPT TO:<b@example.org>"},
        {"recipient": "a@example.org, b@example.org"},
        {"recipient": "not an address"},
        {"recipient": "ü@example.org"},
        {"sender": ""},
        {"message_id": "a b@example.org"},
        {"message_id": "<a@example.org>"},
        {"references": ("a@b>\r\nX: y",)},
    ],
)
def test_values_that_could_break_out_are_refused(change: dict[str, object]) -> None:
    draft = dataclasses.replace(DRAFT, **change)  # type: ignore[arg-type]
    with pytest.raises(SendRefused):
        protected_entity(draft)
    with pytest.raises(SendRefused):
        signable_entity(draft)


@pytest.mark.parametrize(
    "armor", ["plain text", ARMOR + "more", "-----BEGIN PGP SIGNATURE-----", "ü" + ARMOR]
)
def test_only_armor_goes_out_as_encrypted(armor: str) -> None:
    with pytest.raises((SendRefused, UnicodeEncodeError)):
        wrap_encrypted(DRAFT, armor)


@pytest.mark.parametrize("name", ["sha1", "md5", "ripemd160", ""])
def test_weak_hashes_are_never_announced(name: str) -> None:
    with pytest.raises(SendRefused):
        wrap_signed(DRAFT, signable_entity(DRAFT), DetachedSignature(SIGNATURE.armored, name))


@pytest.mark.parametrize("inner", [b"a\nb\r\n", "ü\r\n".encode()])
def test_entities_unfit_for_signing_are_refused(inner: bytes) -> None:
    with pytest.raises(SendRefused):
        wrap_signed(DRAFT, inner, SIGNATURE)


@given(st.integers(min_value=0, max_value=1 << 26))
def test_padding_is_bounded_and_stable(size: int) -> None:
    padded = padded_size(size)
    assert padded >= max(size, FLOOR)
    assert padded <= max(FLOOR, size * 1.12 + 1)
    assert padded_size(padded) == padded


@given(st.integers(min_value=0, max_value=9000))
def test_padding_fills_exactly(size: int) -> None:
    entity = b"x" * size
    padded = pad(entity)
    assert len(padded) == padded_size(size)
    assert padded.startswith(entity)
    assert not padded[size:].strip()


def test_short_answers_all_have_one_size() -> None:
    sizes = {len(protected_entity(dataclasses.replace(DRAFT, text="x" * n))) for n in range(1, 2000, 97)}
    assert sizes == {FLOOR}
