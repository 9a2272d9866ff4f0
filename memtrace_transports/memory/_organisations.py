"""An organisation as the users of a fake see it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation of a fake server. Its `repr` does not show the key.

    `fake` is the number of the server in this process, or 0.
    """

    name: str
    org_id: str
    api_key: str = field(repr=False)
    fake: int = field(default=0, repr=False, compare=False)


def check_fake(org: object, fake: int) -> None:
    """Raise ValueError for an organisation of another fake, though its name and its id be the same."""
    if isinstance(org, Organisation) and fake and org.fake and org.fake != fake:
        raise ValueError(f"{org!r} belongs to another fake")
