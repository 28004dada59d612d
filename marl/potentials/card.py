"""`CARD.md` of potentials: what a person should know before learning from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qredit.marl.potentials.fitting import Fit
from qredit.marl.potentials.model import Potentials


def card(potentials: Potentials, *, task: str, fit: Fit, origin: Mapping[str, Any]) -> str:
    """The card in Markdown.

    Args:
        potentials: the models.
        task: name of the task that they are for.
        fit: what held-out pairs say about them.
        origin: where the rankings come from.
    """
    models = [f"one for agent{'s'[: len(group) > 1]} {', '.join(map(str, group))}" for group in potentials.groups]
    accuracy = "no pair had a majority" if fit.validation_accuracy is None else f"{100 * fit.validation_accuracy:.0f} %"
    one_hot = f"; one-hot besides: {', '.join(f'`{name}`' for name in potentials.whole)}" if potentials.whole else ""
    return f"""# Potentials for `{task}`

Learned from rankings of situations (LCA, arXiv 2502.03723). An agent's reward is the difference of its potential before
and after a step: `r_i = sigma(o'_i) - sigma(o_i)` (equation 4). With rewards that are zero where an agent stays still,
optimal policies may differ from those of the team's reward.

- rankings by: {origin.get("rankings", "unknown")}{_named(origin)}
- models: {"; ".join(models)}
- each has three hidden layers of {potentials.hidden_size}, tanh, on the state as each agent sees itself in it{one_hot}

## How far the rankings are met

| | |
|---|---|
| pairs learned from | {fit.pairs} |
| pairs held out | {fit.validation_pairs} |
| majorities met on held-out pairs | {accuracy} |
| calibration error on held-out pairs | {fit.calibration_error:.3f} |
| loss (equation 3), learned from and held out | {fit.loss:.3f}, {fit.validation_loss:.3f} nats |

Held-out pairs tell whether the answers are met, and not whether they are true.

## Use

```sh
qredit train {task} --algorithm ippo --rewards potentials --potentials PATH/OF/THIS/FOLDER
```

```python
from qredit.marl.potentials import PotentialReward, load_potentials

rewards = PotentialReward(load_potentials("PATH/OF/THIS/FOLDER"))
r = rewards(states, next_states, still=actions == 0)  # [..., S], [..., S], [..., N] -> [..., N]
```

## Origin

```json
{json.dumps(dict(origin), indent=2, ensure_ascii=False)}
```
"""


def _named(origin: Mapping[str, Any]) -> str:
    """The model's name as code, whatever is in it."""
    name = " ".join(str(origin.get("model", "")).replace("`", "'").split())
    return f" `{name}`" if name else ""
