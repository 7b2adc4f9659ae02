"""Accounts, names people go by, codes given once, shared links, values with a gap: made at run time."""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable

import pytest

from unit.redact.samples import base58check, bech32, phrase, text
from veildesk.redact.engine import find

_Maker = Callable[[random.Random], str]
_UP = string.ascii_uppercase
_LOW = string.ascii_lowercase


def _digits(count: int) -> _Maker:
    return lambda rng: text(rng, count, "123456789")


def _groups(count: int, size: int, alphabet: str, gap: str) -> _Maker:
    return lambda rng: gap.join(text(rng, size, alphabet) for _ in range(count))


def _login(rng: random.Random) -> str:
    return text(rng, 5, _LOW) + rng.choice(("_", ".", "")) + text(rng, 2, "23456789")


def _name(rng: random.Random) -> str:
    return text(rng, 2, "bdgklm") + "a" + text(rng, 3, "nrst") + "o"


def _drawn(count: int) -> _Maker:
    return lambda rng: "a7K" + text(rng, count - 6) + "Q4z"


def _threema(rng: random.Random) -> str:
    return text(rng, 3, _UP) + text(rng, 1, "23456789") + text(rng, 4, _UP)


def _segwit(rng: random.Random) -> str:
    value = bech32("bc", [0, *(rng.randrange(32) for _ in range(32))])
    at = rng.randrange(14, 28)
    return value[:at] + " " + value[at:] if value[:at][-1].isalnum() else value


def _extended(rng: random.Random) -> str:
    value = base58check(bytes.fromhex("0488ade4") + rng.randbytes(74))
    return value[:50] + " " + value[50:]


def _columns(rng: random.Random) -> str:
    words = phrase(rng, "english", 12)
    return "\n".join(f"{at + 1} {words[at]}      {at + 7} {words[at + 6]}" for at in range(6))


def _mistyped(rng: random.Random) -> str:
    words = [word for word in phrase(rng, "english", 40) if len(word) > 4][:12]
    words[4] = words[4][:-1] + "qz"
    return " ".join(words)


_HIDDEN: tuple[tuple[str, _Maker, str], ...] = (
    ("the app says my account ", _digits(16), " has expired"),
    ("mullvad:\n  account: ", _digits(16), "\n  mtu: 1280"),
    ("Kontonummer bei euch: ", _groups(4, 4, "123456789", " "), ". Danke"),
    ("номер аккаунта ", _digits(16), ", продлите"),
    ("The app password is ", _groups(4, 4, "bcdfghjkmnpqrstvwxz", " "), ""),
    ("I created one for Thunderbird:\n\n  ", _groups(4, 4, "bcdfghjkmnpqrstvwxz", "-"), "\n\nand it fails"),
    ("voucher ", _groups(4, 4, _UP + "23456789", "-"), " is used already"),
    ("verification code: ", _digits(6), " expired"),
    ("код подтверждения ", _digits(6), " не пришел"),
    ("My Threema ID is ", _threema, ""),
    ("write me on telegram @", _login, " please"),
    ("my tg: t.me/", _login, " . Thanks"),
    ("Пишите в телеграм @", _login, " вечером"),
    ("微信号：", lambda rng: "wx" + text(rng, 8, _LOW), "，谢谢"),
    ("discord ", lambda rng: text(rng, 6, _LOW) + "#" + text(rng, 4, "123456789"), ""),
    ("dovecot: imap-login: Login: user=<", _name, ">, method=PLAIN"),
    ("sshd[10922]: Accepted publickey for ", _name, " from 203.0.113.9 port 51514 ssh2"),
    ("sshd[10922]: Failed password for invalid user ", _name, " from 203.0.113.9 port 51514 ssh2"),
    ("systemd-logind[611]: New session 48 of user ", _name, "."),
    ("sudo[8820]: ", _name, " : TTY=pts/0 ; PWD=/root ; USER=root"),
    ("203.0.113.9 - ", _name, ' [10/Mar/2025:13:55:36 +0000] "GET / HTTP/1.1" 207 5316'),
    ("Account Name:\t\t", _name, "\nEvent ID: 4625"),
    ("Security ID: ", lambda rng: "S-1-5-21-" + "-".join(_digits(10)(rng) for _ in range(3)) + "-1001", ""),
    ("Host box\n  HostName 203.0.113.9\n  User ", _name, "\n  Port 2222"),
    ("Benutzername ", _login, "\nFehler 691"),
    ("логин ", _login, ", не пускает"),
    ("<account><login>", _name, "</login></account>"),
    ("", _name, ":x:1000:1000:,,,:/srv:/bin/bash"),
    ("https://cloud.example.org/s/", _drawn(15), " is empty"),
    ("https://send.example/download/1/#", _drawn(22), " is gone"),
    ("https://chat.whatsapp.com/", _drawn(22), ""),
    ("https://t.me/+", _drawn(16), ""),
    ("Serial Number: ", lambda rng: "PF2" + text(rng, 5, _UP + "23456789") + "7", ""),
    ("device ID ", lambda rng: "AB2CDEF-" + _groups(7, 7, _UP + "234567", "-")(rng), ""),
    ("    Key Content            : ", lambda rng: text(rng, 7, _LOW) + "-" + text(rng, 4, "123456789"), "\n"),
    ('network={\n  ssid="', lambda rng: "Villa " + text(rng, 6, _LOW).title(), '"\n}'),
    ("a1 LOGIN anna ", lambda rng: text(rng, 6, _LOW) + "!9", "\r\n"),
    ("snmpwalk -v2c -c ", lambda rng: text(rng, 9, _LOW), " router"),
    ("my wallet is ", _segwit, " (broken by my phone)"),
    ("sorry for the gap: ", _extended, ""),
    ("on the plate:\n", _columns, "\nwhat now?"),
    ("seed phrase: ", _mistyped, ""),
    ("paid with ", lambda rng: "lnbc2500u1" + text(rng, 240, "qpzry9x8gf2tvdw0s3jn54khce6mua7l"), " today"),
    ("用户名", lambda rng: "li" + text(rng, 3, _LOW) + "88", "，谢谢"),
    ("master fingerprint ", lambda rng: rng.randbytes(4).hex(), ""),
    ("cookie value Fe26.2*", lambda rng: "*".join(text(rng, 43) for _ in range(4)), ""),
    ("adresse : ", lambda rng: f"{_name(rng)} arobase orange.fr", ", merci"),
)


@pytest.mark.parametrize(
    ("head", "make", "tail"), _HIDDEN, ids=[head[-24:] or "passwd" for head, _, _ in _HIDDEN]
)
def test_value_is_hidden_whole(head: str, make: _Maker, tail: str) -> None:
    rng = random.Random(head)
    leaks = []
    for _ in range(8):
        value = make(rng)
        told = head + value + tail
        mask = bytearray(len(told))
        for item in find(told):
            mask[item.start : item.end] = b"\1" * (item.end - item.start)
        if not all(mask[at] for at in range(len(head), len(head) + len(value)) if told[at].isalnum()):
            leaks.append(value)
    assert leaks == []


@pytest.mark.parametrize("pure", [False, True], ids=["hyperscan", "re"])
def test_address_behind_a_name_with_rev_is_no_version(pure: bool) -> None:
    line = "2 91-49-123-7.rev.example.net (46.65.143.27)  11.204 ms"
    assert any(line[item.start : item.end] == "46.65.143.27" for item in find(line, pure=pure))


def test_uuid_at_a_line_end_goes_on_in_no_word() -> None:
    rng = random.Random("uuid")
    for _ in range(50):
        number = str(uuid.UUID(int=rng.getrandbits(128), version=4)).upper()
        assert find(f"Incident Identifier: {number}\nCrashReporter Key: none") == ()
