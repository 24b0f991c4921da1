"""Format proofs as stored: the plan of a proof, a started proof, and its result."""
