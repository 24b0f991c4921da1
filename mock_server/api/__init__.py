"""The operations by noun: each module has the answers of its noun, the handlers that write them, and their routes."""
