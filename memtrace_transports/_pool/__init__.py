"""Connection pools: which client of an HTTP library sends which request."""
