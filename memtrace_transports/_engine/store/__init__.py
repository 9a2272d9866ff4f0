"""The storage under the server's rules."""
