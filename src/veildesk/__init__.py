"""Veildesk: a support gateway between people who need privacy and an ordinary helpdesk."""

__version__ = "0.1.0"
