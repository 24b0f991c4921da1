"""The checks, by families of rules."""
