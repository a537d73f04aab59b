from __future__ import annotations

import pytest

from engine.errors import ConfigError
from engine.files import access_points
from engine.space import AccessPoint
from tests.building import small_plan

NAME = "access-points.csv"


def test_access_points_point_at_spaces() -> None:
    table = b"ap,space,confidence\nAP-1,hq-1-north,\n0-1-2-3-4-5,hq/1,40\n"
    plan = small_plan()
    found, remarks = access_points.read(table, NAME, plan)
    assert found == {
        "ap-1": AccessPoint(plan.space_by_id["hq-1-north"], 70),
        "000102030405": AccessPoint(plan.space_by_id["hq/1"], 40),
    }
    assert remarks == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (b"", "line 1: no column 'ap'"),
        (b"name,space\n", "line 1: no column 'ap'"),
        (b"ap,space\na,nowhere\n", "line 2: the plan has no space 'nowhere'"),
        (b"ap,space\na,hq-1-hoper\n", "no space 'hq-1-hoper': is 'hq-1-hopper' meant?"),
        (b"ap,space\na,hq\na,hq\n", "line 3: this access point is listed before"),
        (b"ap,space\n,hq\n", "line 2: ap is empty"),
        (b"ap,space,confidence\na,hq,101\n", "percentage"),
        (b"ap,space,confidence\na,hq,most\n", "percentage"),
        (b"ap,space\n\xff,x\n", "UTF-8"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(table: bytes, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        access_points.read(table, NAME, small_plan())
    assert str(refused.value).startswith(NAME)


def test_a_table_may_begin_with_the_mark_that_spreadsheets_write() -> None:
    found, _ = access_points.read(b"\xef\xbb\xbfap,space\na,hq\n", NAME, small_plan())
    assert list(found) == ["a"]
