"""Plans that this machine knows: overlapping, unfinished, lost and closed ones."""
