from __future__ import annotations

from engine.locate.association import Association
from engine.model import Placement
from engine.space import AccessPoint

KNOWN = Association({"ap-0": AccessPoint(3, 60), "ap-1": AccessPoint(7, 80)})


def test_an_access_point_is_where_the_table_has_it() -> None:
    assert KNOWN.find("ap-1") == Placement(1, 7, 80)
    assert KNOWN.find("ap-2") is None


def test_access_points_have_the_names_of_their_rows() -> None:
    assert KNOWN.names == ["ap-0", "ap-1"]
    assert len(KNOWN) == 2
