"""Which text agents read, and what stays an attachment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.errors import LimitExceeded
from veildesk.core.limits import Limits
from veildesk.mail.parse import parse_mail
from veildesk.mail.text import Body, read_body, strip_clear_signature, tidy, unflow


def multipart(kind: str, *parts: bytes) -> bytes:
    head = f"Content-Type: multipart/{kind}; boundary=b{kind}\r\n\r\n".encode()
    return (
        head
        + b"".join(f"--b{kind}\r\n".encode() + part + b"\r\n" for part in parts)
        + f"--b{kind}--".encode()
    )


def part(media_type: str, body: bytes, *more: str) -> bytes:
    return "\r\n".join([f"Content-Type: {media_type}", *more, "", ""]).encode() + body


def read(raw: bytes, *, decrypted: bool = False) -> Body:
    return read_body(parse_mail(raw), decrypted=decrypted)


PLAIN = part("text/plain", b"plain")
HTML = part("text/html", b"<p>rich</p>")
IMAGE = part("image/png", b"png", "Content-Disposition: inline")


def test_plain_text_is_preferred() -> None:
    body = read(multipart("alternative", PLAIN, HTML))
    assert (body.text, body.attachments) == ("plain", ())


def test_html_stands_in_for_an_empty_plain_part() -> None:
    assert read(multipart("alternative", part("text/plain", b" \r\n"), HTML)).text == "rich"


def test_html_alone_becomes_text_and_says_so() -> None:
    body = read(HTML)
    assert body.text == "rich"
    assert body.notes == ("html-made-text",)


def test_files_inside_the_unused_alternative_are_kept() -> None:
    body = read(multipart("alternative", PLAIN, multipart("related", HTML, IMAGE)))
    assert body.text == "plain"
    assert [item.media_type for item in body.attachments] == ["image/png"]


def test_text_parts_are_joined_in_order() -> None:
    body = read(multipart("mixed", PLAIN, IMAGE, part("text/plain", b"after")))
    assert body.text == "plain\n\nafter"
    assert len(body.attachments) == 1


@pytest.mark.parametrize(
    "extra", [("Content-Disposition: attachment",), ("Content-Disposition: inline; filename=a.txt",)]
)
def test_named_or_attached_text_is_a_file(extra: tuple[str, ...]) -> None:
    body = read(multipart("mixed", PLAIN, part("text/plain", b"file", *extra)))
    assert body.text == "plain"
    assert [item.content for item in body.attachments] == [b"file"]


def test_every_part_that_is_no_text_is_kept() -> None:
    kinds = ["application/ms-tnef", "message/rfc822", "message/partial", "text/calendar", "application/x-y"]
    body = read(multipart("mixed", *(part(kind, b"x") for kind in kinds)))
    assert [item.media_type for item in body.attachments] == kinds


def test_amp_and_returned_headers_are_dropped_with_a_note() -> None:
    body = read(
        multipart("mixed", part("text/x-amp-html", b"x"), part("text/rfc822-headers", b"Received: x"))
    )
    assert (body.text, body.attachments) == ("", ())
    assert body.notes == ("amp-dropped", "returned-headers-dropped")


def test_signature_and_control_parts_only_frame_the_text() -> None:
    signature = part("application/pgp-signature", b"-----BEGIN PGP SIGNATURE-----")
    assert read(multipart("signed", PLAIN, signature)).attachments == ()
    stray = read(multipart("mixed", PLAIN, signature))
    assert [item.media_type for item in stray.attachments] == ["application/pgp-signature"]


def test_uuencoded_text_stays_text() -> None:
    raw = part("text/plain", b"begin 644 x\r\n#0V%T\r\n`\r\nend", "Content-Transfer-Encoding: x-uuencode")
    assert read(raw).text == "begin 644 x\n#0V%T\n`\nend"


def test_multipart_without_parts_is_read_as_text() -> None:
    assert read(b"Content-Type: multipart/mixed; boundary=never\r\n\r\njust text").text == "just text"


LEGACY = multipart(
    "mixed",
    part('text/plain; protected-headers="v1"', b"Subject: secret", "Content-Disposition: inline"),
    PLAIN,
)


def test_legacy_display_parts_are_dropped_from_decrypted_mail_only() -> None:
    assert read(LEGACY, decrypted=True).text == "plain"
    assert read(LEGACY).text == "Subject: secret\n\nplain"


def test_legacy_display_of_rfc_9788() -> None:
    plain = part('text/plain; hp-legacy-display="1"', b"Subject: secret\r\n\r\nhello\r\n\r\nyou")
    assert read(plain, decrypted=True).text == "hello\n\nyou"
    assert read(plain).text.startswith("Subject: secret")
    html = part(
        'text/html; hp-legacy-display="1"',
        b'<div class="header-protection-legacy-display"><pre>Subject: secret</pre></div><p>hello</p>',
    )
    assert read(html, decrypted=True).text == "hello"


def test_too_much_text_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        read_body(parse_mail(part("text/plain", b"x" * 100)), limits=Limits(text_size=50))


def test_flowed_text() -> None:
    assert unflow("a \nb\n>> q \n>> r\n From x\n-- \nsig") == "a \nb\n>> q \n>> r\nFrom x\n-- \nsig"
    assert unflow("wo \nrd\n>q \n> r\n-- \nsig", delsp=True) == "word\n> qr\n-- \nsig"


SIGNED = (
    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nhello\n- -- \nme\n"
    "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----"
)


def test_a_clear_signed_block_is_shown_without_its_armor() -> None:
    assert strip_clear_signature(SIGNED) == "hello\n-- \nme"


@pytest.mark.parametrize(
    "text", [f"before\n{SIGNED}", f"{SIGNED}\nafter", f"{SIGNED}\n{SIGNED}", SIGNED[:-5], "x"]
)
def test_anything_around_the_block_keeps_the_armor(text: str) -> None:
    assert strip_clear_signature(text) == text


@given(st.text(alphabet="a >\n- \t", max_size=60))
def test_unflow_and_tidy_take_any_text(text: str) -> None:
    unflow(text)
    unflow(text, delsp=True)
    strip_clear_signature(text)
    assert tidy(tidy(text)) == tidy(text)
