"""The operations, one file per noun, a few lines each; none knows whether it is called from sync or async code."""
