"""The rules, one file per family: plain functions ``(world, actor, input) -> outcome``."""
