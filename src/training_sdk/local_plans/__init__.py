"""All plans of this machine: their records compared, their effects, and whether another plan may start."""
