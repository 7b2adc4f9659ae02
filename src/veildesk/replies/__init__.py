"""Way back: collect agents' answers, guard, send."""
