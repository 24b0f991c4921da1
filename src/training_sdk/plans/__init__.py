"""Plans, read-only: who would lose what, and how people and courses are named."""
