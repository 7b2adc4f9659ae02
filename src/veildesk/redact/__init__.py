"""Redact: find and mask what an agent need not see, all pure."""
