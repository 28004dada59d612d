"""Runs exported files where `qredit` cannot be imported: `python -I alone.py FOLDER`.

For each `NAME.py` in the folder it reads `NAME.safetensors` (`state`, `agents_q`, and for shares the parts of a
transition) and writes `NAME.out.safetensors`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


class NoQredit:
    """A finder that refuses the package and its rooms."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Refuse, or leave it to the next finder."""
        if name.partition(".")[0] in ("qredit", "marl", "sandbox", "prompts"):
            raise ImportError(f"an exported file imports {name}")


def load(file: Path) -> Any:
    """The file as a module."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flattened(value: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One result or several."""
    return value if isinstance(value, tuple) else (value,)


def outcome(mixer: Any, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The function's own results with their gradients, and what the module makes of them."""
    state, agents_q = (given[name].clone().requires_grad_() for name in ("state", "agents_q"))
    general = "agents_q" in mixer.function.__code__.co_varnames[: mixer.function.__code__.co_argcount]
    raw = flattened(mixer.function(state, agents_q) if general else mixer.function(state))
    found = {f"raw_{i}": r for i, r in enumerate(raw)}
    total = sum(((r * torch.linspace(0.5, 2.0, r.numel()).reshape(r.shape)).sum() for r in raw), torch.zeros(()))
    if total.requires_grad:
        gradients = torch.autograd.grad(total, [state, agents_q], allow_unused=True)
        for name, value, gradient in zip(("state", "agents_q"), (state, agents_q), gradients, strict=True):
            found[f"gradient_{name}"] = torch.zeros_like(value) if gradient is None else gradient
    if "actions" in given:
        found["shares"] = mixer(given["first"], given["actions"], given["next"])
        return found
    found["q_tot"] = mixer(agents_q, state)
    found["credit"] = mixer.credit(state, agents_q) if general else mixer.credit(state)
    (found["slopes"],) = torch.autograd.grad(found["q_tot"].sum(), [agents_q])
    return found


def main(folder: Path) -> None:
    """Run every file."""
    sys.meta_path.insert(0, NoQredit())
    torch.set_num_threads(1)
    for file in sorted(folder.glob("*.py")):
        mixer = load(file).CreditMixer()
        result = outcome(mixer, load_file(file.with_suffix(".safetensors")))
        contiguous = {
            name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in result.items()
        }
        save_file(contiguous, file.with_suffix(".out.safetensors"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
