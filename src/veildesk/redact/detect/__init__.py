"""Detectors, one module per family. Each offers `RULES`, a tuple of `veildesk.redact.rule.Rule`."""
