"""A building with something to see, for screenshots and for work on the page.

`python -m tests.web.lively` serves one that lives by itself, on port 8099.
"""

from __future__ import annotations

import random
import time

from tests.web.fake_engine import FakeEngine
from tests.web.level_state import FREE, LIKELY, OCCUPIED, OFFLINE, UNKNOWN


def liven(engine: FakeEngine, seed: int = 7) -> random.Random:
    """Gives every space a plausible state, so that there is something to look at."""
    dice = random.Random(seed)  # noqa: S311 - the same building every time
    for live in engine.levels.values():
        people = 0
        for space in live.level.spaces:
            row, kind, capacity = space["row"], space["kind"], space["capacity"] or 1
            live.seen_at[row] = time.time() - dice.randint(0, 90)
            live.confidence[row] = dice.randint(86, 99)
            if kind in ("zone", "level"):
                continue
            weights = [4, 45, 42, 6, 3]
            state = dice.choices(range(5), weights)[0]
            live.state[row] = state
            if state in (OCCUPIED, FREE) and kind != "desk":
                most = max(1, capacity)
                live.count[row] = dice.randint(1, most) if state == OCCUPIED else 0
            if state in (OCCUPIED, LIKELY):
                people += live.count[row] or 1
            if state in (UNKNOWN, OFFLINE, LIKELY):
                live.seen_at[row] = time.time() - dice.randint(240, 2400)
                live.confidence[row] = dice.randint(20, 60)
        live.count[0] = people
        live.state[0] = OCCUPIED
    spaces = [s for v in engine.levels.values() for s in v.level.spaces[3:]]
    for person in engine.people:
        person.space = dice.choice(spaces)["id"] if person.sharing else None
        person.seen_at = time.time() - dice.randint(5, 900)
    return dice


def main() -> None:
    """Serves a building that lives by itself, until interrupted."""
    engine = FakeEngine(port=8099)
    dice = liven(engine)
    engine.start()
    print(engine.url)  # noqa: T201 - this is a script for people
    while True:
        time.sleep(0.25)
        live = dice.choice(list(engine.levels.values()))
        space = dice.choice(live.level.spaces[3:])
        state = dice.choices([FREE, OCCUPIED, LIKELY, UNKNOWN], [45, 45, 8, 2])[0]
        capacity = space["capacity"] or 1
        counted = space["kind"] != "desk" and state == OCCUPIED
        count = dice.randint(1, capacity) if counted else None
        engine.set(space["id"], state, count=count)


if __name__ == "__main__":
    main()
