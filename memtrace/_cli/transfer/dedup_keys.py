"""What makes a memory the same one wherever it is imported: a key made of its line.

The key is the memory's duplicate key on the server. So a row that an import made names its line, and a row that none made
has the key that its own line would have: an import into the organisation that a file was exported from finds all of it there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping

_KEY = re.compile(r"import-[0-9a-f]{32}")


class DedupKeys:
    """The keys of the lines of one file, or of the rows of one organisation. Equal lines have different ones, in their order."""

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()

    def key_for(self, fields: Mapping[str, object]) -> str:
        """The key of a line: its own where an import made it, else of everything in it but the organisation."""
        own = fields.get("dedup_key")
        if isinstance(own, str) and _KEY.fullmatch(own):
            return own
        said = {name: value for name, value in fields.items() if name != "org_id" and value is not None}
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()[:16]
        self._counts[digest] += 1
        ordinal = self._counts[digest]
        if ordinal > 1:
            digest = hashlib.sha256(digest + str(ordinal).encode()).digest()[:16]
        return f"import-{digest.hex()}"
