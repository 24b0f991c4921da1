"""What is kept on this machine: a private directory, files that only grow, the audit log and the journals of resets."""
