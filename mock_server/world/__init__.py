"""The state of the reference server, and the ways to build one."""
