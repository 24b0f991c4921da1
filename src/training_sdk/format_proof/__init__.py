"""Format proofs: planned, made on a live service, and stored."""
