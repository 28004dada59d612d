"""`qredit inspect`."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

import typer
from rich.syntax import Syntax

from qredit.cli.console import JsonOption, command, out, plain, print_json, program

if TYPE_CHECKING:
    from qredit.api.inspection import Attempt, Choice, Exchange, Inspection


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "inspect")(inspect)


def inspect(
    run: Annotated[str, typer.Argument(help="Generation: its folder, or its name in the runs folder.")],
    code: Annotated[
        int | None, typer.Option(help="Show the code of this candidate (first column), and what was measured on it.")
    ] = None,
    diff: Annotated[tuple[int, int] | None, typer.Option(help="Show how two candidates differ (two numbers).")] = None,
    call: Annotated[
        str | None,
        typer.Option(
            help="Show a call word by word: role/round/candidate/attempt, as coder/1/2/1, evaluator/1/0/1 or "
            "ranker/0/1/1."
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Show how a program came to be: rounds, candidates, verdicts, scores, choices, tokens, time."""
    from qredit import api
    from qredit.api.inspection import exchange

    story = api.inspect_run(run)
    if call is not None:
        _show_exchange(exchange(story.run, call), json_output=json_output)
    elif code is not None:
        _show_code(story.source(code), "python", json_output=json_output)
        if not json_output:
            _show_figures(story, code)
    elif diff is not None:
        a, b = (story.source(number).splitlines() for number in diff)
        lines = difflib.unified_diff(a, b, f"candidate {diff[0]}", f"candidate {diff[1]}", lineterm="")
        _show_code("\n".join(lines), "diff", json_output=json_output)
    elif json_output:
        fields = {k: v for k, v in vars(story).items() if k != "run"}
        print_json({"run": story.run.path, **fields})
    else:
        show_story(story)


def show_story(story: Inspection) -> None:
    """The whole story, round by round."""
    console = out()
    console.print(plain(f"{story.run.path}: {story.task}, model {story.model}, {story.status}", "bold"), soft_wrap=True)
    for number in sorted({a.round for a in story.attempts} | {c.round for c in story.choices}):
        console.print(plain(f"\nround {number}", "bold"))
        for attempt in story.attempts:
            if attempt.round == number:
                _show_attempt(attempt, story.chosen)
        for choice in story.choices:
            if choice.round == number:
                _show_choice(choice)
    for note in story.notes:
        console.print(plain(f"\nnote: {note}"), soft_wrap=True)
    spent = f"{story.input_tokens} tokens read, {story.output_tokens} written, {story.seconds:.0f} s of model time"
    console.print(plain(f"\n{spent}"))
    console.print(plain(f"the code of a candidate: {program()} inspect {story.run.path} --code N"), soft_wrap=True)


def _show_attempt(attempt: Attempt, final: str) -> None:
    console = out()
    style = {"accepted": "green", "rejected": "yellow"}.get(attempt.verdict, "red")
    sha = (attempt.sha or "-")[:8]
    head = f"{attempt.number:>3}  candidate {attempt.candidate}, attempt {attempt.attempt}  {sha:<8}  "
    score = "" if attempt.score is None else f"  score {attempt.score:.2f}"
    tail = f"{score}  {attempt.tokens} tokens, {attempt.seconds:.1f} s"
    chosen = plain("  final", "bold") if attempt.sha and attempt.sha == final else plain("")
    console.print(plain(head) + plain(f"{attempt.verdict:<8}", style) + plain(tail) + chosen, soft_wrap=True)
    if attempt.message:
        console.print(plain(f"     {attempt.message}"), soft_wrap=True)


def _show_figures(story: Inspection, number: int) -> None:
    attempt = story.attempt(number)
    if attempt is not None and attempt.figures:
        console = out()
        console.print(plain("\nmeasured", "bold"))
        console.print(plain(attempt.figures), soft_wrap=True)
        if story.scenes:
            console.print(plain("\nthe scenes", "bold"))
            console.print(plain(story.scenes), soft_wrap=True)


def _show_exchange(found: Exchange, *, json_output: bool) -> None:
    if json_output:
        print_json(found)
        return
    console = out()
    parts = [*found.prompt, *([("reasoning", found.reasoning)] if found.reasoning else []), ("reply", found.reply)]
    for speaker, text in parts:
        console.rule(plain(speaker, "bold"))
        console.print(plain(text), soft_wrap=True)


def _show_choice(choice: Choice) -> None:
    console = out()
    if not choice.reason and not choice.tips:
        console.print(plain(f"no new candidate passed: {choice.chosen[:8]} stays"))
        return
    console.print(plain(f"chosen {choice.chosen[:8]}: ", "bold") + plain(choice.reason), soft_wrap=True)
    if choice.tips:
        console.print(plain("tips: ", "bold") + plain(choice.tips), soft_wrap=True)


def _show_code(text: str, language: str, *, json_output: bool) -> None:
    if json_output:
        print_json({"text": text})
    else:
        out().print(Syntax(plain(text).plain, language, background_color="default", word_wrap=True))
