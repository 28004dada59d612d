"""Environments of one's own, behind PettingZoo's interface and gymnasium's."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qredit.errors import ConfigurationError, TaskFileError
from qredit.layout import StateField
from qredit.marl import layout_of, make_environment, sample_probes
from qredit.marl.adapters import make_simulator
from qredit.marl.environments.own import OwnEnvironment, make_own
from qredit.marl.environments.own_facts import EnvironmentFacts, facts_of
from qredit.task import EnvironmentSpec, Task, parse_task
from qredit.trust import TRUST_VARIABLE
from tests.marl.environments import own_toys
from tests.marl.environments.test_simulators import shown, story

TOYS = own_toys.__name__
SPREAD = "mpe2.simple_spread_v3"
STATE = {"name": "world", "shape": [4, 2], "unit": "steps", "low": -9, "high": 9, "meaning": "All of it."}


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The toys that gymnasium knows by an id."""
    names = ("Pair", "PairWithState", "SharedView", "Hermit")
    for name in names:
        gymnasium.register(f"Qredit{name}-v0", entry_point=getattr(own_toys, name), max_episode_steps=6)
    yield
    for name in names:
        del gymnasium.registry[f"Qredit{name}-v0"]


def toy_task(toy: str = "Relay", *, adapter: str = "pettingzoo", arguments: Any = None, **changes: Any) -> Task:
    """A task in one of the toys."""
    identity = f"{TOYS}:{toy}" if adapter == "pettingzoo" else f"Qredit{toy}-v0"
    data = {
        "name": "toy",
        "title": "A toy",
        "description": "Agents.",
        "goal": "Live.",
        "reward": "Some.",
        "n_agents": 3 if adapter == "pettingzoo" else 2,
        "actions": ["A", "B", "C"],
        "time_limit": 6,
        "environment": {"adapter": adapter, "id": identity, "arguments": arguments or {}},
    }
    return Task.model_validate({**data, **changes})


def own(task: Task) -> OwnEnvironment:
    """The environment of a task, reset, and trusted."""
    assert task.environment is not None
    made = make_own(task.environment, task, trusted=True)
    made.reset(0)
    return made


def relay(arguments: Any = None, **changes: Any) -> OwnEnvironment:
    """The relay with its own state."""
    return own(toy_task(arguments=arguments, layout=[STATE], **changes))


def pair(toy: str = "Pair", arguments: Any = None, **changes: Any) -> OwnEnvironment:
    """The pair behind gymnasium's interface."""
    return own(toy_task(toy, adapter="gymnasium", arguments=arguments, **changes))


def luck_of(environment: OwnEnvironment) -> int:
    """What the relay has drawn."""
    return int(environment.official.luck)


# PettingZoo: what is shown


def test_observations_are_flat_and_padded() -> None:
    made = relay()
    assert (made.n_agents, made.n_actions, made.observation_size, made.time_limit) == (3, 3, 4, 6)
    assert made.observations().tolist() == [[0, 1, 0, 0], [0, 7, -1, 0], [1, 0, 0, 0]]  # a number counts as one-hot
    made.step([0, 0, 0])
    assert made.observations().tolist() == [[1, 1, 0, 0], [luck_of(made), 7, -1, 0], [0, 1, 0, 0]]
    assert made.observations().dtype == np.float32


def test_the_state_is_that_of_the_environment() -> None:
    made = relay()
    made.step([1, 2, 0])
    assert made.state().tolist() == [1, luck_of(made), 1, 0, 7, 0, 0, 0]
    assert made.state().dtype == np.float32
    made.state().fill(9)
    made.observations().fill(9)
    assert made.state()[0] == 1


def test_without_a_layout_the_state_is_what_the_agents_observe() -> None:
    made = own(toy_task())
    assert made.layout.fields == (
        StateField(
            "observation", (3, 4), "unknown", -1, 50, "What each agent observes; zeros for an agent whose part is over."
        ),
    )
    assert made.layout.fields[0].agent_axes == (0,)
    assert made.state().tolist() == made.observations().reshape(-1).tolist()


def test_a_layout_without_a_state_describes_what_the_agents_observe() -> None:
    made = own(toy_task("Stateless", layout=[{**STATE, "shape": [3, 4]}]))
    assert made.state().tolist() == made.observations().reshape(-1).tolist()


def test_actions_and_rewards() -> None:
    made = relay()
    assert made.available_actions().tolist() == [[True, True, False], [True] * 3, [True, True, False]]
    result = made.step([1, 2, 0])
    assert made.official.moves == [{"ann": 1, "bob": 7, "cat": 0}]  # the actions of bob count from 5
    assert result.agent_rewards == (1, 17, 20)
    assert not result.terminated
    assert not result.truncated


def test_action_masks_are_honoured() -> None:
    made = relay({"masked": True})
    assert made.available_actions().tolist() == [[True, True, False], [False, True, False], [True, True, False]]
    made.step([0, 1, 0])
    assert made.available_actions()[1].tolist() == [False, True, False]


def test_action_masks_in_the_observation_are_honoured() -> None:
    made = own(toy_task("Board", actions=["A", "B"]))
    assert made.available_actions().tolist() == [[False, True]] * 3
    assert made.observations()[0].tolist() == [0, 1, 3, 4]


# PettingZoo: ends


def test_an_agent_that_dies_leaves_the_others_alone() -> None:
    made = relay({"deaths": "bob 2"})
    made.step([0, 0, 0])
    last = made.step([0, 2, 1])
    assert last.agent_rewards == (0, 17, 21)  # it still gets what its last action brought
    assert made.observations()[1].tolist() == [0, 0, 0, 0]
    assert made.available_actions()[1].tolist() == [True, False, False]
    assert not last.terminated
    after = made.step([1, 2, 1])
    assert made.official.moves[-1] == {"ann": 1, "cat": 1}
    assert after.agent_rewards == (1, 0, 21)


def test_an_episode_terminates_when_all_have_died() -> None:
    made = relay({"deaths": "bob 2 ann 3 cat 3"})
    results = [made.step([0, 0, 0]) for _ in range(3)]
    assert [(r.terminated, r.truncated) for r in results] == [(False, False), (False, False), (True, False)]
    made.reset(1)
    assert made.available_actions()[1].all()
    assert made.observations()[1].any()
    assert not made.step([0, 0, 0]).terminated


def test_an_episode_in_which_someone_was_cut_off_is_truncated() -> None:
    made = relay({"deaths": "bob 2 ann 3", "cuts": "cat 1"})
    results = [made.step([0, 0, 0]) for _ in range(3)]
    assert [(r.terminated, r.truncated) for r in results] == [(False, False), (False, False), (False, True)]


def test_what_is_seen_when_an_episode_is_cut_off_is_seen() -> None:
    """Learners bootstrap from it."""
    made = relay({"limit": 3, "masked": True}, time_limit=3)
    results = [made.step([0, 1, 0]) for _ in range(3)]
    assert [(r.terminated, r.truncated) for r in results] == [(False, False), (False, False), (False, True)]
    assert made.observations().tolist() == [[3, 1, 0, 0], [luck_of(made), 7, -1, 0], [0, 0, 0, 1]]
    assert made.available_actions().tolist() == [[True, True, False], [False, True, False], [True, True, False]]
    assert made.state()[0] == 3


def test_the_limit_of_the_task_cuts_an_episode_off() -> None:
    made = relay(time_limit=2)
    results = [made.step([0, 0, 0]) for _ in range(2)]
    assert [(r.terminated, r.truncated) for r in results] == [(False, False), (False, True)]
    assert made.available_actions()[1].all()


def test_the_end_of_the_world_at_the_limit_is_no_cut() -> None:
    made = relay({"deaths": "ann 2 bob 2 cat 2"}, time_limit=2)
    made.step([0, 0, 0])
    result = made.step([0, 0, 0])
    assert (result.terminated, result.truncated) == (True, False)


@pytest.mark.parametrize(
    ("toy", "steps", "told"),
    [("Vanishing", 1, "`bob` is not"), ("Reviving", 2, "`ann` is there"), ("Blind", 1, "`ann` observes nothing")],
)
def test_a_team_that_changes_otherwise_is_refused(toy: str, steps: int, told: str) -> None:
    made = own(toy_task(toy))
    if toy == "Reviving":
        made.official.deaths = {"ann": 2}
    for _ in range(steps - 1):
        made.step([0, 0, 0])
    with pytest.raises(ConfigurationError, match="after a step") as caught:
        made.step([0, 0, 0])
    assert told in caught.value.cause


def test_a_team_that_is_not_there_at_the_start_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"after the start of an episode .*`cat` is not"):
        own(toy_task("Late"))


# PettingZoo: snapshots and seeds


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), before=st.integers(0, 5), after=st.integers(1, 9))
def test_a_snapshot_leads_to_the_same_future(seed: int, before: int, after: int) -> None:
    """Also a second time, after the environment has gone on, and in another one that was elsewhere."""
    first, other = relay({"deaths": "bob 4"}, time_limit=20), relay({"deaths": "bob 4"}, time_limit=20)
    first.reset(seed)
    other.reset(seed + 1)
    story(other, np.random.default_rng(0), 3)
    story(first, np.random.default_rng(1), before)
    snapshot = first.save()
    told = story(first, np.random.default_rng(2), after)
    for again in (first, other, first):
        again.restore(snapshot)
        assert story(again, np.random.default_rng(2), after) == told


def test_an_episode_is_a_function_of_its_seed_and_actions() -> None:
    fresh, used = relay(time_limit=30), relay(time_limit=30)
    used.reset(3)
    story(used, np.random.default_rng(9))
    told = []
    for made in (fresh, used):
        made.reset(7)
        told.append(story(made, np.random.default_rng(1)))
    assert told[0] == told[1]
    fresh.reset(8)
    assert story(fresh, np.random.default_rng(1)) != told[0]


def test_looking_changes_nothing() -> None:
    made, twin = relay(time_limit=30), relay(time_limit=30)
    for _ in range(3):
        twin.save()
        twin.scripted_actions(np.random.default_rng(1))
        shown(twin)
    assert story(made, np.random.default_rng(1)) == story(twin, np.random.default_rng(1))


def test_what_cannot_be_copied_is_named() -> None:
    made = own(toy_task("Locked"))
    assert not made.step([0, 0, 0]).terminated
    with pytest.raises(ConfigurationError, match=r"cannot be copied .*lock") as caught:
        made.save()
    assert "`layout` and `states`" in caught.value.remedy


@pytest.mark.parametrize("toy", ["Rebuilt", "behind_another"])
def test_an_environment_that_copying_would_make_anew_is_copied_as_it_stands(toy: str) -> None:
    made, other = own(toy_task(toy)), own(toy_task(toy))
    for seen in (made, other):
        assert seen.step([1, 1, 1]).agent_rewards == (1, 16, 21)
    other.step([0, 0, 0])
    snapshot = made.save()
    told = story(made, np.random.default_rng(0))
    other.restore(snapshot)
    assert other.observations()[0].tolist() == [1, 1, 0, 0]  # one step was done
    assert story(other, np.random.default_rng(0)) == told


def test_copies_that_go_on_differently_are_refused() -> None:
    made = own(toy_task("Wild"))
    snapshot = made.save()
    with pytest.raises(ConfigurationError, match="two copies of it went on differently"):
        made.restore(snapshot)


def test_the_end_of_an_episode_can_be_restored() -> None:
    made = relay({"deaths": "ann 1 bob 1 cat 1"})
    made.step([0, 0, 0])
    snapshot = made.save()
    state = made.state().tolist()
    made.reset(1)
    made.restore(snapshot)
    assert made.state().tolist() == state


def test_scripted_actions_are_random_and_available() -> None:
    made = relay({"masked": True})
    rng = np.random.default_rng(0)
    chosen = np.array([made.scripted_actions(rng) for _ in range(400)])
    assert set(chosen[:, 1]) == {1}
    assert np.bincount(chosen[:, 0], minlength=2) / 400 == pytest.approx([0.5, 0.5], abs=0.1)


# The official spread, and the rest of the room


def test_the_official_spread_is_played_as_it_is() -> None:
    task = toy_task(environment={"adapter": "pettingzoo", "id": SPREAD}, actions=list("abcde"), time_limit=25)
    made = make_simulator(task)  # a known package: nobody has to vouch for it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mpe2 import simple_spread_v3
    twin = simple_spread_v3.parallel_env(N=3, max_cycles=25)
    made.reset(5)
    seen, _ = twin.reset(seed=5)
    rng = np.random.default_rng(0)
    for step in range(25):
        assert made.observations() == pytest.approx(np.array([seen[a] for a in twin.possible_agents]))
        actions = rng.integers(5, size=3).tolist()
        result = made.step(actions)
        seen, rewards, _, _, _ = twin.step(dict(zip(twin.possible_agents, actions, strict=True)))
        assert result.agent_rewards == pytest.approx([rewards[a] for a in twin.possible_agents])
        assert (result.terminated, result.truncated) == (False, step == 24)
    assert made.observations() == pytest.approx(np.array([seen[a] for a in twin.possible_agents]))


def test_spread_keeps_its_promises() -> None:
    task = toy_task(environment={"adapter": "pettingzoo", "id": SPREAD}, actions=list("abcde"), time_limit=25)
    made, other = make_simulator(task), make_simulator(task)
    made.reset(1)
    other.reset(2)
    story(made, np.random.default_rng(0), 3)
    snapshot = made.save()
    told = story(made, np.random.default_rng(1))
    other.restore(snapshot)
    assert story(other, np.random.default_rng(1)) == told


def test_probes_and_batches_of_an_environment_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRUST_VARIABLE, "1")
    task = toy_task(layout=[STATE])
    probes = sample_probes(task, 16, 0)
    assert probes.states.shape == (16, 8)
    assert np.array_equal(probes.states, sample_probes(task, 16, 0).states)
    assert probes.rewards is not None
    assert probes.actions is not None
    paid = probes.actions + np.array([0, 5 + 10, 20])  # nobody dies; the actions of bob count from 5
    assert probes.rewards.tolist() == paid.sum(axis=1).tolist()
    environment = make_environment(task, 2)
    now = environment.reset([0, 1])
    assert now.states.shape == (2, 8)
    assert layout_of(task).fields[0].name == "world"


def test_passengers_join_an_environment_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRUST_VARIABLE, "1")
    spec = {"adapter": "pettingzoo", "id": f"{TOYS}:Relay", "inert_agents": 2}
    simulator = make_simulator(toy_task(environment=spec, layout=[STATE], n_agents=5))
    assert [field.name for field in simulator.layout.fields] == ["world", "active"]


# Gymnasium


@pytest.mark.parametrize("multi", [False, True])
def test_a_pair_behind_gymnasium(multi: bool) -> None:
    made = pair(arguments={"multi": multi})
    assert (made.n_agents, made.n_actions, made.observation_size, made.time_limit) == (2, 3, 4, 6)
    luck = made.official.unwrapped.luck
    assert made.observations().tolist() == [[0, 0, 0, 0], [luck, luck, luck, 0]]
    assert made.available_actions().tolist() == [[True, True, False], [True, True, True]]
    result = made.step([1, 2])
    sent = made.official.unwrapped.last
    assert [int(number) for number in sent] == [1, 2 if multi else 3]  # the second of the tuple counts from 1
    assert result.agent_rewards == ((1.5, 1.5) if multi else (2, 2))  # the sum is the team's
    assert isinstance(sent, np.ndarray if multi else tuple)


@pytest.mark.parametrize("rewards", ["each", "array"])
def test_rewards_of_each_agent(rewards: str) -> None:
    made = pair(arguments={"rewards": rewards})
    assert made.step([1, 2]).agent_rewards == (1, 3)


@pytest.mark.parametrize("rewards", ["sum", "each"])
def test_a_pair_ends(rewards: str) -> None:
    made = pair(arguments={"rewards": rewards})
    ends = [made.step([0, 0]) for _ in range(4)]
    assert [r.terminated for r in ends] == [False, False, False, True]
    assert not any(r.truncated for r in ends)
    short = pair(time_limit=2)
    assert [short.step([0, 0]).truncated for _ in range(2)] == [False, True]


def test_the_limit_of_the_registration_cuts_an_episode_off() -> None:
    made = pair("Hermit", n_agents=1, time_limit=9)
    assert made.time_limit == 6
    assert [made.step([0]).truncated for _ in range(6)] == [False] * 5 + [True]


def test_masks_of_a_pair() -> None:
    assert pair(arguments={"masked": True}).available_actions().tolist() == [[True, False, False], [True, False, True]]


def test_the_state_of_a_pair() -> None:
    layout = [{**STATE, "shape": [3]}]
    made = pair("PairWithState", layout=layout)
    made.step([0, 0])
    assert made.state().tolist() == [1, made.official.unwrapped.luck, 7]
    assert pair("PairWithState").state().tolist() == pair("PairWithState").observations().reshape(-1).tolist()


def test_a_snapshot_of_a_pair() -> None:
    made, other = pair(), pair()
    made.reset(1)
    made.step([1, 1])
    snapshot = made.save()
    told = story(made, np.random.default_rng(0))
    other.restore(snapshot)
    assert story(other, np.random.default_rng(0)) == told


def test_an_environment_of_one_agent() -> None:
    made = pair("Hermit", n_agents=1)
    assert made.observations().tolist() == [[0, 0]]
    assert made.available_actions().tolist() == [[True, True, False]]
    assert made.step([2]).agent_rewards == (3,)
    assert made.official.unwrapped.last == 1  # its actions count from -1
    assert made.observations().tolist() == [[1, 1]]
    assert made.state().tolist() == [1, 1]  # an attribute `state` is no method


def test_an_environment_of_one_agent_is_no_team() -> None:
    with pytest.raises(ConfigurationError, match=r"one of a single agent, and task `toy` says 2"):
        pair("Hermit")


# Contradictions


def test_a_layout_that_does_not_fit_is_told_with_its_line(tmp_path: Path) -> None:
    import yaml

    data = toy_task(layout=[{**STATE, "shape": [3]}]).model_dump(mode="json", exclude_none=True)
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    line = path.read_text().splitlines().index("layout:") + 1
    with pytest.raises(TaskFileError) as caught:
        own(parse_task(path))
    assert caught.value.what == f"`{path}`, line {line}"
    assert caught.value.cause == "the fields of the layout hold 3 numbers, `state()` of the environment gives 8"
    with pytest.raises(TaskFileError, match="hold 3 numbers, the agents together observe 12"):
        own(toy_task("Stateless", layout=[{**STATE, "shape": [3]}]))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_agents": 2}, "`n_agents: 2`, it has 3"),
        ({"actions": ["A"]}, "1 `actions`, it has 3"),
        ({"time_limit": 7, "arguments": {"limit": 5}}, "`time_limit: 7`, it has 5"),
    ],
)
def test_a_task_that_contradicts_its_environment(
    changes: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRUST_VARIABLE, "1")
    with pytest.raises(TaskFileError) as caught:
        make_simulator(toy_task(**changes))
    assert told in caught.value.cause


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (toy_task("Steering"), "only `Discrete` ones can be learnt"),
        (toy_task("Reading"), "no fixed number of numbers"),
        (toy_task("Turns"), "it has no parallel interface"),
        (toy_task("STATE"), f"`{TOYS}` has no function `STATE`"),
        (toy_task("nothing"), f"`{TOYS}` has no function `nothing`"),
        (toy_task("Relay", arguments={"speed": 3}), "unexpected keyword argument 'speed'"),
        (toy_task(environment={"adapter": "pettingzoo", "id": "no_such_package.env"}), "No module named"),
        (toy_task(environment={"adapter": "pettingzoo", "id": "os; exit"}), "no name of a module"),
        (toy_task(environment={"adapter": "pettingzoo", "id": "mpe2."}), "no name of a module"),
        (toy_task(environment={"adapter": "pettingzoo", "id": "mpe2.simple_spred_v3"}), "cannot be imported"),
        (toy_task("SharedView", adapter="gymnasium"), "takes 2 actions at once, but its observations are Box"),
        (toy_task("Nothing", adapter="gymnasium"), "gymnasium knows no environment of this id"),
        (toy_task("Pair", adapter="gymnasium", arguments={"speed": 3}), "unexpected keyword argument 'speed'"),
        (toy_task(environment={"adapter": "gymnasium", "id": "no_such_package:Env-v0"}), "cannot be imported"),
        (toy_task(environment={"adapter": "gymnasium", "id": "///"}), "cannot be made"),
    ],
    ids=range(15),
)
def test_an_environment_that_cannot_be_used(task: Task, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        own(task)
    assert told in caught.value.cause


def test_a_misspelt_id_is_suggested() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean `QreditPair-v0`"):
        own(toy_task("Pairs", adapter="gymnasium"))


@pytest.mark.parametrize(
    ("mask", "told"), [("11", "3 actions and an action mask of shape [2]"), ("000", "that allows 0")]
)
def test_a_mask_that_cannot_be(mask: str, told: str) -> None:
    made = own(toy_task("WrongMask", arguments={"mask": mask}))
    with pytest.raises(ConfigurationError) as caught:
        made.available_actions()
    assert told in caught.value.cause


def test_an_observation_that_is_not_what_its_space_says() -> None:
    made = own(toy_task("Wide"))
    with pytest.raises(ConfigurationError, match="showed an agent 5 numbers, its observation space has 2"):
        made.observations()


def test_rewards_that_are_neither_one_nor_one_each() -> None:
    with pytest.raises(ConfigurationError, match="3 rewards to 2 agents"):
        pair(arguments={"rewards": "three"}).step([0, 0])


# Trust


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that leaves a trace when it is imported; gives the trace."""
    trace = tmp_path / "ran"
    (tmp_path / "stranger.py").write_text(f"import pathlib\npathlib.Path({str(trace)!r}).touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield trace
    sys.modules.pop("stranger", None)


@pytest.mark.parametrize(
    "environment",
    [
        {"adapter": "pettingzoo", "id": "stranger"},
        {"adapter": "pettingzoo", "id": "stranger:parallel_env"},
        {"adapter": "gymnasium", "id": "stranger:Env-v0"},
        {"adapter": "gymnasium", "id": "QreditPair-v0", "arguments": {"env_id": "stranger:Env-v0"}},
    ],
)
def test_code_of_strangers_does_not_run_untold(
    environment: dict[str, Any], stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = toy_task(environment=environment)
    spec = EnvironmentSpec.model_validate(environment)
    for value in (None, "", "0", "no"):
        if value is not None:
            monkeypatch.setenv(TRUST_VARIABLE, value)
        for ask in (lambda: make_simulator(task), lambda: facts_of(spec), lambda: sample_probes(task, 1, 0)):
            with pytest.raises(ConfigurationError, match="nobody said that its code can be trusted") as caught:
                ask()
            assert "--trust-env" in caught.value.remedy
    assert not stranger.exists()
    monkeypatch.setenv(TRUST_VARIABLE, "1")
    with pytest.raises(ConfigurationError):
        make_own(spec, task, trusted=False)
    assert not stranger.exists()
    with pytest.raises(ConfigurationError, match=r"has no function|knows no environment|cannot be made"):
        make_simulator(task)
    assert stranger.exists() or "arguments" in environment


def test_a_module_of_a_known_package_names_no_function_of_its_choice() -> None:
    with pytest.raises(ConfigurationError, match="trusted"):
        make_simulator(toy_task(environment={"adapter": "pettingzoo", "id": "mpe2.simple_spread_v3:parallel_env"}))
    with pytest.raises(ConfigurationError, match="trusted"):
        make_simulator(toy_task(environment={"adapter": "pettingzoo", "id": "mpe2_of_mine"}))


@pytest.mark.parametrize("entry", ["trusted", "trust", "trust_env"])
def test_no_file_says_that_it_can_be_trusted(entry: str) -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        EnvironmentSpec.model_validate({"adapter": "pettingzoo", "id": "stranger", entry: True})


# What an environment tells of itself


def test_facts_of_the_relay() -> None:
    facts = facts_of(EnvironmentSpec(adapter="pettingzoo", id=f"{TOYS}:Relay"), trusted=True)
    field = StateField("state", (8,), "unknown", -np.inf, np.inf, "What `state()` of the environment gives.")
    assert facts == EnvironmentFacts(3, 3, None, 1000, field, is_observation=False)


def test_facts_where_the_state_is_what_the_agents_observe() -> None:
    facts = facts_of(EnvironmentSpec(adapter="pettingzoo", id=SPREAD))
    assert (facts.n_agents, facts.n_actions, facts.time_limit) == (3, 5, 25)
    assert (facts.field.name, facts.field.shape, facts.is_observation) == ("observation", (3, 18), True)
    assert (facts.field.low, facts.field.high) == (-np.inf, np.inf)


def test_names_of_actions_where_the_environment_has_them() -> None:
    facts = facts_of(EnvironmentSpec(adapter="gymnasium", id="QreditHermit-v0"))
    assert facts.action_names == ("LEFT", "STAY", "RIGHT")
    assert facts.time_limit == 6


def test_facts_where_observations_have_unequal_lengths() -> None:
    """The state is made of the observations, but without the zeros that pad the shorter ones."""
    facts = facts_of(EnvironmentSpec(adapter="pettingzoo", id="mpe2.simple_speaker_listener_v4"))
    assert (facts.field.name, facts.field.shape, facts.is_observation) == ("state", (14,), False)
