"""Frozen data: what the server says, under the names of the wire in snake_case."""
