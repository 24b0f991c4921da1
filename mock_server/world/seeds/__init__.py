"""Builders of worlds: the demo, a generated organisation, an exporter's CSV file, an evidence pack."""
