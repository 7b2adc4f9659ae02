"""Reply addresses: random, read from where a mail went, cut from every text."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.mail.reply_address import TOKEN_BYTES, ReplyAddresses, message_id_of, new_token

OURS = ReplyAddresses("support@desk.example")
TOKEN = new_token(bytes(range(TOKEN_BYTES)))


def test_a_token_holds_all_128_bits_and_nothing_else() -> None:
    assert TOKEN_BYTES * 8 >= 128
    tokens = {new_token(hashlib.sha256(bytes([n])).digest()[:TOKEN_BYTES]) for n in range(200)}
    assert len(tokens) == 200
    assert all(len(token) == 26 and token == token.lower() and token.isalnum() for token in tokens)
    with pytest.raises(ValueError):
        new_token(b"short")


def test_a_message_id_does_not_give_its_token_away() -> None:
    message_id = message_id_of(TOKEN, "desk.example")
    assert message_id.endswith("@desk.example")
    assert TOKEN not in message_id
    assert message_id == message_id_of(TOKEN, "desk.example")


@pytest.mark.parametrize(
    ("addresses", "extension", "found"),
    [
        ((f"support+{TOKEN}@desk.example",), "", (TOKEN,)),
        ((f"SUPPORT+{TOKEN.upper()}@Desk.Example",), "", (TOKEN,)),
        (("support@desk.example", "x@y.example"), TOKEN, (TOKEN,)),
        ((f"support+{TOKEN}@other.example", f"sales+{TOKEN}@desk.example"), "", ()),
        (("support+short@desk.example",), "news", ()),
        ((f"support+{TOKEN}a@desk.example", f"support+{TOKEN}@desk.example.net"), "", ()),
    ],
)
def test_tokens_are_read_from_our_addresses_only(
    addresses: tuple[str, ...], extension: str, found: tuple[str, ...]
) -> None:
    assert OURS.tokens(addresses, extension) == found


def test_our_own_address_is_known_in_every_form() -> None:
    assert OURS.is_own("Support@desk.example")
    assert OURS.is_own(OURS.with_token(TOKEN))
    assert not OURS.is_own("support@desk.example.net")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"> Reply-To: <support+{TOKEN}@desk.example>", "> Reply-To: <support@desk.example>"),
        (f"mailto:support%2B{TOKEN}@desk.example?x", "mailto:support@desk.example?x"),
        (f"SUPPORT+{TOKEN.upper()}@DESK.EXAMPLE", "SUPPORT@DESK.EXAMPLE"),
        ("support+news@desk.example", "support+news@desk.example"),
    ],
)
def test_tokens_are_cut_from_texts(text: str, left: str) -> None:
    assert OURS.cut(text) == left


def test_without_a_delimiter_there_are_none() -> None:
    plain = ReplyAddresses("support@desk.example", "")
    assert plain.with_token(TOKEN) == "support@desk.example"
    assert plain.tokens((f"support+{TOKEN}@desk.example",)) == ()
    assert plain.cut("support@desk.example") == "support@desk.example"


@given(st.binary(min_size=TOKEN_BYTES, max_size=TOKEN_BYTES), st.sampled_from("+-=_."), st.text(max_size=60))
def test_whatever_is_issued_is_read_again_and_never_stays_in_a_text(
    random: bytes, delimiter: str, text: str
) -> None:
    ours = ReplyAddresses("help.desk@desk.example", delimiter)
    token = new_token(random)
    address = ours.with_token(token)
    assert ours.tokens((address,)) == (token,)
    assert token not in ours.cut(f"{text} <{address}> {text}")
