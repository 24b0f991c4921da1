"""Two-person approval of a plan, with SSH signatures."""
