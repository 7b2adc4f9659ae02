"""Normalise and compose: mail as data, all pure."""
