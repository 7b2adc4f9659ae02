"""Keeps foreign libraries from logging what passes through them.

aiosmtpd and aioimaplib write commands, addresses and mail lines to the logging module at debug and info
level. A filter, unlike a level, survives any later logging set-up.
"""

from __future__ import annotations

import logging

__all__ = ["silence_foreign_loggers"]

_FOREIGN = ("mail.log", "mail.debug", "aioimaplib", "aioimaplib.aioimaplib")


def _drop(_record: logging.LogRecord) -> bool:
    return False


def silence_foreign_loggers() -> None:
    """Drop every record of the libraries that see mail; safe to call again."""
    for name in _FOREIGN:
        logging.getLogger(name).addFilter(_drop)
