"""Logs, metrics and health without personal data."""
