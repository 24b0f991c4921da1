"""Carrying out a plan: apply, resume, and verify the effect."""
