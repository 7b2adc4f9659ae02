"""Clean files: metadata is stripped in a sandbox, unknown kinds are refused.

`sandbox.SandboxCleaner` is the cleaner for real use, `inprocess.InProcessCleaner` its stand-in for
tests, and `finish.finish` applies redaction to what they return.
"""
