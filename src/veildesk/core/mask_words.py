"""The words by which agents read what was hidden: in masks such as `[email-1]` and above a text."""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["WORDS", "mask_word"]

WORDS = MappingProxyType(
    {
        "API_TOKEN": "token",
        "BANK": "bank-account",
        "BASIC_AUTH": "basic-auth",
        "BEARER": "bearer",
        "BIRTHDATE": "birthdate",
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
        "NATIONAL_ID": "national-id",
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
"""Type of a finding -> word of its masks."""


def mask_word(type_: str) -> str:
    """The word of a type; operator types become `x-` and their letters."""
    word = WORDS.get(type_)
    if word is None:
        letters = "".join(char for char in type_.lower() if "a" <= char <= "z")
        word = f"x-{letters[:16] or 'rule'}"
    return word
