"""The reference server of SafetyCulture Training: strict, in memory, made for tests."""
