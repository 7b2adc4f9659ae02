"""Fixtures that several folders use; real servers start only when a test asks for them."""

from __future__ import annotations

from testbed.tor_fixture import private_tor

__all__ = ["private_tor"]
