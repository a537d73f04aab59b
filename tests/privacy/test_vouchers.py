"""Whose a device is, as authenticated records vouch for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.ingest.formats import FORMATS
from engine.model import Identity, Observation, ObservationKind, Outcome, Person
from engine.pipeline import Pipeline
from engine.privacy.consent import VOUCHER_MS, Consent
from engine.source import Route, Source
from engine.space import AccessPoint
from engine.tenant import Tenant
from tests.building import small_plan
from tests.moves import Move, singly

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = 1_800_000_000_000
REGISTERED, OTHER = "a483e7112233", "0200000000aa"
ADA = Person("s-ada", "ada", "Ada", (REGISTERED,), 0)
BOB = Person("s-bob", "bob", "Bob", (), 0)


def view() -> Consent:
    consent = Consent()
    consent.grant_all([ADA, BOB])
    return consent


def says(  # noqa: PLR0913, PLR0917 - a record, and when it came
    consent: Consent,
    login: str,
    device: str,
    at_ms: int,
    kind: ObservationKind = ObservationKind.JOINED,
    now_ms: int = NOW,
) -> None:
    """Let an authenticated record pass, as the pipeline does."""
    identities = [Identity(login, device)]
    rows = consent.admit(identities)
    consent.disown(identities, rows, now_ms)
    if rows[0] >= 0:
        consent.vouch(rows, [Observation(kind, "ap-1", at_ms)], now_ms)


def owner(consent: Consent, device: str) -> str | None:
    (row,) = consent.admit([Identity(None, device)])
    return None if row < 0 else consent.subject_id(consent.subject_by_row[row])


def test_a_device_is_known_by_itself_once_a_record_named_it_with_a_login() -> None:
    consent = view()
    assert owner(consent, OTHER) is None
    says(consent, "bob", OTHER, NOW - 5)
    assert owner(consent, "02:00:00:00:00:AA") == "s-bob"


def test_a_device_goes_with_whom_it_was_seen_with_last() -> None:
    consent = view()
    says(consent, "bob", REGISTERED, NOW - 5)
    assert owner(consent, REGISTERED) == "s-bob"
    says(consent, "ada", REGISTERED, NOW - 4)
    assert owner(consent, REGISTERED) == "s-ada"
    says(consent, "bob", REGISTERED, NOW - 9)
    assert owner(consent, REGISTERED) == "s-ada"


def test_a_device_in_the_hands_of_a_stranger_is_nobodys_registered_or_not() -> None:
    consent = view()
    says(consent, "ada", OTHER, NOW - 5)
    for device in (REGISTERED, OTHER):
        says(consent, "eve", device, 0)
        assert owner(consent, device) is None
    assert owner(consent, "0200000000bb") is None
    says(consent, "ada", OTHER, NOW - 1)  # older than the receipt of the stranger's
    assert owner(consent, OTHER) is None
    says(consent, "ada", OTHER, NOW + 1, now_ms=NOW + 1)
    assert owner(consent, OTHER) == "s-ada"


def test_of_a_strangers_own_device_nothing_is_kept() -> None:
    consent = view()
    for number in range(100):
        says(consent, "eve", f"0200000000{number:02x}", 0)
    assert not consent._vouchers  # noqa: SLF001 - what must hold no bystander


def test_a_voucher_ends_with_its_session_unless_a_newer_one_began() -> None:
    consent = view()
    says(consent, "bob", OTHER, NOW - 5)
    says(consent, "bob", OTHER, NOW - 7, ObservationKind.LEFT)
    assert owner(consent, OTHER) == "s-bob"
    says(consent, "bob", OTHER, NOW - 3, ObservationKind.LEFT)
    assert owner(consent, OTHER) is None


def test_a_voucher_ends_after_a_day_to_the_millisecond_of_the_observation() -> None:
    consent = view()
    says(consent, "bob", OTHER, NOW - 5)
    consent.expire(NOW - 6 + VOUCHER_MS)
    assert owner(consent, OTHER) == "s-bob"
    consent.expire(NOW - 5 + VOUCHER_MS)
    assert owner(consent, OTHER) is None
    says(consent, "bob", OTHER, NOW - VOUCHER_MS)
    assert owner(consent, OTHER) is None


def test_what_is_lent_is_its_owners_again_after_a_day() -> None:
    consent = view()
    says(consent, "eve", REGISTERED, 0)
    consent.expire(NOW + VOUCHER_MS)
    assert owner(consent, REGISTERED) == "s-ada"


def test_a_voucher_ends_with_consent_and_never_speaks_for_who_is_next() -> None:
    consent = view()
    says(consent, "bob", OTHER, NOW - 5)
    consent.withdraw(BOB)
    assert owner(consent, OTHER) is None
    consent.grant(Person("s-new", "new", "New", (), 0))
    says(consent, "new", "0200000000bb", NOW)
    assert owner(consent, OTHER) is None


def test_a_row_that_is_vouched_for_is_not_given_away() -> None:
    consent = view()
    says(consent, "bob", OTHER, NOW - 5)
    bob = consent.subject_of("s-bob")
    assert bob is not None
    consent.release(consent.rows_of(bob))
    says(consent, "ada", "0200000000bb", NOW)  # takes a row that is free, if any is
    assert owner(consent, OTHER) == "s-bob"


ACTS = st.sampled_from(["joined", "left", "expire", "withdraw", "grant", "ask"])
PEOPLE = {"ada": ADA, "bob": BOB}


@given(
    st.lists(
        st.tuples(ACTS, st.sampled_from(["ada", "bob", "eve"]), st.integers(0, 1)),
        max_size=40,
    )
)
def test_a_device_is_whose_a_plain_model_of_the_rules_says(  # noqa: C901
    steps: list[tuple[str, str, int]],
) -> None:
    consent = view()
    sharing = {"ada", "bob"}
    vouched: dict[str, tuple[str | None, int]] = {}
    for number, (act, login, which) in enumerate(steps):
        now_ms = NOW + number * VOUCHER_MS // 8
        device = (REGISTERED, OTHER)[which]
        if act in ("joined", "left"):
            says(consent, login, device, now_ms, ObservationKind(act), now_ms)
            if login not in sharing:
                known = device in vouched
                if known or (device == REGISTERED and "ada" in sharing):
                    vouched[device] = (None, now_ms)
            elif act == "joined":
                vouched[device] = (login, now_ms)
            elif vouched.get(device, (None, 0))[0] == login:
                del vouched[device]
        elif act == "expire":
            consent.expire(now_ms)
            vouched = {
                d: one for d, one in vouched.items() if now_ms - one[1] < VOUCHER_MS
            }
        elif act == "withdraw" and login in sharing:
            sharing.discard(login)
            consent.withdraw(PEOPLE[login])
            vouched = {d: one for d, one in vouched.items() if one[0] != login}
        elif act == "grant" and login in PEOPLE and login not in sharing:
            sharing.add(login)
            consent.grant(PEOPLE[login])
        for one in (REGISTERED, OTHER):
            registered = "ada" if one == REGISTERED and "ada" in sharing else None
            expected, _ = vouched.get(one, (registered, 0))
            found = owner(consent, one)
            assert found == (None if expected is None else f"s-{expected}")


ALONE: dict[str, object] = {"device": REGISTERED, "ap": "ap-1", "at": NOW}
PACKETS: list[dict[str, object]] = [
    {
        "User-Name": login,
        "Calling-Station-Id": REGISTERED,
        "Called-Station-Id": ap,
        "Acct-Status-Type": "Start",
    }
    for login, ap in (("ada", "ap-2"), ("eve", "ap-1"), ("", "ap-1"))
]
"""Of one device, at no time of their own: of who shares, of who does not, of nobody."""


@given(
    st.permutations(["wifi", "radius"]),
    st.permutations(PACKETS),
    st.sampled_from(["json", "lines"]),
)
def test_what_comes_together_with_a_strangers_record_of_the_device_is_nobodys(
    sources: list[str], packets: list[dict[str, object]], written: str
) -> None:
    plan = small_plan()
    points = {
        "ap-1": AccessPoint(plan.space_by_id["hq-1-north"], 70),
        "ap-2": AccessPoint(plan.space_by_id["hq-1-hopper"], 70),
    }
    tenant = Tenant("acme", plan, access_points=points)
    tenant.consent.grant(ADA)
    events = {"wifi": [ALONE], "radius": packets}
    bodies = {
        name: [Posted(msgspec.json.encode(one)) for one in events[name]]
        for name in sources
    }
    if written == "lines":
        lines = [
            ", ".join(f'{name} = "{value}"' for name, value in packet.items())
            for packet in packets
        ]
        bodies["radius"] = [Posted("\n".join(lines).encode())]
    routes = {
        name: Route(
            Source(
                name=name,
                tenant=tenant,
                form=FORMATS["livefloor" if name == "wifi" else name],
            )
        )
        for name in sources
    }
    Pipeline(lambda *_: None).run({routes[n]: bodies[n] for n in sources}, NOW)
    # Ada's own record, with her login, stands; the device alone says nothing of her.
    assert {one.space for one in singly(tenant.presence.take(10))} <= {"hq-1-hopper"}
    assert owner(tenant.consent, REGISTERED) is None
    tally = routes["wifi"].source.tally
    assert tally.by_outcome[Outcome.DISPOSED] == 1


class Posted(msgspec.Struct):
    payload: bytes
    topic: str = ""
    retain: bool = False


def test_a_location_by_device_alone_finds_whom_radius_named_and_is_never_parked() -> (
    None
):
    plan = small_plan()
    north = plan.space_by_id["hq-1-north"]
    tenant = Tenant("acme", plan, access_points={"ap-1": AccessPoint(north, 70)})
    tenant.consent.grant(BOB)
    routes = {
        name: Route(Source(name=name, tenant=tenant, form=FORMATS[form]))
        for name, form in (("radius", "radius"), ("wifi", "livefloor"))
    }
    pipeline = Pipeline(lambda *_: None)

    def post(source: str, event: Mapping[str, object]) -> list[Move]:
        body = Posted(msgspec.json.encode(event))
        pipeline.run({routes[source]: [body]}, NOW)
        return singly(tenant.presence.take(10))

    seen = {"device": OTHER, "ap": "ap-1", "at": NOW - 1}
    start = {
        "User-Name": "bob",
        "Calling-Station-Id": "02-00-00-00-00-AA",
        "Called-Station-Id": "elsewhere",
        "Acct-Status-Type": "Start",
        "Event-Timestamp": NOW // 1000 - 60,
    }
    assert post("wifi", seen) == []
    assert post("radius", start) == []
    assert post("wifi", seen) == [Move("s-bob", NOW - 1, "hq-1-north", 70, "ap-1")]
    assert post("radius", {**start, "User-Name": "eve"}) == []
    assert post("wifi", {**seen, "at": NOW}) == []
