"""Speed and memory of the SDK and the reference server, measured beside their peers: ``make bench``."""
