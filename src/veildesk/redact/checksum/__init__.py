"""Checksums of wallet addresses and keys that no library at hand decides without network or curve."""
