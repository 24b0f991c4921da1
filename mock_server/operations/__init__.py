"""What each operation of the wire does: reads its input, asks the rules, writes the vendor's shape."""
