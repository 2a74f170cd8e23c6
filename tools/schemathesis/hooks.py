"""What Schemathesis does not know of itself: how to send our media type, and the name of an object that is there."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

schemathesis.serializer.alias("application/cose", "application/octet-stream")
KNOWN = os.environ["TCLEARN_OBJECT"]


@schemathesis.hook
def map_path_parameters(_: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of two well-formed names one is that of an object."""
    if parameters and isinstance(name := parameters.get("name"), str) and name[-1:] in set("02468ace"):
        return {**parameters, "name": KNOWN}
    return parameters
