"""The part of the contract about shares of the team reward: they multiply it, so their size is bounded."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from qredit.credit.form import credit_weights
from qredit.sandbox.contract.credit import CONSTANT, MAGNITUDE, VDN_SHARE
from qredit.sandbox.contract.subject import ContractError, Subject, first


def check_shares(subject: Subject) -> None:
    """`|share| <= 10 N` in every probed transition, after IGM and scale."""
    shares = credit_weights(subject.header, subject.first_run.outputs)
    limit = MAGNITUDE * subject.header.n_agents
    large = shares.abs() > limit
    if large.any():
        row, agent = first(large)
        raise ContractError(
            f"The share of agent {agent} is {shares[row, agent].item():.4g}, beyond the bound 10 N = {limit:g}, in "
            f"{subject.probe.describe(row)}. Normalise the shares, or bound them with `clamp` or `softmax`."
        )


def warnings_of(subject: Subject, difference: float) -> Iterator[str]:
    """What is no reason to reject but the evaluator should know.

    Args:
        difference: share of the probed transitions, in [0, 1], in which shares differ from equal ones.
    """
    (raw,) = subject.first_run.outputs
    caveat = subject.probe.caveat
    probed = raw[: subject.probe.n_rollout]
    negative = float((probed < 0).float().mean())
    if negative:
        what = "were clamped at 0" if subject.header.igm == "enforce" else "punish an agent for the team's reward"
        yield f"{negative:.1%} of the shares are negative and {what}."
    silent = (credit_weights(subject.header, (probed,)) == 0).all(dim=0)
    for agent in torch.nonzero(silent).flatten().tolist():
        yield f"Agent {agent} has share 0 in every probed transition: it would never be rewarded."
    if float((raw - raw[:1]).abs().max()) <= CONSTANT:
        yield f"The function gives the same shares in all probed transitions.{caveat}"
    elif difference < VDN_SHARE:
        yield f"The shares differ from equal ones in only {difference:.1%} of the probed transitions.{caveat}"
