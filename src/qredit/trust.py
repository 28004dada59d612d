"""Whether code may run that a task file names: importing a module runs it, and task files come from strangers too.

Only the command line and the environment of the process say so, never a file.
"""

from __future__ import annotations

import os

from qredit.errors import ConfigurationError

TRUST_VARIABLE = "QREDIT_TRUST_ENV"


def environments_trusted() -> bool:
    """Whether this process was told to trust the environments that task files name."""
    return os.environ.get(TRUST_VARIABLE) == "1"


def require_trust(environment_id: str, reason: str, *, trusted: bool | None) -> None:
    """Refuse an environment whose code nobody vouches for.

    Args:
        environment_id: the environment as the task file names it.
        reason: what would run, for the message.
        trusted: what the caller knows; `None` asks the environment of the process.

    Raises:
        ConfigurationError: it is not trusted.
    """
    if not (environments_trusted() if trusted is None else trusted):
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause=f"{reason}, and nobody said that its code can be trusted",
            remedy=f"If you know this code, say so with --trust-env or {TRUST_VARIABLE}=1.",
        )
