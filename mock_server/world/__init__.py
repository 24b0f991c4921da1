"""The only state of the reference server, and the ways to make one."""
