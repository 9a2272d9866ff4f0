"""The wire over HTTP: what ASGI applications share, and a port for one."""
