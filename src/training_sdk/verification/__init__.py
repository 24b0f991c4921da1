"""Reading back what a reset did: the effect that a row shows, and waiting until it is seen for everyone."""
