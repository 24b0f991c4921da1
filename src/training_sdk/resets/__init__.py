"""A reset, in four steps that cannot be skipped: plan, confirm, apply, report."""
