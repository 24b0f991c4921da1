"""The proof of a reset format on a test course: plan it, run it, end it."""
