"""The two clients under one face, as in `tests.clients`."""

from tests.clients.conftest import face

__all__ = ["face"]
