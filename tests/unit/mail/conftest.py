"""Property tests here measure behaviour, not time: a busy machine must not make them fail."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("mail", deadline=None)
settings.load_profile("mail")
