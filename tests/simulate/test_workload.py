from __future__ import annotations

from collections import Counter

import pytest

from engine.ingest.formats import base_of, find
from engine.simulate.messages import feeds
from engine.simulate.scenario import Scenario
from engine.simulate.workload import START_MS, workload
from tests.ingest.formats.golden import one, split

COUNT = 1500


@pytest.fixture(scope="module")
def messages() -> list[tuple[str, bytes]]:
    return workload(5, 100, COUNT, seconds=30, share=0.4)


def test_the_same_arguments_give_the_same_messages(
    messages: list[tuple[str, bytes]],
) -> None:
    assert messages == workload(5, 100, COUNT, seconds=30, share=0.4)
    assert len(messages) == COUNT


def test_messages_are_of_all_mqtt_formats_and_the_engine_reads_them(
    messages: list[tuple[str, bytes]],
) -> None:
    bases = {base_of(f.topics): find(f.format) for f in feeds("demo") if f.topics}
    found: Counter[str] = Counter()
    logins = {p.login for p in Scenario(100, seed=5, share=0.4).people if p.shares}
    shared = 0
    for topic, payload in messages:
        base, row = next(i for i in bases.items() if topic.startswith(i[0]))
        (record,) = split(row, payload)
        identity = one(row.identify, record) if row.identify else None
        now_ms = START_MS + 30_000
        if identity is not None and (identity.login or identity.device):
            observation = one(row.observe, record, now_ms=now_ms)
            assert observation is not None
            assert START_MS <= observation.observed_at_ms < now_ms
            shared += identity.login in logins
        else:
            assert one(row.read, record, topic.removeprefix(base), now_ms)
        found[row.name] += 1
    assert set(found) == {"livefloor", "chirpstack4", "zigbee2mqtt"}
    # two in five opted in; a watch shows no login, and guests have none
    assert 0.3 < shared / (0.6 * COUNT) < 0.45
