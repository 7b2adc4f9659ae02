"""Open and seal: OpenPGP without trusting what it is given."""
