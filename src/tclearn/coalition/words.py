"""The words that a charter is made of: fixed choices, and the shapes of names."""

from __future__ import annotations

import re
from typing import Final

PROTOCOLS: Final = ("tclearn",)
LEVELS: Final = ("A", "B")
DEEPCHAIN: Final = "deepchain"
LATER_PROTOCOLS: Final = ("seccl", "blockfedml")
LATER_LEVELS: Final = ("C",)
METRICS: Final = ("accuracy", "macro_f1", "auc", "dice")
LOCAL_RESULTS: Final = ("counts", "vote")
TURNS: Final = ("lease", "free")
STEP_SEARCHES: Final = ("own", "global", "none")
RATE_RULES: Final = ("constant", "plateau")
ORIGINS: Final = ("os", "seed")
NEWEST: Final = "newest"
ALL: Final = "all"
VERSIONS: Final = (NEWEST, ALL)

COALITION_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MEMBER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
EXTENSION_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
OPTION_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
CONTRACT_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}/[1-9][0-9]{0,8}")
DTYPE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")

FACTORY_CHARACTERS_MAX: Final = 500

NAME_EXPECTED: Final = "letters, digits, dots, hyphens and underscores, at most 63, a letter or digit first"
EXTENSION_EXPECTED: Final = "lower-case letters, digits, dots, hyphens and underscores, at most 63"
OPTION_EXPECTED: Final = "lower-case letters, digits and underscores, at most 63, a letter first"
FACTORY_EXPECTED: Final = '"module:callable"'


def is_factory(text: str) -> bool:
    """Whether a text can name a factory, ``package.module:function``."""
    module, colon, name = text.partition(":")
    parts = [*module.split("."), *(part for part in name.split(".") if part not in ("<locals>", "<lambda>"))]
    ends = name.rpartition(".")[2] != "<locals>"
    return bool(
        colon and name and ends and len(text) <= FACTORY_CHARACTERS_MAX and all(part.isidentifier() for part in parts)
    )
