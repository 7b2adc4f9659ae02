"""Ways to the public. Each delivers one statement at a time and knows nothing of the others."""
