"""Limits that hold before anything is parsed or kept. Sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds for one message; a queue may lower but not lift them."""

    mail_size: int = 36 * 1024 * 1024
    header_size: int = 256 * 1024
    header_count: int = 1000
    encoded_words: int = 2000
    addresses: int = 200
    mime_depth: int = 20
    mime_parts: int = 200
    crypto_layers: int = 4
    plaintext_size: int = 64 * 1024 * 1024
    attachment_size: int = 10 * 1024 * 1024
    attachments: int = 20
    answer_files_size: int = 25 * 1024 * 1024
    text_size: int = 2 * 1024 * 1024
    crypto_seconds: float = 30.0
