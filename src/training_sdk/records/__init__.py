"""Records on this machine: a private directory, append-only files, the audit log and the journals of resets."""
