"""Child processes that are always ended: bounded in time and output, spoken to over pipes only."""
