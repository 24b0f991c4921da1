"""The doors: ways for HTTP to reach ``handle()``. They carry requests and answers and know no rule."""
