"""Mails as a whole: what counts as encrypted or signed, how far, and by whom."""

from __future__ import annotations

import base64

import pytest

from testbed.openpgp_lab import Lab, literal, packet
from veildesk.core.errors import LimitExceeded, NotSoundCiphertext, Undecryptable, Unparsable
from veildesk.core.limits import Limits
from veildesk.core.message import Integrity, Scope, Verdict
from veildesk.openpgp.opening import OpenedMail, open_mail

TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe secret is 42.\r\n"


def crlf(text: str) -> bytes:
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def head(sender: str = "Rosa <rosa@example.org>", more: str = "") -> str:
    return f"From: {sender}\nTo: support@desk.example\nSubject: ...\nMIME-Version: 1.0\n{more}"


def as_armor(data: bytes) -> bytes:
    return b"-----BEGIN PGP MESSAGE-----\n\n" + base64.encodebytes(data) + b"-----END PGP MESSAGE-----\n"


def pgp_mime(ciphertext: bytes, boundary: str = "enc") -> bytes:
    return crlf(
        f'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="{boundary}"\n\n'
        f"--{boundary}\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n"
        f"--{boundary}\nContent-Type: application/octet-stream\n\n{ciphertext.decode()}\n--{boundary}--\n"
    )


def pgp_signed(lab: Lab, entity: bytes, who: str = "user") -> bytes:
    signature = lab.gpg(who, "--armor", "--digest-algo=SHA256", "--detach-sign", stdin=entity).decode()
    return (
        b'Content-Type: multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha256;'
        b' boundary="sig"\r\n\r\n--sig\r\n' + entity + b"\r\n--sig\r\n"
        b"Content-Type: application/pgp-signature\r\n\r\n" + crlf(signature) + b"\r\n--sig--\r\n"
    )


def mixed(*parts: bytes) -> bytes:
    body = b"".join(b"--mix\r\n" + one + b"\r\n" for one in parts)
    return b'Content-Type: multipart/mixed; boundary="mix"\r\n\r\n' + body + b"--mix--\r\n"


async def opened(
    lab: Lab, entity: bytes, *, sender: str = "Rosa <rosa@example.org>", more: str = ""
) -> OpenedMail:
    engine = lab.engine()
    await engine.start()
    return await open_mail(crlf(head(sender, more)) + entity, engine, [lab.certificate("user")])


def summary(mail: OpenedMail) -> tuple[str, list[tuple[str, str, bool]]]:
    return mail.encryption.scope.value, [
        (one.verdict.value, one.scope.value, one.bound_to_from) for one in mail.signatures
    ]


GOOD = ("valid", "whole", True)


async def test_signed_and_encrypted_in_one(lab: Lab) -> None:
    mail = await opened(lab, pgp_mime(lab.encrypt(TEXT, "--armor", sign=True)))
    assert summary(mail) == ("whole", [GOOD])
    assert mail.encryption.integrity is Integrity.MDC
    assert mail.payload == TEXT
    assert b"Subject: ..." in mail.outer_headers
    assert not mail.protected


async def test_signed_inside_encrypted(lab: Lab) -> None:
    mail = await opened(lab, pgp_mime(lab.encrypt(pgp_signed(lab, TEXT), "--armor")))
    assert summary(mail) == ("whole", [GOOD])
    assert mail.payload == TEXT


async def test_encrypted_inside_signed(lab: Lab) -> None:
    mail = await opened(lab, pgp_signed(lab, pgp_mime(lab.encrypt(TEXT, "--armor"))))
    # Whoever signs a ciphertext may not know what is in it: the signature covers the wrapping only.
    assert summary(mail) == ("whole", [("valid", "part", True)])
    assert mail.payload == TEXT


@pytest.mark.parametrize("store", ["crlf", "lf"])
async def test_signed_only(lab: Lab, store: str) -> None:
    entity = pgp_signed(lab, TEXT)
    mail = await opened(lab, entity if store == "crlf" else entity.replace(b"\r\n", b"\n"))
    assert summary(mail) == ("none", [GOOD])
    assert mail.encryption.integrity is None


async def test_changed_after_signing(lab: Lab) -> None:
    mail = await opened(lab, pgp_signed(lab, TEXT).replace(b"42", b"43"))
    assert summary(mail) == ("none", [("invalid", "whole", False)])


async def test_headers_of_the_signed_part_are_covered(lab: Lab) -> None:
    mail = await opened(lab, pgp_signed(lab, TEXT).replace(b"charset=utf-8", b"charset=utf-7"))
    assert summary(mail)[1] == [("invalid", "whole", False)]


async def test_inline_encrypted_and_clear_signed(lab: Lab) -> None:
    plain = "Content-Type: text/plain; charset=utf-8\n\n"
    mail = await opened(
        lab, crlf(plain + lab.encrypt(b"Gr\xc3\xbc\xc3\x9fe\n", "--armor", sign=True).decode())
    )
    assert summary(mail) == ("whole", [GOOD])
    assert mail.payload.endswith(b"\r\n\r\nGr\xc3\xbc\xc3\x9fe\n")
    assert "legacy-inline" in mail.notes
    signed = lab.gpg("user", "--digest-algo=SHA256", "--clearsign", stdin=b"- one\nFrom me\n").decode()
    mail = await opened(lab, crlf(plain + signed))
    assert summary(mail) == ("none", [GOOD])
    assert mail.payload.split(b"\r\n\r\n", 1)[1] == b"- one\nFrom me\n"


@pytest.mark.parametrize("place", ["before", "after", "both"])
async def test_text_around_an_inline_block_makes_it_a_part(lab: Lab, place: str) -> None:
    plain = "Content-Type: text/plain; charset=utf-8\n\n"
    before = "please pay\n" if place != "after" else ""
    after = "please pay\n" if place != "before" else ""
    signed = lab.gpg("user", "--digest-algo=SHA256", "--clearsign", stdin=b"hello\n").decode()
    mail = await opened(lab, crlf(plain + before + signed + after))
    assert summary(mail) == ("none", [("valid", "part", True)])
    assert b"please pay" in mail.payload
    encrypted = lab.encrypt(b"42", "--armor").decode()
    mail = await opened(lab, crlf(plain + before + encrypted + after))
    assert summary(mail) == ("part", [])
    assert mail.encryption.integrity is None
    assert b"BEGIN PGP MESSAGE" in mail.payload
    assert "mixed-encrypted-plain" in mail.notes


async def test_ciphertext_between_html_parts_stays_closed(lab: Lab) -> None:
    cipher = pgp_mime(lab.encrypt(TEXT, "--armor"))
    left = b'Content-Type: text/html\r\n\r\n<img src="http://evil.example/'
    mail = await opened(lab, mixed(left, cipher, b'Content-Type: text/html\r\n\r\n">'))
    assert summary(mail) == ("part", [])
    assert b"secret is" not in mail.payload
    assert mail.notes == ("mixed-encrypted-plain",)


@pytest.mark.parametrize("kind", ["mime", "attachment", "binary", "inline", "html"])
async def test_hidden_ciphertext_is_never_decrypted(lab: Lab, kind: str) -> None:
    question = b"Content-Type: text/plain\r\n\r\nPlease answer.\r\n"
    armored = crlf(lab.encrypt(TEXT, "--armor").decode())
    binary = base64.b64encode(lab.encrypt(TEXT))
    hidden = {
        "mime": pgp_mime(armored),
        "attachment": b"Content-Type: application/octet-stream; name=a.asc\r\n\r\n" + armored,
        "binary": b"Content-Type: application/pgp\r\nContent-Transfer-Encoding: base64\r\n\r\n" + binary,
        "inline": b"Content-Type: text/plain\r\n\r\n" + armored,
        "html": b"Content-Type: text/html\r\n\r\n<pre>" + armored + b"</pre>",
    }[kind]
    mail = await opened(lab, mixed(question, hidden))
    assert summary(mail) == ("part", [])
    assert b"secret is" not in mail.payload


async def test_signed_part_beside_unsigned_text(lab: Lab) -> None:
    note = b"Content-Type: text/plain\r\n\r\nTransfer the money.\r\n"
    mail = await opened(lab, mixed(note, pgp_signed(lab, TEXT)))
    assert summary(mail) == ("none", [("valid", "part", True)])
    assert b"Transfer the money" in mail.payload


async def test_relayed_structure_is_repaired_only_when_nothing_stands_beside(lab: Lab) -> None:
    armored = crlf(lab.encrypt(TEXT, "--armor").decode())
    control = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
    body = b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n\r\n' + armored
    empty = b"Content-Type: text/plain\r\n\r\n \r\n"
    mail = await opened(lab, mixed(empty, control, body))
    assert summary(mail) == ("whole", [])
    assert "repaired-structure" in mail.notes
    spoken = b"Content-Type: text/plain\r\n\r\nHello\r\n"
    assert summary(await opened(lab, mixed(spoken, control, body))) == ("part", [])
    assert summary(await opened(lab, mixed(empty, control, body, body))) == ("part", [])


@pytest.mark.parametrize(
    ("sender", "bound"),
    [
        ("rosa@example.org", True),
        ("Rosa <ROSA@Example.ORG>", True),
        ('"rosa@example.org" <eve@example.net>', False),
        ("rosa@example.org <eve@example.net>", False),
        ("rosa@example.org, eve@example.net", False),
        ("rosa@example.org\nFrom: eve@example.net", False),
        ("eve@example.net\nSender: rosa@example.org", False),
        ("rosa@example.org.example.net", False),
        ("Rosa", False),
        ("", False),
        ("<>", False),
        ("eve@example.net (rosa@example.org)", False),
    ],
)
async def test_from_is_bound_only_by_its_one_address(lab: Lab, sender: str, bound: bool) -> None:
    mail = await opened(lab, pgp_signed(lab, TEXT), sender=sender)
    assert summary(mail) == ("none", [("valid", "whole", bound)])


async def test_protected_from_must_agree(lab: Lab) -> None:
    inner = b'From: eve@example.net\r\nContent-Type: text/plain; hp="cipher"\r\n\r\nx\r\n'
    mail = await opened(lab, pgp_mime(lab.encrypt(inner, "--armor", sign=True)))
    assert mail.protected
    assert summary(mail) == ("whole", [("valid", "whole", False)])


@pytest.mark.parametrize("mark", ['hp="cipher"', 'protected-headers="v1"'])
async def test_protected_headers_need_a_layer_that_backs_them(lab: Lab, mark: str) -> None:
    inner = crlf(f"Subject: hidden\nContent-Type: text/plain; {mark}\n\nx\n")
    assert (await opened(lab, pgp_mime(lab.encrypt(inner, "--armor")))).protected
    assert (await opened(lab, pgp_signed(lab, inner))).protected
    assert not (await opened(lab, pgp_signed(lab, inner).replace(b"hidden", b"forged"))).protected
    assert not (await opened(lab, inner)).protected


@pytest.mark.parametrize("kind", ["clear-signed", "signed", "literal", "key"])
async def test_posing_as_encrypted(lab: Lab, kind: str) -> None:
    content = {
        "clear-signed": lambda: lab.gpg("user", "--digest-algo=SHA256", "--clearsign", stdin=b"fired\n"),
        "signed": lambda: lab.gpg("user", "--armor", "--sign", stdin=b"fired\n"),
        "literal": lambda: lab.gpg("user", "--armor", "--store", stdin=b"fired\n"),
        "key": lambda: lab.gpg("user", "--armor", "--export", lab.fingerprints["user"]),
    }[kind]()
    mail = await opened(lab, pgp_mime(content))
    assert summary(mail) == ("none", [])
    assert mail.notes == ("not-encrypted-posing",)


async def test_refusals(lab: Lab) -> None:
    with pytest.raises(Undecryptable):
        await opened(lab, pgp_mime(lab.encrypt(TEXT, "--armor", to=("user",))))
    with pytest.raises(Unparsable):
        await opened(lab, pgp_mime(b"-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n"))
    broken = base64.encodebytes(lab.enclose(literal(TEXT), break_mdc=True))
    with pytest.raises(NotSoundCiphertext):
        await opened(
            lab, pgp_mime(b"-----BEGIN PGP MESSAGE-----\n\n" + broken + b"-----END PGP MESSAGE-----\n")
        )


async def test_clear_signed_text_with_a_broken_signature_is_text(lab: Lab) -> None:
    signed = lab.gpg("user", "--digest-algo=SHA256", "--clearsign", stdin=b"hello\n").decode()
    head_part, _, _ = signed.partition("-----BEGIN PGP SIGNATURE-----")
    for block in ("AAAA", "wAAA"):
        broken = f"{head_part}-----BEGIN PGP SIGNATURE-----\n\n{block}\n-----END PGP SIGNATURE-----\n"
        mail = await opened(lab, crlf("Content-Type: text/plain\n\n" + broken))
        assert summary(mail) == ("none", [("invalid", "part", False)])
        assert b"hello" in mail.payload


async def test_signature_of_an_unknown_version_is_unsupported(lab: Lab) -> None:
    inner = packet(4, b"\x06" + bytes(60)) + literal(TEXT) + packet(2, b"\x06" + bytes(60))
    mail = await opened(lab, pgp_mime(as_armor(lab.enclose(inner))))
    assert summary(mail) == ("whole", [("unsupported", "whole", False)])
    assert mail.payload == TEXT


async def test_layers_end(lab: Lab) -> None:
    entity = TEXT
    for number in range(3):
        entity = pgp_mime(lab.encrypt(entity, "--armor"), f"b{number}")
    assert (await opened(lab, entity)).payload == TEXT
    engine = lab.engine()
    await engine.start()
    with pytest.raises(LimitExceeded):
        await open_mail(crlf(head()) + entity, engine, [], Limits(crypto_layers=2))


async def test_inner_ciphertext_for_somebody_else_stays_inside(lab: Lab) -> None:
    inner = pgp_mime(lab.encrypt(TEXT, "--armor", to=("user",)), "inner")
    mail = await opened(lab, pgp_mime(lab.encrypt(inner, "--armor")))
    assert summary(mail) == ("whole", [])
    assert mail.notes == ("inner-undecryptable",)


SMIME = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nAAAA\n"
SMIME_BY_NAME = 'Content-Type: application/octet-stream; name="smime.p7m"\n\nAAAA\n'


@pytest.mark.parametrize(
    "entity",
    [
        SMIME,
        SMIME_BY_NAME,
        f"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\n--b\n{SMIME}--b--\n",
        f"Content-Type: multipart/mixed; boundary=b\n\n--b\n{SMIME_BY_NAME}--b--\n",
    ],
)
async def test_smime_is_said_to_be_unsupported(lab: Lab, entity: str) -> None:
    mail = await opened(lab, crlf(entity))
    assert summary(mail) == ("none", [])
    assert mail.notes == ("smime-unsupported",)


async def test_carried_certificates_are_candidates_only(lab: Lab) -> None:
    lab.make("carried", "Eve <eve@example.net>")
    attached = crlf(
        "Content-Type: application/pgp-keys\n\n" + lab.gpg("carried", "--armor", "--export").decode()
    )
    text = b"Content-Type: text/plain\r\n\r\nhi\r\n"
    mail = await opened(lab, pgp_signed(lab, mixed(text, attached), "carried"), sender="eve@example.net")
    assert len(mail.certificates) == 1
    assert summary(mail) == ("none", [("unknown-key", "whole", False)])
    secret = crlf(
        "Content-Type: application/pgp-keys\n\n"
        + lab.gpg("carried", "--armor", "--export-secret-keys").decode()
    )
    assert (await opened(lab, mixed(text, secret))).certificates == ()
    both = lab.certificate("user") + lab.certificate("carried")
    keys = (
        b"Content-Type: application/pgp-keys\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(both)
    )
    assert (await opened(lab, mixed(text, keys))).certificates == ()


@pytest.mark.parametrize(
    ("header", "count"),
    [
        ("Autocrypt: addr=rosa@example.org; keydata={key}", 1),
        ("Autocrypt: addr=rosa@example.org; prefer-encrypt=mutual; _x=y; keydata={key}", 1),
        ("Autocrypt: addr=eve@example.net; keydata={key}", 0),
        ("Autocrypt: addr=rosa@example.org; critical=y; keydata={key}", 0),
        (
            "Autocrypt: addr=rosa@example.org; keydata={key}\n" * 2,
            0,
        ),
        ("Autocrypt: keydata={key}; addr=rosa@example.org", 0),
        ("Autocrypt: addr=rosa@example.org; keydata=AAAA", 0),
    ],
)
async def test_autocrypt_header(lab: Lab, header: str, count: int) -> None:
    key = base64.b64encode(lab.certificate("user")).decode()
    more = header.format(key="\n ".join(key[at : at + 70] for at in range(0, len(key), 70))) + "\n"
    mail = await opened(lab, TEXT, more=more)
    assert len(mail.certificates) == count
    assert mail.signatures == ()


async def test_scope_words_are_the_ports_words(lab: Lab) -> None:
    mail = await opened(lab, TEXT)
    assert mail.encryption.scope is Scope.NONE
    assert mail.payload.endswith(TEXT)
    assert Verdict.VALID not in [one.verdict for one in mail.signatures]
