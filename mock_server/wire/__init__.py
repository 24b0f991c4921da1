"""Reading requests and writing answers in the vendor's spelling; nothing here knows a rule."""
