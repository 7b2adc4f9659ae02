"""Mask words and the reserved grammar of masks.

A mask is `[word-number]`, such as `[email-1]`. The words are fixed per type, so a mask tells the kind
of what it hides and nothing of its value. Masks in a given text are recognised before anything else
and are never looked into, which is why masking a masked text changes nothing.
"""

from __future__ import annotations

import re
from types import MappingProxyType

__all__ = ["BLANK", "MASK", "SECRET_TYPES", "WORDS", "mask_word"]

WORDS = MappingProxyType(
    {
        "API_TOKEN": "token",
        "BASIC_AUTH": "basic-auth",
        "BEARER": "bearer",
        "BTC": "btc",
        "CARD": "card",
        "COOKIE": "cookie",
        "DOGE": "doge",
        "EMAIL": "email",
        "ETH": "eth",
        "GPS": "gps",
        "HOSTNAME": "host",
        "IBAN": "iban",
        "IMEI": "imei",
        "IPV4": "ip",
        "IPV6": "ip6",
        "JWT": "jwt",
        "LTC": "ltc",
        "MAC": "mac",
        "NAME": "name",
        "ONION": "onion",
        "OWN": "private",
        "PASSWORD": "password",
        "PATH_USER": "path-user",
        "PEM": "pem",
        "PGP": "pgp",
        "PHONE": "phone",
        "PRIVKEY": "key",
        "RECOVERY": "recovery",
        "SEED": "seed",
        "SOL": "sol",
        "TOTP": "totp",
        "TRX": "trx",
        "TXID": "txid",
        "URL_CRED": "url-login",
        "URL_TOKEN": "url-token",
        "WALLET": "wallet",
        "XMR": "xmr",
        "XPUB": "xpub",
        "XRP": "xrp",
    }
)

SECRET_TYPES = frozenset(
    {
        "API_TOKEN",
        "BASIC_AUTH",
        "BEARER",
        "COOKIE",
        "JWT",
        "PASSWORD",
        "PRIVKEY",
        "RECOVERY",
        "SEED",
        "TOTP",
        "URL_CRED",
        "URL_TOKEN",
    }
)
"""Types no agent may ever get, whatever the user chose. PEM and PGP blocks are secret if private."""

MASK = re.compile(
    r"\[(?:"
    + "|".join(sorted(set(WORDS.values()), key=len, reverse=True))
    + r"|x-[a-z]{1,16})-[1-9][0-9]{0,6}\]"
)
"""The reserved grammar. Operator rules have words of their own that begin with `x-`."""

BLANK = "\ue000"
"""Stands for each character of a mask while searching (private use, so in no pattern)."""


def mask_word(type_: str) -> str:
    """The word of a type; operator types become `x-` and their letters."""
    word = WORDS.get(type_)
    if word is None:
        letters = "".join(char for char in type_.lower() if "a" <= char <= "z")
        word = f"x-{letters[:16] or 'rule'}"
    return word
