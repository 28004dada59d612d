"""Who speaks for which role: one model for all, or one for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from qredit.agents.messages import ChatModel, Identity, Role

ROLES: tuple[Role, ...] = ("coder", "evaluator")
"""The roles of every run; one that ranks has a ranker besides."""


@runtime_checkable
class SpeaksForRoles(Protocol):
    """A chat model that is another one in each role, such as a recording of a run with several models."""

    def in_role(self, role: Role) -> ChatModel:
        """What answers in this role."""
        ...


@dataclass(frozen=True)
class Models:
    """A chat model for each role.

    Models(coder=strong)                    # one model for all roles
    Models(coder=strong, evaluator=cheap)
    """

    coder: ChatModel
    """Writes candidates; answers for every role that has no model of its own."""
    evaluator: ChatModel | None = None
    """Compares candidates; the coder's model if `None`."""
    ranker: ChatModel | None = None
    """Ranks situations, in runs that rank; `None` in others."""

    @staticmethod
    def of(given: ChatModel | Models) -> Models:
        """One model stands for all roles."""
        return given if isinstance(given, Models) else Models(given)

    def __getitem__(self, role: Role) -> ChatModel:
        own = {"evaluator": self.evaluator, "ranker": self.ranker}.get(role)
        model = self.coder if own is None else own
        return model.in_role(role) if isinstance(model, SpeaksForRoles) else model

    def identity(self, role: Role) -> Identity:
        """What answers in this role."""
        return self[role].identity

    @property
    def identities(self) -> Mapping[Role, Identity]:
        """What answers, by role."""
        roles: tuple[Role, ...] = ROLES if self.ranker is None else (*ROLES, "ranker")
        return {role: self.identity(role) for role in roles}
