"""In: accept bytes from SMTP, LMTP, IMAP, hand them to the spool, and only then say so."""
