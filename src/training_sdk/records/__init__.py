"""Records on this machine: a private directory, append-only files, audit log, journals of resets, request budgets."""
