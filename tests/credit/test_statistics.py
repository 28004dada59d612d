"""Figures about weights, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from qredit.credit.statistics import differs_from_vdn, weight_statistics


def test_by_hand() -> None:
    figures = weight_statistics(torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.5, 1.5], [1.0, 1.0]]), "sum_to_n")
    assert figures.mean == pytest.approx((1.125, 0.875))
    assert figures.minimum == (0.5, 0.0)
    assert figures.maximum == (2.0, 1.5)
    assert figures.std[0] == pytest.approx(math.sqrt((0.125**2 * 2 + 0.875**2 + 0.625**2) / 4))
    assert figures.vdn_difference == 0.5
    quarter = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert figures.entropy == pytest.approx((1 + 0 + quarter + 1) / 4)
    assert figures.concentration == pytest.approx((0.5 + 1.0 + 0.75 + 0.5) / 4)


def test_raw_weights_are_compared_with_their_mean() -> None:
    """A common factor is VDN with another scale."""
    weights = torch.tensor([[0.2, 0.2], [0.2, 0.3]])
    assert differs_from_vdn(weights, "raw").tolist() == [False, True]
    assert differs_from_vdn(weights, "sum_to_n").tolist() == [True, True]
    assert differs_from_vdn(torch.tensor([[1.0, 1.0 + 1e-7]]), "sum_to_n").tolist() == [False]


def test_signs_zero_rows_and_one_agent() -> None:
    figures = weight_statistics(torch.tensor([[1.0, -1.0], [0.0, 0.0]]), "raw")
    assert figures.entropy == pytest.approx(0.5)
    assert figures.concentration == pytest.approx(0.25)
    alone = weight_statistics(torch.tensor([[1.0], [1.0]]), "sum_to_n")
    assert alone.entropy == 0.0
    assert alone.concentration == 1.0
    assert alone.vdn_difference == 0.0
