"""Pictures of rooms: what changes with the world, colours at known places, and that SVG and pixels are one picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from qredit.marl.environments.rooms import PLANS, FloorPlan, Rooms
from qredit.marl.environments.rooms import drawing as d
from qredit.marl.environments.rooms.plan import Cell
from qredit.marl.environments.rooms.world import EAST, STAY, STEPS, Saved

if TYPE_CHECKING:
    from numpy.typing import NDArray

P = 15
"""Odd, so that a pixel lies in the middle of a cell."""
SVG = "{http://www.w3.org/2000/svg}"
N_ROW, S_ROW, W_ROW, E_ROW = (-1, 0), (1, 0), (0, -1), (0, 1)


def at(name: str, a: Cell, b: Cell, done: tuple[int, ...] = (), facing: tuple[Cell, Cell] = (S_ROW, S_ROW)) -> Saved:
    """A state; `done` names things by their numbers."""
    flags = tuple(k in done for k in range(len(PLANS[name].things)))
    return Saved((a, b), facing, flags, arrived=False, steps=0)


def blocks(plan: FloorPlan, now: Saved) -> NDArray[np.uint8]:
    """The pixels of each cell, `[rows, columns, P, P, 3]`."""
    rows, columns = plan.shape
    pixels = d.rgb_array(plan, now, pixels_per_cell=P)
    return pixels.reshape(rows, P, columns, P, 3).swapaxes(1, 2)


def changed(name: str, before: Saved, after: Saved) -> set[Cell]:
    """Cells that look different."""
    plan = PLANS[name]
    different = (blocks(plan, before) != blocks(plan, after)).any(axis=(2, 3, 4))
    return {(int(row), int(column)) for row, column in np.argwhere(different)}


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def centre(name: str, now: Saved, cell: Cell) -> tuple[int, ...]:
    return tuple(blocks(PLANS[name], now)[cell][P // 2, P // 2].tolist())


# What changes


@pytest.mark.parametrize(
    ("name", "before", "after", "cells"),
    [
        ("two-switch", at("two-switch", (2, 2), (5, 5)), at("two-switch", (2, 3), (5, 5)), {(2, 2), (2, 3)}),
        ("two-switch", at("two-switch", (2, 2), (5, 5)), at("two-switch", (2, 2), (4, 5)), {(5, 5), (4, 5)}),
        ("two-switch", at("two-switch", (2, 2), (5, 5)), at("two-switch", (2, 2), (5, 5), done=(0,)), {(3, 0)}),
        (  # the second switch opens the door
            "two-switch",
            at("two-switch", (2, 2), (5, 5), done=(0,)),
            at("two-switch", (2, 2), (5, 5), done=(0, 1)),
            {(3, 10), (6, 5)},
        ),
        (
            "victim-rubble",
            at("victim-rubble", (3, 2), (5, 5)),
            at("victim-rubble", (3, 2), (5, 5), done=(1,)),
            {(3, 1)},
        ),
        (
            "victim-rubble",
            at("victim-rubble", (3, 2), (5, 5)),
            at("victim-rubble", (3, 2), (5, 5), done=(3,)),
            {(4, 9)},
        ),
        ("victim-rubble", at("victim-rubble", (3, 2), (5, 5)), at("victim-rubble", (3, 2), (5, 5)), set()),
    ],
)
def test_a_picture_changes_where_the_world_does(name: str, before: Saved, after: Saved, cells: set[Cell]) -> None:
    assert changed(name, before, after) == cells


@pytest.mark.parametrize("name", PLANS)
def test_every_way_and_either_agent_looks_different(name: str) -> None:
    plan = PLANS[name]
    a, b = plan.cells("+")[:2]
    seen = {
        blocks(plan, at(name, a, b, facing=(facing, S_ROW)))[a].tobytes() for facing in (N_ROW, S_ROW, W_ROW, E_ROW)
    }
    assert len(seen) == 4
    assert changed(name, at(name, a, b), at(name, b, a)) == {a, b}


def test_an_agent_points_the_way_it_faces() -> None:
    """Most of its pixels are behind its middle, on a line through it."""
    plan, cell = PLANS["two-switch"], (2, 2)
    for facing in (N_ROW, S_ROW, W_ROW, E_ROW):
        now = at("two-switch", cell, (5, 5), facing=(facing, S_ROW))
        drawn = np.argwhere((blocks(plan, now)[cell] == rgb(d.AGENTS[0])).all(axis=-1)) - P // 2
        ahead, aside = drawn @ np.array(facing), drawn @ np.array(facing[::-1])
        widths = [np.ptp(aside[ahead == k]) for k in range(ahead.min(), ahead.max() + 1)]
        assert widths == sorted(widths, reverse=True)
        assert widths[0] > 4 * (widths[-1] + 1)


# Colours


def test_colours_at_known_places() -> None:
    start = at("two-switch", (2, 2), (5, 4))
    for cell, colour in {
        (0, 0): d.WALL,
        (1, 1): d.FLOOR,
        (2, 2): d.AGENTS[0],
        (5, 4): d.AGENTS[1],
        (6, 5): d.DOOR_LEAF,
        (9, 5): d.TARGET,
    }.items():
        assert centre("two-switch", start, cell) == rgb(colour)
    assert centre("two-switch", at("two-switch", (2, 2), (5, 4), done=(0, 1)), (6, 5)) == rgb(d.FLOOR)
    start = at("victim-rubble", (3, 5), (3, 6))
    for cell, colour in {(1, 1): d.VICTIM, (3, 1): d.VICTIM, (1, 9): d.RUBBLE, (6, 12): d.RUBBLE}.items():
        assert centre("victim-rubble", start, cell) == rgb(colour)
    done = at("victim-rubble", (3, 5), (3, 6), done=(0, 1, 2, 3, 4))
    assert centre("victim-rubble", done, (1, 1)) == rgb(d.VICTIM_DONE)
    assert centre("victim-rubble", done, (1, 9)) == rgb(d.RUBBLE_DONE)
    assert centre("victim-rubble", at("victim-rubble", (1, 1), (3, 6), done=(0,)), (1, 1)) == rgb(d.AGENTS[0])


def test_a_switch_that_is_on_differs_in_shape_and_in_brightness() -> None:
    plan = PLANS["two-switch"]
    off, on = (blocks(plan, at("two-switch", (2, 2), (5, 5), done=done))[3, 0] for done in ((), (0,)))
    rows = {}
    for name, block, lever in (("off", off, d.LEVER_OFF), ("on", on, d.LEVER_ON)):
        rows[name] = np.argwhere((block == rgb(lever)).all(axis=-1))[:, 0].mean()
    assert rows["on"] < P // 2 < rows["off"]
    assert on.mean() > off.mean() + 20


def test_green_and_orange() -> None:
    (r_0, g_0, _), (r_1, g_1, b_1) = (rgb(colour) for colour in d.AGENTS)
    assert g_0 > 2 * r_0
    assert r_1 > g_1 > 2 * b_1


# One picture


def states_of(name: str) -> list[Saved]:
    """States of an episode of the scripted team, the last with all done."""
    rooms, rng = Rooms(name), np.random.default_rng(0)
    rooms.reset(0)
    found, over = [rooms.save()], False
    while not over:
        result = rooms.step(rooms.scripted_actions(rng))
        found.append(rooms.save())
        over = result.terminated or result.truncated
    return [*found[::4], replace(found[-1], done=(True,) * len(rooms.plan.things))]


def fill_at(elements: list[ET.Element], x: float, y: float) -> str:
    """Fill of the topmost element of an SVG at a point, by SVG's own rules."""

    def number(element: ET.Element, name: str) -> float:
        return float(element.attrib[name])

    for element in reversed(elements):
        if element.tag == f"{SVG}rect":
            left, top = number(element, "x"), number(element, "y")
            inside = left <= x < left + number(element, "width") and top <= y < top + number(element, "height")
        elif element.tag == f"{SVG}circle":
            inside = np.hypot(x - number(element, "cx"), y - number(element, "cy")) <= number(element, "r")
        else:
            corners = [complex(*map(float, pair.split(","))) for pair in element.attrib["points"].split()]
            around = [corner - complex(x, y) for corner in (*corners, corners[0])]
            turns = [np.angle(b / a) for a, b in pairwise(around)]
            inside = abs(sum(turns)) > np.pi
        if inside:
            return element.attrib["fill"]
    raise AssertionError(f"nothing at {x}, {y}")


@pytest.mark.parametrize("name", PLANS)
def test_svg_and_pixels_are_one_picture(name: str) -> None:
    plan, rng = PLANS[name], np.random.default_rng(0)
    rows, columns = plan.shape
    for now in states_of(name):
        root = ET.fromstring(d.svg(plan, now))
        title, *elements = list(root)
        assert title.tag == f"{SVG}title"
        assert len(elements) == len(d.shapes(plan, now))
        assert {element.tag for element in elements} <= {f"{SVG}{kind}" for kind in ("rect", "circle", "polygon")}
        assert root.attrib["viewBox"] == f"0 0 {20 * columns} {20 * rows}"
        pixels = d.rgb_array(plan, now, pixels_per_cell=P)
        assert pixels.shape == (rows * P, columns * P, 3)
        assert pixels.dtype == np.uint8
        middles = [(row * P + P // 2, column * P + P // 2) for row in range(rows) for column in range(columns)]
        anywhere = rng.integers(0, (rows * P, columns * P), size=(100, 2)).tolist()
        for i, j in [*middles, *anywhere]:
            fill = fill_at(elements, (j + 0.5) / P * d.UNITS, (i + 0.5) / P * d.UNITS)
            assert pixels[i, j].tolist() == list(rgb(fill))


@pytest.mark.parametrize("name", PLANS)
def test_pictures_stand_alone_and_stay_within_their_edges(name: str) -> None:
    plan, now = PLANS[name], states_of(name)[0]
    text = d.svg(plan, now)
    assert "href" not in text
    assert "url(" not in text
    assert text.count("http") == 1  # the name space
    rows, columns = plan.shape
    for shape in d.shapes(plan, now):
        y, x = np.mgrid[-1 : rows + 1 : 0.25, -1 : columns + 1 : 0.25]
        outside = (x < 0) | (y < 0) | (x >= columns) | (y >= rows)
        assert not (shape.covers(x, y) & outside).any()


def test_the_title_says_it_in_words_and_is_escaped() -> None:
    plan = replace(PLANS["two-switch"], agents=("<b>green</b> & co", 'the "other"'))
    now = replace(at("two-switch", (2, 2), (5, 5), done=(0,), facing=(W_ROW, N_ROW)), steps=7)
    text = d.svg(plan, now)
    assert "<b>" not in text
    (title,) = ET.fromstring(text).findall(f"{SVG}title")
    assert title.text == (
        'Step 7: <b>green</b> & co at (2, 2) facing west; the "other" at (5, 5) facing north; 1 of 2 switches done'
    )


# The world


@pytest.mark.parametrize("name", PLANS)
def test_a_world_shows_its_present_state(name: str) -> None:
    rooms = Rooms(name)
    rooms.reset(2)
    before = rooms.render()
    rows, columns = rooms.plan.shape
    assert before.shape == (16 * rows, 16 * columns, 3)
    rooms.step([EAST, STAY])
    after = rooms.render()
    assert not np.array_equal(before, after)
    assert np.array_equal(after, d.rgb_array(rooms.plan, rooms.save(), pixels_per_cell=16))
    assert rooms.save().facing[0] == STEPS[EAST]
