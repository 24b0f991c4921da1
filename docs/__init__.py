"""The documentation, a package only so that its build and its tests share one copy of the generators."""
