"""How often chance gets its turn: CANCELLATIONS in the environment, which the nox session `long` raises, else less by default."""

from __future__ import annotations

import os

from tests.sampling import is_whole

CANCELLATIONS = int(os.environ.get("CANCELLATIONS", "100" if is_whole() else "30"))
