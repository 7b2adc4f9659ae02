"""Fixtures that several folders use; real servers start only when a test asks for them."""

from __future__ import annotations

from testbed.postgres_fixture import postgres
from testbed.tor_fixture import private_tor

__all__ = ["postgres", "private_tor"]
