"""Real helpdesks for tests, on loopback, and how an agent acts in each."""
