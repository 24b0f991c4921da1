"""Helpers that need the reference server; they alone import it, and only when they are used."""
