"""Secrets of the caller, and how to find one in bytes whatever it was written as."""

from __future__ import annotations

import base64
from typing import Final

VARIABLE: Final = "OPENAI_API_KEY"
"""Name of the variable with the secret of the environment."""


def _secret(place: str) -> str:
    # Put together at run time, so that a source file or a compiled module that is read holds no secret.
    return "-".join(("canary", place, str(7919 * len(place))))


SECRETS: Final = {place: _secret(place) for place in ("environment", "file", "descriptor", "memory")}
"""Where it is -> what it is."""


def found_in(data: bytes, secret: str) -> bool:
    """Whether a secret stands in the data: plain, reversed, as hex, as base64, or as a list of numbers."""
    plain = secret.encode()
    codes = [str(code) for code in plain]
    forms = [plain, plain[::-1], plain.hex().encode(), ", ".join(codes).encode(), ",".join(codes).encode()]
    forms += [".0, ".join(codes).encode(), ".0,".join(codes).encode()]
    for shift in range(3):  # base64 depends on where in a group of three bytes the text starts
        encoded = base64.b64encode(b"\0" * shift + plain).rstrip(b"=")
        forms.append(encoded[4 if shift else 0 : -1])
    return any(form in data for form in forms)
