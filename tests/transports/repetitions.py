"""How often chance gets its turn: CANCELLATIONS in the environment, which the nox session `long` raises."""

from __future__ import annotations

import os

CANCELLATIONS = int(os.environ.get("CANCELLATIONS", "100"))
