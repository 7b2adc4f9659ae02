"""Wiring: the only package that knows concrete classes."""
