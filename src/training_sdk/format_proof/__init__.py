"""The proof that a live service resets only the users that a request names."""
