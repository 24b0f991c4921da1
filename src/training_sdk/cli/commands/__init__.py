"""One module for each family of commands; each is imported when one of its commands is run."""
