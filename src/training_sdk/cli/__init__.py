"""The command line, and what it writes for people; the extra ``[cli]`` brings what it needs."""
