"""Confirmation of a plan: the phrase, and two-person approval with SSH signatures."""
