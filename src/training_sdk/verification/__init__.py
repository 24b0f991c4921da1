"""Reading back the effect of a reset: judging rows, and waiting until it is visible for everyone."""
