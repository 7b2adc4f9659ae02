# ruff: noqa: E501 -- patterns are read best unbroken

"""Links that are a secret as a whole: accesses to proxies and tunnels, invitations to messengers, wallets to sign with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["RULES"]

_PROXY = re.compile(
    r"(?<![A-Za-z0-9])(?:vmess|ssr?|vless|trojan|tuic|hysteria2?|hy2|wireguard|wg|naive\+https|juicity|snell|brook|anytls|mieru|sing-box|clash|ovpn)://"
    r"(?P<value>[A-Za-z0-9+/_=%:.-]{12,8000})(?=@|[\s\"'<>#?,;)\]，。]|[^\x00-\x7f]|\Z)",
    re.IGNORECASE,
)


def _proxy(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The access itself, up to the host."""
    value = match["value"].rstrip(".:")
    if text[match.end() : match.end() + 1] == "@" or len(value) >= 40:
        yield finding(match.start("value"), match.start("value") + len(value), "URL_CRED", "proxy-link", 0.95)


_MESSENGER = re.compile(
    r"(?:(?<=signal\.me/#eu/)|(?<=signal\.me/#p/)|(?<=signal\.tube/#)|(?<=signal\.link/call/#key=)|(?<=simplex\.chat/contact#)|(?<=simplex\.chat/invitation#)|(?<=simplex:/contact#)|(?<=simplex:/invitation#)"
    r"|(?<=simplex\.im/a#)|(?<=simplex\.im/i#)|(?<=simplex\.im/g#)|(?<=briar://)|(?<=wire\.com/join/)|(?<=tg://join\?invite=)|(?<=threema\.id/)|(?<=jami:)|(?<=cwtch:)|(?<=i\.delta\.chat/#)|(?<=discord\.gg/)|(?<=discord\.com/invite/))"
    r"(?P<value>[A-Za-z0-9_%+/?&=.:,@~-]{6,4000})",
    re.IGNORECASE,
)


def _messenger(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["value"].rstrip(".,:?")
    yield finding(
        match.start("value"), match.start("value") + len(value), "URL_TOKEN", "messenger-link", 0.85
    )


_CONNECT = re.compile(
    r"(?<=nostr\+walletconnect://)[0-9a-f]{64}|(?<=bunker://)[0-9a-f]{64}|(?<=OPENPGP4FPR:)[0-9A-F]{32,64}(?=#)",
    re.IGNORECASE,
)


def _connect(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start(), match.end(), "URL_TOKEN", "connect-link", 0.85)


RULES = (
    Rule("proxy-link", (rb"vmess://", rb"ss://", rb"ssr://", rb"vless://", rb"trojan://", rb"tuic://", rb"hysteria2?://", rb"hy2://", rb"wireguard://", rb"wg://", rb"naive\+https://",
                        rb"juicity://", rb"snell://", rb"brook://", rb"anytls://", rb"mieru://"),
         pattern_search(_PROXY, _proxy), back=20, ahead=8020),
    Rule("messenger-link", (rb"signal\.me/", rb"signal\.tube/", rb"signal\.link/", rb"simplex\.chat/", rb"simplex\.im/", rb"simplex:/", rb"briar://", rb"wire\.com/join/", rb"tg://join", rb"threema\.id/", rb"jami:[0-9a-f]", rb"cwtch:",
                            rb"i\.delta\.chat/", rb"discord\.gg/", rb"discord\.com/invite/"),
         pattern_search(_MESSENGER, _messenger), back=30, ahead=4040),
    Rule("connect-link", (rb"walletconnect://", rb"bunker://", rb"OPENPGP4FPR:"), pattern_search(_CONNECT, _connect), back=30, ahead=80),
)  # fmt: skip
