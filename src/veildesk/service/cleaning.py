"""The cleaner of attachments that a configuration asks for."""

from __future__ import annotations

from pathlib import Path

from veildesk.attachments.clamd import Clamd, ScannedCleaner
from veildesk.attachments.sandbox import SandboxCleaner

__all__ = ["make_cleaner"]


def make_cleaner(*, require_sandbox: bool, clamd: Path | None) -> SandboxCleaner | ScannedCleaner:
    """The cleaner of files, behind a malware scan if one is switched on."""
    cleaner = SandboxCleaner(require_sandbox=require_sandbox)
    return ScannedCleaner(cleaner, Clamd(clamd)) if clamd else cleaner
