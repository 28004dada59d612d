"""Options of `generate`: kinds, selection, models per role, budgets, estimates, play-offs, a human; and `reproduce`."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import pytest

from qredit.artifact import load_artifact
from qredit.files import write_atomic
from tests.agents.protocol_server import ProtocolServer, Request, protocol_server
from tests.cli import world
from tests.cli.conftest import Cli
from tests.cli.test_generate import KEY, ask
from tests.cli.world import CALLS, SMALL


@pytest.mark.usefixtures("real_jail")
def test_reproduce(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    """The stored replies lead to the same program; a changed manifest is found out."""
    run = Path(cli(*ask(my_task, server, "--json")).json()["run"])
    asked = len(server.requests)
    refused = cli("reproduce", run, "--json").error()
    assert refused["cause"] == f"it names no built-in task but the file `{my_task}`"
    done = cli("reproduce", run, "--task", my_task)
    assert done.code == 0, done.err
    assert "the same program" in done.out
    assert f"0 of {CALLS} prompts differ" in done.out
    assert len(server.requests) == asked
    manifest = run / "artifact" / "artifact.json"
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**data, "chosen": "0" * 64}))
    done = cli("reproduce", run, "--task", my_task, "--json")
    assert done.code == 1
    assert done.json()["same"] is False
    for name in ("recording.jsonl", "replies.jsonl"):
        (run / name).unlink(missing_ok=True)
    done = cli("reproduce", run, "--task", my_task, "--json")
    assert done.code == 2
    assert "lies beside it" in done.error()["cause"]


@pytest.mark.usefixtures("real_jail")
def test_shares_of_a_task_of_ones_own(cli: Cli, my_task: Path) -> None:
    """Another kind than the task's own: its prompts, its function, its artifact."""

    def writes(request: Request) -> str:
        if world.is_evaluator(request):
            return world.choice()
        assert "def share(state, actions, next_state)" in request["messages"][0]["content"]
        number = re.findall(r"Write candidate (\d)", request["messages"][1]["content"])[0]
        return world.reply(f"def share(state, actions, next_state):\n    return 0.{number} + (actions == 1).float()\n")

    with protocol_server(writes) as server:
        done = cli(*ask(my_task, server, "--kind", "shares", "--rounds", "1", "--json"))
    assert done.code == 0, done.err
    artifact = load_artifact(done.json()["artifact"])
    assert (artifact.kind, artifact.manifest["program"], artifact.manifest["form"]) == ("credit", "shares", "shares")
    assert "r_i = share_i(s, a, s') R" in artifact.files["CARD.md"].decode()


@pytest.mark.usefixtures("real_jail")
def test_descriptions_of_a_task_of_ones_own(cli: Cli, my_task: Path) -> None:
    def writes(request: Request) -> str:
        if world.is_evaluator(request):
            return world.choice()
        number = re.findall(r"Write candidate (\d)", request["messages"][1]["content"])[0]
        text = f'f\'{number}: level {{observation["level"][ego]:.2f}}, distance {{observation["near"][ego]:.2f}}\''
        return world.reply(f"def describe(observation, ego):\n    return {text}\n")

    with protocol_server(writes) as server:
        done = cli(*ask(my_task, server, "--kind", "describe", "--rounds", "1", "--json"))
    assert done.code == 0, done.err
    artifact = load_artifact(done.json()["artifact"])
    assert artifact.kind == "describe"
    assert set(artifact.files) == {"describe.py", "texts.json", "layout.json", "CARD.md"}
    assert len(json.loads(artifact.files["texts.json"])) == 32 * 2
    assert done.json()["score"] == 1.0


@pytest.mark.usefixtures("fake_jail")
def test_without_an_evaluator(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    done = cli(*ask(my_task, server, "--no-evaluator", "--json"))
    assert done.code == 0, done.err
    assert not [r for r in server.requests if world.is_evaluator(r)]
    assert done.json()["spend"]["calls"] == 4


@pytest.mark.usefixtures("fake_jail")
def test_best_of_k(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    done = cli(*ask(my_task, server, "--best-of-k", "--json"))
    assert done.code == 0, done.err
    assert done.json()["spend"]["calls"] == CALLS
    assert len({r["messages"][1]["content"] for r in server.requests}) == CALLS


@pytest.mark.usefixtures("fake_jail")
def test_each_role_has_its_model_and_its_key(
    cli: Cli, my_task: Path, server: ProtocolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluator's endpoint never sees the coder's key."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("EVALUATOR_API_KEY", "sk-evaluator-0123456789")
    with protocol_server(world.answer) as other:
        roles = ("--evaluator-model", "judge", "--evaluator-base-url", other.base_url, "--evaluator-temperature", "0.5")
        done = cli(*ask(my_task, server, *roles, "--json"))
    assert done.code == 0, done.err
    assert {r["model"] for r in server.requests} == {"m"}
    assert {(r["model"], r["temperature"]) for r in other.requests} == {("judge", 0.5)}
    assert {h["authorization"] for h in server.headers} == {f"Bearer {KEY}"}
    assert {h["authorization"] for h in other.headers} == {"Bearer sk-evaluator-0123456789"}
    models = load_artifact(done.json()["artifact"]).manifest["models"]
    assert (models["coder"]["name"], models["evaluator"]["name"]) == ("m", "judge")


@pytest.mark.usefixtures("fake_jail")
def test_without_a_key_of_its_own_the_evaluator_gets_none(
    cli: Cli, my_task: Path, server: ProtocolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with protocol_server(world.answer) as other:
        assert cli(*ask(my_task, server, "--evaluator-base-url", other.base_url)).code == 0
    assert KEY not in str(other.headers)


@pytest.mark.usefixtures("fake_jail")
def test_a_budget_and_more_of_it(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    """One call at a time: round 1 fits, the longer prompts of round 2 do not; with more the run goes on."""
    narrow = ("--max-concurrency", "1", "--max-reply-tokens", "100")
    assert cli(*ask(my_task, server, *narrow)).code == 0
    prompt = sum(len(m["content"]) for m in server.requests[0]["messages"]) // 4
    server.requests.clear()
    each = 120  # tokens that the server reports per call
    limit = 3 * each + prompt + 100 + 50
    small = cli(*ask(my_task, server, *narrow, "--max-tokens", str(limit), "--json"))
    assert small.code == 0, small.err
    assert small.json()["stopped"] == "budget"
    asked = len(server.requests)
    assert 0 < asked < CALLS
    run = small.json()["run"]
    assert "budget was spent" in (Path(run) / "artifact" / "CARD.md").read_text()
    more = cli(*ask(my_task, server, *narrow, "--resume", run, "--json"))
    assert more.code == 0, more.err
    assert more.json()["stopped"] == ""
    assert len(server.requests) == CALLS


@pytest.mark.usefixtures("fake_jail")
def test_a_budget_too_small_for_one_call(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    done = cli(*ask(my_task, server, "--max-tokens", "10"), "--json")
    assert done.code == 1
    assert done.error()["family"] == "model"
    assert "--resume" in done.error()["remedy"]
    assert server.requests == []


@pytest.mark.usefixtures("fake_jail")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-usd", "1"], None),  # a server on loopback costs nothing
        (["--max-usd", "1", "--base-url", "https://models.example/v1"], "its price is not known"),
        (["--max-usd", "0"], "a budget is more than 0"),
        (["--price-in", "1"], "both cost"),
        (["--max-tokens", "-5"], "a budget is more than 0"),
    ],
)
def test_what_a_budget_may_be(
    cli: Cli, my_task: Path, server: ProtocolServer, tmp_path: Path, options: list[str], said: str | None
) -> None:
    done = cli(*ask(my_task, server, *options), "--json")
    if said is None:
        assert done.code == 0, done.err
        return
    assert done.code == 2
    assert said in done.error()["cause"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("fake_jail")
def test_a_dry_run_asks_nothing(cli: Cli, my_task: Path, server: ProtocolServer, tmp_path: Path) -> None:
    done = cli(*ask(my_task, server, "--dry-run", "--price-in", "2", "--price-out", "8", "--json"))
    assert done.code == 0, done.err
    least, most = done.json()["at_least"], done.json()["at_most"]
    assert least["calls"] == CALLS
    assert most["calls"] > least["calls"]
    assert least["usd"] == pytest.approx((least["input_tokens"] * 2 + least["output_tokens"] * 8) / 1e6)
    assert server.requests == []
    assert not (tmp_path / "runs").exists()
    shown = cli("generate", my_task, "--dry-run").out
    assert "nothing was asked" in shown
    assert "unknown" in shown


@pytest.mark.usefixtures("fake_jail")
def test_a_human_answers(cli: Cli, my_task: Path, tmp_path: Path) -> None:
    """A thread stands for the person: it reads the prompts and saves replies beside them."""
    stop = threading.Event()

    def answer() -> None:
        seen: set[Path] = set()
        while not stop.is_set():
            for prompt in set(tmp_path.rglob("*.prompt.md")) - seen:
                seen.add(prompt)
                judged = prompt.name.startswith("evaluator")
                text = world.choice() if judged else world.reply(world.code(1 + len(seen)))
                write_atomic(prompt.with_name(prompt.name.replace(".prompt.md", ".reply.md")), text.encode())
            time.sleep(0.02)

    person = threading.Thread(target=answer)
    person.start()
    try:
        done = cli("generate", my_task, "--model", "human", *SMALL, "--json")
    finally:
        stop.set()
        person.join()
    assert done.code == 0, done.err
    assert done.json()["spend"]["calls"] == CALLS
    assert "waiting for the reply to" in done.err
    assert str(Path(done.json()["run"]) / "human") in done.err


def test_a_kind_that_is_none(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    done = cli(*ask(my_task, server, "--kind", "wieghts"), "--json")
    assert done.code == 2
    assert "`weights`" in done.error()["remedy"]


def test_a_play_off_needs_an_environment(cli: Cli, my_task: Path, server: ProtocolServer, tmp_path: Path) -> None:
    done = cli(*ask(my_task, server, "--play-off", "100"), "--json")
    assert done.code == 2
    assert "has no environment" in done.error()["cause"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("real_jail", "jobs_here")
def test_a_play_off_shows_curves(cli: Cli, tmp_path: Path) -> None:
    """Two finalists and VDN train; the evaluator reads their curves; a resumed run trains nothing again."""
    curves: list[str] = []

    def writes(request: Request) -> str:
        user = request["messages"][1]["content"]
        if world.is_evaluator(request):
            curves.append(user[user.index("# Short trainings") :])
            return world.choice()
        number = re.findall(r"Write candidate (\d)", user)[0]
        return world.reply(f'def credit(state):\n    return state["agent_level"] + 0.{number}\n')

    options = ("--candidates", "2", "--rounds", "1", "--play-off", "400", "--truth-states", "0")
    with protocol_server(writes) as server:
        endpoint = ("--model", "m", "--base-url", server.base_url)
        done = cli("generate", "lbf-5x5-2p-1f", *endpoint, *options, "--json")
        assert done.code == 0, done.err
        run = Path(done.json()["run"])
        again = cli("generate", "lbf-5x5-2p-1f", *endpoint, *options, "--resume", run, "--json")
    assert again.code == 0, again.err
    assert len(curves) == 1
    lines = re.findall(r"^(VDN|candidate \d): 0: [-0-9.]+, \d+: ", curves[0], re.MULTILINE)
    assert lines == ["VDN", "candidate 1", "candidate 2"]
    assert len(list((run / "play-off").glob("*-seed*"))) == 6
    assert "short trainings" in cli("inspect", run).out
