"""Recipients, paths, folder names, return paths and the byte budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.errors import ConfigInvalid
from veildesk.intake.byte_budget import ByteBudget
from veildesk.intake.modified_utf7 import decode_folder, encode_folder, quoted_folder
from veildesk.intake.recipients import Recipients
from veildesk.intake.return_path import has_null_return_path
from veildesk.intake.smtp_address import NULL_PATH, parse_path


@pytest.mark.parametrize(
    ("address", "queue"),
    [
        ("support@gateway.test", "support"),
        ("Support@Gateway.TEST", "support"),
        ("support+k3j4@gateway.test", "support"),
        ("support+a+b@gateway.test", "support"),
        ("exact+tag@gateway.test", "tagged"),
        ("exact@gateway.test", None),
        ("support@other.test", None),
        ("+x@gateway.test", None),
        ("<>", None),
        ("", None),
    ],
)
def test_queue_of_an_address(address, queue):
    table = Recipients({"support@gateway.test": "support", "exact+tag@gateway.test": "tagged"})
    assert table.queue_for(address) == queue


def test_without_delimiter_extensions_are_other_addresses():
    table = Recipients({"support@gateway.test": "support"}, delimiter="")
    assert table.queue_for("support+x@gateway.test") is None


@pytest.mark.parametrize("key", ["support", "@gateway.test", "support@", ""])
def test_table_refuses_what_is_no_address(key):
    with pytest.raises(ConfigInvalid):
        Recipients({key: "support"})


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("<a@b.test>", ("a@b.test", "")),
        (" <a@b.test> SIZE=5 ", ("a@b.test", "SIZE=5")),
        ("<>", (NULL_PATH, "")),
        ("<@relay.test,@two.test:a@b.test>", ("a@b.test", "")),
        ('<"a b"@b.test>', ('"a b"@b.test', "")),
        ("<a@[192.0.2.1]>", ("a@[192.0.2.1]", "")),
        ("<Postmaster>", ("Postmaster", "")),
        ("<müller@bücher.test>", ("müller@bücher.test", "")),
        ("a@b.test", None),
        ("<a@b.test", None),
        ("<a@b.test>x", None),
        ("<a@b.test><c@d.test>", None),
        ("<a@b@c.test>", None),
        ("<a..b@c.test>", None),
        ("<a b@c.test>", None),
        ("<a@b.test\r>", None),
        ("<a\x00@b.test>", None),
        ("<a@b\udcff.test>", None),
        ("<" + "a" * 600 + "@b.test>", None),
        ("", None),
    ],
)
def test_paths_are_read_strictly(argument, expected):
    assert parse_path(argument) == expected


@given(st.text(max_size=60))
def test_no_text_breaks_the_path_reader(text):
    parsed = parse_path(text)
    if parsed is not None:
        assert not set("\r\n\x00") & set(parsed[0])


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("INBOX", "INBOX"),
        ("A&B", "A&-B"),
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("Ответы", "&BB4EQgQyBDUEQgRL-"),
        ("😀", "&2D3eAA-"),
    ],
)
def test_folder_names_in_modified_utf7(name, encoded):
    assert encode_folder(name) == encoded
    assert decode_folder(encoded) == name


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), max_size=30))
def test_folder_names_come_back(name):
    assert encode_folder(name).isascii()
    assert decode_folder(encode_folder(name)) == name


@pytest.mark.parametrize("name", ["a\r\nb", "a\x00", "\x7f"])
def test_folder_names_cannot_split_a_command(name):
    with pytest.raises(ValueError):
        quoted_folder(name)


def test_folder_quotes_are_escaped():
    assert quoted_folder('a"b\\c') == '"a\\"b\\\\c"'


@pytest.mark.parametrize("encoded", ["&", "a&b", "ü", "&@@-"])
def test_what_is_no_modified_utf7_is_refused(encoded):
    with pytest.raises(ValueError):
        decode_folder(encoded)


@pytest.mark.parametrize(
    ("raw", "null"),
    [
        (b"Return-Path: <>\r\nReceived: x\r\n\r\n", True),
        (b"Delivered-To: a\r\nreturn-path:<>\r\nSubject: x\r\n\r\n", True),
        (b"Return-Path: <a@b.test>\r\nReceived: x\r\n\r\n", False),
        (b"Received: x\r\nReturn-Path: <>\r\n\r\n", False),
        (b"Subject: x\r\n\r\nReturn-Path: <>\r\n", False),
        (b"Return-Path: <a@b.test>\r\nReturn-Path: <>\r\n\r\n", False),
        (b"", False),
    ],
)
def test_null_return_path_counts_only_above_received(raw, null):
    assert has_null_return_path(raw) is null


def test_budget_is_shared_and_given_back():
    budget = ByteBudget(100)
    one, two = budget.share(), budget.share()
    assert one.cover(60)
    assert not two.cover(50)
    assert two.held == 0
    assert two.cover(40)
    assert not one.cover(61)
    assert not budget.has_room(1)
    one.release()
    one.release()
    assert budget.used == 40
    assert two.cover(100)
