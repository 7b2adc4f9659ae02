"""Keep: durable, sealed, replayable."""
