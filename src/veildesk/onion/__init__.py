"""The onion service, kept published through stem."""
