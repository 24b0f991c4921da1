"""Ways for HTTP to reach ``handle()``: they carry requests and answers, and know no rule."""
