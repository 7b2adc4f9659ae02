"""Fixtures that several folders use; real servers start only when a test asks for them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from testbed.postgres_fixture import postgres
from testbed.s3_fixture import s3
from testbed.tor_fixture import private_tor

__all__ = ["postgres", "private_tor", "s3"]

# A loaded machine is no counter-example: properties are judged by what they say, never by the clock.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
