"""Other plans of this machine: their records, their effects, and whether another plan may start."""
