"""JSON as the server's language, Go, reads and writes it."""
