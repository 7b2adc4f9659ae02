"""Nouns and roles. Standard library only, no input or output, no clock, no randomness of its own."""
