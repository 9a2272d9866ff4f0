"""The server's rules, apart from the fake that serves them: routes, validation, JSON as the server writes it, storage."""
