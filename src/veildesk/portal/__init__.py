"""What users see: a support site that works without scripts."""
