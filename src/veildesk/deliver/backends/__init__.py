"""Helpdesks. Each is reached through the entry point group veildesk.backends."""
