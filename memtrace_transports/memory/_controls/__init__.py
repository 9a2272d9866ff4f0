"""What a test controls: faults, the call log and strict mode."""
