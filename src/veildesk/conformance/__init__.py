"""What every connector must do, as tests that anybody can run over theirs. Needs pytest."""
