"""What ``doctor`` looks at: the service, the wire and this machine. Nothing of it changes anything."""
