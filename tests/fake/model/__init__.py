"""A second server, slow and obvious, written from what was observed of the real one and from nothing of the fake."""
