GUIDE = """Goal: both switches on, then one agent on the target, in as few steps as possible.

Order: (1) the west and the east switch are turned on, in any order; (2) with the second one the door opens; (3) one agent, one is enough, goes through the door to the target.

Who does what: each description names the ego's part and the teammate's, ties are settled already. Assume that the teammate does its part as fast as it can from now on.
- Both switches off: one agent has WEST SWITCH, the other EAST SWITCH. Nobody waits.
- One switch off: one agent has this switch. The other has RUN: it goes ahead to the waiting cell (5, 5) in front of the shut door, 4 steps from the target, waits there, and leaves the switch to the teammate.
- Both switches on: the agent nearer to the target has RUN and goes to the target. The other is FREE: it has nothing left to do and keeps out of the way.
An agent beside a switch that is off takes this switch; otherwise the parts are split so that the task is over soonest.

Steps of a switch part count the moves, the turn towards the switch if one is needed, and the ACT. Steps of RUN are counted to the target, also while the door is shut.

How to judge a pair; the first rule that fits decides:
1. In one situation the ego is "beside the west (or east) switch (off) and facing it", in the other it is on the same cell and this same switch is on: the ego turned it on. The situation with the switch on is clearly better, whatever the ego's new part and its steps are.
2. The ego is on the target in one situation only: this one is clearly better.
3. The ego's cell and facing are the same in both: unsure, whatever else differs.
4. The ego's part is the same in both: FEWER steps left for it is better, also if the difference is only 1 and also if the teammate turned a switch on in between; the same number: unsure. FREE in both: always unsure.
5. The ego's part differs, and one situation has more switches on (the teammate's doing): take the part that the ego has in the situation with FEWER switches on, and compare the ego's steps for this part in both situations (line "Ego's steps by part"): fewer is better; the same number: unsure.
6. The ego's part differs, and the same switches are on: compare the ego's steps for BOTH of these parts (line "Ego's steps by part"). A situation in which one of the two numbers is lower and the other is not higher is better. If each situation has one lower number, or all are the same: unsure. For RUN against FREE compare the number for RUN alone.

What does not count: the teammate's cell, its steps, a switch that it turned on, the teammate on the target. They only show who does what and what waits for whom. A turn on the spot counts only if it changes the ego's steps. Waiting on (5, 5) while the door is shut is unsure; leaving it is worse by rule 4."""

SIDES = ["west", "east"]
SPOT_COLUMN = [1, 9]
SPOT_WAY = [-1, 1]


def steps_word(number):
    return str(number) + (" step" if number == 1 else " steps")


def cell(p):
    return "(" + str(p[0]) + ", " + str(p[1]) + ")"


def way_name(face):
    names = {(-1, 0): "north", (1, 0): "south", (0, -1): "west", (0, 1): "east"}
    return names.get((face[0], face[1]), "no way")


def beside(p, side):
    return p[0] == 3 and p[1] == SPOT_COLUMN[side]


def faces(face, side):
    return face[0] == 0 and face[1] == SPOT_WAY[side]


def switch_steps(p, face, side):
    # moves, one turn if the last move cannot bring it, and the ACT
    column = SPOT_COLUMN[side]
    moves = abs(p[0] - 3) + abs(p[1] - column)
    if moves == 0:
        turns = 0 if faces(face, side) else 1
    else:
        turns = 1 if p[1] == column else 0
    return moves + turns + 1


def target_steps(p):
    return abs(9 - p[0]) + abs(p[1] - 5)


def divide(pos, face, on):
    off = [s for s in (0, 1) if on[s] == 0]
    keys = []
    for i in (0, 1):
        j = 1 - i
        place = (pos[i][1], pos[i][0], i)
        if len(off) == 2:
            # i takes west, j takes east; the first to be done runs ahead
            a = switch_steps(pos[i], face[i], 0)
            b = switch_steps(pos[j], face[j], 1)
            taken = 1 if beside(pos[j], 0) or beside(pos[i], 1) else 0
            keys.append((taken, max(a, b, min(a, b) + 6), a + b, 0) + place)
        elif len(off) == 1:
            # i takes the switch, j runs (or i itself, if it is sooner)
            a = switch_steps(pos[i], face[i], off[0])
            taken = 1 if beside(pos[j], off[0]) else 0
            finish = max(a + 4, min(target_steps(pos[j]), a + 10))
            keys.append((taken, finish, a, -target_steps(pos[i])) + place)
        else:
            keys.append((0, target_steps(pos[i]), 0, 0) + place)
    first = min(keys)[6]
    parts = ["FREE", "FREE"]
    if len(off) == 2:
        parts[first] = "WEST SWITCH"
        parts[1 - first] = "EAST SWITCH"
    elif len(off) == 1:
        parts[first] = SIDES[off[0]].upper() + " SWITCH"
        parts[1 - first] = "RUN"
    else:
        parts[first] = "RUN"
    return parts


def steps_by_part(p, face, off):
    # every part that exists now, with the steps that this agent needs for it
    table = [(SIDES[s].upper() + " SWITCH", switch_steps(p, face, s)) for s in off]
    if len(off) < 2:
        table.append(("RUN", target_steps(p)))
    return table


def part_text(part, p, face, off):
    if part == "FREE":
        return "FREE, nothing left to do"
    text = part
    for name, steps in steps_by_part(p, face, off):
        if name == part:
            text += ", " + steps_word(steps) + " left"
    if part == "RUN" and len(off) > 0:
        ahead = abs(5 - p[0]) + abs(p[1] - 5)
        if ahead == 0:
            text += ", on the waiting cell (5, 5)"
        else:
            text += ", " + str(ahead) + " of them to the waiting cell (5, 5)"
    return text


def place_text(p, face, on):
    text = "at " + cell(p) + ", facing " + way_name(face)
    for s in (0, 1):
        if beside(p, s):
            text += ", beside the " + SIDES[s] + " switch (" + ("on" if on[s] else "off") + ")"
            text += " and facing it" if faces(face, s) else ", not facing it"
    if target_steps(p) == 0:
        text += ", on the target, the task is done"
    return text


def describe(observation, ego):
    pos = [[int(round(v)) for v in p] for p in observation["agent_position"]]
    face = [[int(round(v)) for v in f] for f in observation["agent_facing"]]
    on = [int(round(v)) for v in observation["switch_on"]]
    mate = 1 - ego
    off = [s for s in (0, 1) if on[s] == 0]
    parts = divide(pos, face, on)

    text = "Switches: west " + ("on" if on[0] else "off") + ", east " + ("on" if on[1] else "off")
    if len(off) == 2:
        text += "; door shut, it waits for both switches."
    elif len(off) == 1:
        who = "the ego" if parts[ego] != "RUN" else "the teammate"
        text += "; door shut, it waits for the " + SIDES[off[0]] + " switch, the part of " + who + "."
    else:
        text += "; door open."

    text += "\nEgo: " + place_text(pos[ego], face[ego], on) + "."
    text += "\nEgo's part: " + part_text(parts[ego], pos[ego], face[ego], off) + "."
    table = steps_by_part(pos[ego], face[ego], off)
    text += "\nEgo's steps by part: " + ", ".join([name + " " + str(n) for name, n in table]) + "."
    text += "\nTeammate: " + place_text(pos[mate], face[mate], on)
    text += "; its part: " + part_text(parts[mate], pos[mate], face[mate], off) + "."
    return text
