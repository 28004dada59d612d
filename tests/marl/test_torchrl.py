"""The mixer inside TorchRL: alone, and in the real `QMixerLoss`."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import pytest
import torch
from torch import Tensor, nn

from qredit.artifact import bundled_artifact
from qredit.credit import parse_graph
from qredit.marl.mixers.credit import CreditMixer, load_mixer
from tests.credit.build import HEADER, document, encoded

pytest.importorskip("torchrl", reason="TorchRL is not installed: pip install qredit[torchrl]")
pytest.importorskip("tensordict", reason="TorchRL is not installed: pip install qredit[torchrl]")

if TYPE_CHECKING:
    from tensordict import TensorDict
    from torchrl.objectives.multiagent import QMixerLoss

    from qredit.marl.torchrl import QreditMixer

TASK = "lbf-5x5-2p-1f"
N, S, A, O = 2, 11, 6, 9  # noqa: E741
BATCH = (4, 3)
GAMMA = 0.9


@pytest.fixture
def wrap() -> Callable[[CreditMixer], QreditMixer]:
    from qredit.marl.torchrl import QreditMixer

    return QreditMixer


def states(*lead: int) -> Tensor:
    """Whole numbers as the environment gives them, `[*lead, S]`."""
    return torch.randint(0, 5, (*lead, S), generator=torch.Generator().manual_seed(0)).float()


def values(*lead: int) -> Tensor:
    """Values of the chosen actions, `[*lead, N, 1]`."""
    return torch.randn(*lead, N, 1, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("lead", [(), (5,), (4, 3)])
@pytest.mark.parametrize("bias", ["function", "none"])
def test_the_numbers_of_the_credit_mixer(lead: tuple[int, ...], bias: Literal["function", "none"]) -> None:
    from qredit.marl.torchrl import QreditMixer

    mixer, q, s = QreditMixer.load(bundled_artifact(TASK), bias=bias), values(*lead), states(*lead)
    plain = load_mixer(bundled_artifact(TASK), bias=bias)
    q_tot, wanted = mixer(q, s), plain(q.squeeze(-1), s)
    assert q_tot.shape == (*lead, 1)
    assert torch.equal(q_tot, wanted)
    gradients = [torch.autograd.grad(total.square().sum(), [q])[0] for total in (q_tot, wanted)]
    assert torch.equal(*gradients)
    assert torch.equal(gradients[0].squeeze(-1), 2 * q_tot.detach() * plain.credit(s))
    assert list(mixer.parameters()) == []


def test_other_sizes_are_refused(wrap: Callable[[CreditMixer], QreditMixer]) -> None:
    mixer = wrap(load_mixer(bundled_artifact(TASK)))
    with pytest.raises(ValueError, match="expected state"):
        mixer(values(5), states(5)[:, :-1])
    with pytest.raises(ValueError, match="expected chosen_action_value"):
        mixer(torch.zeros(5, N + 1, 1), states(5))


def learner(mixer: nn.Module) -> QMixerLoss:
    """The loss of one linear network for both agents, with this mixer."""
    from tensordict.nn import TensorDictModule
    from torchrl.modules import QValueModule, SafeSequential
    from torchrl.objectives import HardUpdate
    from torchrl.objectives.multiagent import QMixerLoss

    torch.manual_seed(0)
    network = TensorDictModule(
        nn.Linear(O, A), in_keys=[("agents", "observation")], out_keys=[("agents", "action_value")]
    )
    keys = [("agents", name) for name in ("action", "action_value", "chosen_action_value")]
    actor = SafeSequential(network, QValueModule(action_value_key=keys[1], out_keys=keys, action_space="categorical"))
    inside = TensorDictModule(mixer, in_keys=[keys[2], "state"], out_keys=["chosen_action_value"])
    loss = QMixerLoss(actor, inside, action_space="categorical", delay_value=True)
    loss.make_value_estimator(gamma=GAMMA)
    HardUpdate(loss, value_network_update_interval=10)  # TorchRL warns of a loss whose targets nobody updates
    return loss


def batch() -> TensorDict:
    """Transitions with random numbers, `[4, 3]`."""
    from tensordict import TensorDict

    torch.manual_seed(5)

    def step(seed: int) -> dict[str, object]:
        generator = torch.Generator().manual_seed(seed)
        seen = torch.randn(*BATCH, N, O, generator=generator)
        state = torch.randint(0, 5, (*BATCH, S), generator=generator).float()
        return {"agents": TensorDict({"observation": seen}, [*BATCH, N]), "state": state}

    now, after = step(1), step(2)
    now["agents"].set("action", torch.randint(0, A, (*BATCH, N)))  # type: ignore[attr-defined]
    over = torch.zeros(*BATCH, 1, dtype=torch.bool)
    over[0] = True
    after |= {"reward": torch.randn(*BATCH, 1), "done": over, "terminated": over}
    return TensorDict({**now, "next": TensorDict(after, BATCH)}, BATCH)


def test_the_loss_is_the_squared_td_error(wrap: Callable[[CreditMixer], QreditMixer]) -> None:
    """By hand: `(Q_tot(s, a) - r - gamma (1 - terminated) Q_tot(s', argmax))^2`, its gradient, and a step down it."""
    mixer = load_mixer(bundled_artifact(TASK))
    loss, data = learner(wrap(mixer)), batch()
    network = nn.Linear(O, A)
    parameters = {name.rpartition(".")[2]: p for name, p in loss.named_parameters() if not name.startswith("target")}
    with torch.no_grad():
        network.weight.copy_(parameters["weight"])
        network.bias.copy_(parameters["bias"])
    chosen = network(data["agents", "observation"]).gather(-1, data["agents", "action"].unsqueeze(-1)).squeeze(-1)
    best = network(data["next", "agents", "observation"]).amax(dim=-1)
    with torch.no_grad():
        going_on = 1 - data["next", "terminated"].float()
        target = data["next", "reward"] + GAMMA * going_on * mixer(best, data["next", "state"])
    wanted = (mixer(chosen, data["state"]) - target).square().mean()
    found = loss(data)["loss"]
    assert torch.allclose(found, wanted, rtol=1e-6)
    found.backward()
    wanted.backward()
    assert network.weight.grad is not None
    assert parameters["weight"].grad is not None
    assert torch.allclose(parameters["weight"].grad, network.weight.grad, rtol=1e-5, atol=1e-6)
    torch.optim.SGD(parameters.values(), lr=1e-3).step()
    assert loss(data)["loss"] < found


def test_another_mixer_gives_another_loss(wrap: Callable[[CreditMixer], QreditMixer]) -> None:
    """The loss depends on the credit: weights of one are VDN's sum."""
    from torchrl.modules.models.multiagent import VDNMixer

    nodes = [
        {"op": "aten.slice.Tensor", "args": ["state", 1, 0, N]},
        {"op": "aten.ones_like.default", "args": ["n0"]},
    ]
    header = {**HEADER, "n_agents": N, "state_size": S}
    ones = CreditMixer(parse_graph(encoded(document(header=header) | {"nodes": nodes, "outputs": ["n1"]})))
    mixed = [wrap(ones), wrap(load_mixer(bundled_artifact(TASK)))]
    equal, other = (float(learner(copy.deepcopy(m))(batch())["loss"].detach()) for m in mixed)
    q = values(5)
    assert torch.equal(mixed[0](q, states(5)), VDNMixer(n_agents=N, device="cpu")(q))
    assert abs(equal - other) > 1e-3


def test_without_torchrl_the_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["torchrl"] = None
try:
    import qredit.marl.torchrl
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ConfigurationError qredit.marl.torchrl: `torchrl")
    assert "pip install qredit[torchrl]" in done.stdout
