"""Typed SDK for SafetyCulture Training."""
