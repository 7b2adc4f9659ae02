"""Real servers on loopback for tests and the demo: each starts, says where it listens, and ends."""
