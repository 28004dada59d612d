"""A credit function as a mixer of TorchRL, for its `QMixerLoss` and for BenchMARL: `pip install qredit[torchrl]`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor

from qredit.errors import ConfigurationError
from qredit.marl.mixers.credit import CreditMixer, load_mixer

try:
    from torchrl.modules.models.multiagent import Mixer
except ModuleNotFoundError as error:
    raise ConfigurationError(
        "qredit.marl.torchrl", cause=f"`{error.name}` is not installed", remedy="Run `pip install qredit[torchrl]`."
    ) from error


class QreditMixer(Mixer):  # type: ignore[misc]  # TorchRL has no types
    """Mixes `chosen_action_value [*B, N, 1]` and the state `[*B, S]` to `[*B, 1]`; it has no parameters.

    Args:
        mixer: the credit function, from `load_mixer`.
        device: as for TorchRL's own mixers; what the function makes goes wherever the state is.
    """

    def __init__(self, mixer: CreditMixer, *, device: torch.device | str = "cpu") -> None:
        state_size = mixer.graph.header.state_size
        super().__init__(n_agents=mixer.n_agents, needs_state=True, state_shape=torch.Size([state_size]), device=device)
        self.credit_mixer = mixer

    @classmethod
    def load(
        cls, path: Path | str, *, bias: Literal["function", "none"] = "function", device: torch.device | str = "cpu"
    ) -> Self:
        """Load an artifact; see `load_mixer`.

        Raises:
            ArtifactError: missing, damaged or forged, or no credit artifact.
        """
        return cls(load_mixer(path, bias=bias), device=device)

    def mix(self, chosen_action_value: Tensor, state: Tensor) -> Tensor:
        """`Q_tot [*B, 1]` of `chosen_action_value [*B, N, 1]` and `state [*B, S]`."""
        q_tot: Tensor = self.credit_mixer(chosen_action_value.squeeze(-1), state)
        return q_tot
