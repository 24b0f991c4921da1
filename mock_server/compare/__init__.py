"""Holding a live tenant's answers beside our own: what it sends is reduced to names and types before all else."""
