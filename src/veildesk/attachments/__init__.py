"""Clean files: metadata is stripped in a sandbox, unknown kinds are refused."""
