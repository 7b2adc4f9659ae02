"""All built-in rules in one tuple."""

from __future__ import annotations

from veildesk.redact.detect import (
    blocks,
    coins,
    device,
    email,
    groups,
    host,
    identity,
    issuers,
    keynoun,
    keys,
    links,
    money,
    name,
    network,
    path,
    personal,
    phone,
    prefixes,
    runs,
    secret,
    seed,
    session,
    table,
    token,
    txid,
    url,
    wallet,
)
from veildesk.redact.rule import Rule

__all__ = ["RULES", "WORDED"]

RULES: tuple[Rule, ...] = (
    *blocks.RULES,
    *token.RULES,
    *prefixes.RULES,
    *issuers.RULES,
    *keys.RULES,
    *wallet.RULES,
    *coins.RULES,
    *groups.RULES,
    *links.RULES,
    *runs.RULES,
    *txid.RULES,
    *seed.RULES,
    *keynoun.RULES,
    *secret.RULES,
    *session.RULES,
    *table.RULES,
    *url.RULES,
    *email.RULES,
    *network.RULES,
    *host.RULES,
    *path.RULES,
    *phone.RULES,
    *money.RULES,
    *identity.RULES,
    *personal.RULES,
    *device.RULES,
    *name.RULES,
)

WORDED: tuple[Rule, ...] = (
    *token.RULES,
    *prefixes.RULES,
    *issuers.RULES,
    *secret.RULES,
    *session.RULES,
    *table.RULES,
    *url.RULES,
)
"""Rules for secrets that a word gives away; a line break may have cut one before it looks like a secret."""
