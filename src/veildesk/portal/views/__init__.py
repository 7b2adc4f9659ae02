"""One module per step a visitor takes. A view gets a `Visit` and returns a response, nothing else."""
