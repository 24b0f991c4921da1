"""How worlds come to be: the demo, a generated organisation, an exporter's CSV file, an evidence pack."""
