"""export and import: memories as JSON lines, in files that an interruption does not harm."""
