"""What torch offers an attacker, and what a credit function needs of it; see `torch_jobs`."""

# They call the system as directly as they can.
# ruff: noqa: PTH118

from __future__ import annotations

import io
import os

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset


def compute(folder: str) -> str:
    """Compute over a wide range of kernels, each big enough for the vectorised and the generated code."""
    torch.manual_seed(0)
    matrix = torch.rand(64, 64, requires_grad=True)
    symmetric = matrix @ matrix.T + torch.eye(64)
    results: list[Tensor] = [
        torch.softmax(symmetric, dim=-1).sum(),
        torch.linalg.eigvalsh(symmetric).sum(),
        torch.linalg.solve(symmetric, torch.ones(64)).sum(),
        torch.cdist(matrix, matrix + 1.0).mean(),
        torch.einsum("ij,jk->ik", matrix, matrix).mean(),
        torch.sort(torch.rand(100_000))[0].mean(),
        functional.conv2d(torch.rand(2, 3, 32, 32), torch.rand(4, 3, 3, 3)).mean(),
        functional.layer_norm(matrix, (64,)).square().mean(),
        torch.topk(matrix.flatten(), 5)[0].sum(),
        torch.cumsum(matrix, dim=0).mean(),
    ]
    total = torch.stack(results).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert matrix.grad is not None, "it took part"
    return str(bool(torch.isfinite(total) and torch.isfinite(matrix.grad).all()))


def compute_in_threads(folder: str) -> str:
    torch.set_num_threads(4)
    return str((torch.rand(2000, 2000) @ torch.rand(2000, 2000)).sum().item() > 0)


def save(folder: str) -> str:
    torch.save(torch.ones(3), os.path.join(folder, "saved"))
    return "saved"


def load(folder: str) -> str:
    return str(torch.load(os.path.join(folder, "tensor.pt")).sum().item())


def map_file(folder: str) -> str:
    path = os.path.join(folder, "mapped")
    torch.from_file(path, shared=True, size=10, dtype=torch.uint8)[:] = 7
    return path


def load_library(folder: str) -> str:
    torch.ops.load_library(os.path.join(folder, "library.so"))  # type: ignore[no-untyped-call]
    return "loaded"


def share_memory(folder: str) -> str:
    return str(torch.ones(1000).share_memory_().is_shared())  # type: ignore[no-untyped-call]


def start_workers(folder: str) -> str:
    loader = DataLoader(TensorDataset(torch.ones(4, 1)), num_workers=1)
    return str(sum(1 for _ in loader))


def unpickle_program(folder: str) -> str:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("exit 7",)

    file = io.BytesIO()
    torch.save(Payload(), file)
    file.seek(0)
    code = torch.load(file, weights_only=False)
    if os.waitstatus_to_exitcode(code) != 7:
        raise PermissionError("no program was started")
    return "a program was started"
