"""Way back, one to many: signed incident notices."""
