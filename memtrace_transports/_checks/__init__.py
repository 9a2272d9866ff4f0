"""What a transport checks before it sends and after it has received."""
