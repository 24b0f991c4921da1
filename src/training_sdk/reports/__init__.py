"""Reports of resets, and the files that hold them."""
