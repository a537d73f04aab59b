"""Every scheme takes what its sender sends, and nothing that is near it."""

from __future__ import annotations

import gzip
import inspect
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.ingest import verify
from engine.ingest.formats import FORMATS
from engine.ingest.verify import (
    REMEMBER_MS,
    SCHEMES,
    WINDOW_MS,
    Terms,
    verifier,
)
from engine.model import Proof, Verdict
from tests.ingest.senders import (
    BODY,
    SECRET,
    SENDERS,
    STANDARD,
    Post,
    Sender,
    basic,
    jwt,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.ingest.verify import Verifier

NOW_MS = 1_792_580_400_000
SHARED = Path(__file__).parents[3] / "shared" / "samples"

every = pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS.keys())
signing = [one for one in SENDERS.values() if one.signs]


def checks(sender: Sender) -> Verifier:
    return verifier(sender.scheme, Terms(sender.secret, **sender.settings))


def made(sender: Sender, now_ms: int = NOW_MS, body: bytes = BODY) -> Post:
    return sender.post(sender.secret, body, now_ms)


def judge(found: Verifier, post: Post, now_ms: int = NOW_MS) -> Proof:
    """Look at a request as the route does: first at its headers."""
    head = found.head(post.headers, now_ms)
    if head in (Verdict.WRONG, Verdict.STALE):
        return Proof(head)
    return found.body(post.headers, post.body, now_ms)


def test_every_scheme_has_a_sender_here() -> None:
    assert {sender.scheme for sender in SENDERS.values()} == set(SCHEMES)


def test_every_format_names_a_scheme_that_there_is() -> None:
    assert {form.verify for form in FORMATS.values()} <= set(SCHEMES)


@every
def test_a_scheme_takes_what_its_sender_sends(sender: Sender) -> None:
    found = checks(sender)
    post = made(sender)

    head = found.head(post.headers, NOW_MS)
    assert head is (Verdict.RIGHT if found.scheme.body is None else Verdict.OPEN)
    assert judge(found, post).verdict is Verdict.RIGHT


@every
def test_a_scheme_refuses_whoever_has_another_secret(sender: Sender) -> None:
    other = sender.post(sender.secret[:-4] + b"xxxx", BODY, NOW_MS)

    assert judge(checks(sender), other).verdict is Verdict.WRONG


@every
def test_a_request_without_headers_and_body_proves_nothing(sender: Sender) -> None:
    assert judge(checks(sender), Post([], b"")).verdict is Verdict.WRONG


@every
def test_a_header_that_comes_twice_is_none(sender: Sender) -> None:
    post = made(sender)
    for header in post.headers:
        if header[0] in (b"user-agent", b"x-mist-signature"):
            continue
        twice = Post([*post.headers, header], post.body)
        assert judge(checks(sender), twice).verdict is Verdict.WRONG


@every
def test_every_header_that_decides_is_needed(sender: Sender) -> None:
    post = made(sender)
    for header in post.headers:
        if header[0] not in (b"user-agent", b"x-mist-signature"):
            rest = [one for one in post.headers if one != header]
            found = judge(checks(sender), Post(rest, post.body))
            assert found.verdict is Verdict.WRONG


@pytest.mark.parametrize(
    "sender", [s for s in SENDERS.values() if s.scheme != "secret"]
)
def test_no_other_scheme_opens_a_source(sender: Sender) -> None:
    found = checks(sender)
    for other in SENDERS.values():
        if other.scheme != sender.scheme:
            secret = STANDARD if other.secret == STANDARD else sender.secret
            post = other.post(secret, BODY, NOW_MS)
            fits = other.post == basic and sender.scheme in ("secret", "basic")
            assert (judge(found, post).verdict is Verdict.RIGHT) is fits


# ------------------------------------------------------------ bodies that were changed


def near(text: bytes) -> Iterator[bytes]:
    """Yield every text that is one step away."""
    for at in range(len(text)):
        for bit in range(8):
            changed = bytearray(text)
            changed[at] ^= 1 << bit
            yield bytes(changed)
        yield text[:at]
        yield text[at + 1 :]
        yield text[:at] + text[at + 1 :]
        for more in (b" ", b"\n", b"\0", text[at : at + 1] * 2):
            yield text[:at] + more + text[at:]
    yield text + b"\n"
    yield text + text
    yield gzip.compress(text)


@pytest.mark.parametrize("sender", signing, ids=lambda one: one.post.__name__)
def test_no_body_one_step_from_the_signed_one_is_taken(sender: Sender) -> None:
    found, post = checks(sender), made(sender)
    bodies = set(near(post.body)) - {post.body}
    bodies |= {json.dumps(json.loads(BODY)).encode(), BODY.decode().encode("utf-16")}
    bodies.discard(BODY)

    assert len(bodies) > 800
    taken = [b for b in bodies if judge(found, Post(post.headers, b)).verdict > 0]
    assert taken == []


@pytest.mark.parametrize("sender", signing, ids=lambda one: one.post.__name__)
def test_no_header_one_step_from_the_signed_one_is_taken(sender: Sender) -> None:
    found, post = checks(sender), made(sender)
    tried = 0
    for at, (name, value) in enumerate(post.headers):
        if name in (b"user-agent", b"x-mist-signature"):
            continue
        for changed in set(near(value)) - {value}:
            headers = [*post.headers]
            headers[at] = (name, changed)
            # The version list of Standard Webhooks may have more, and blanks between.
            if name == b"webhook-signature" and value in changed.split(b" "):
                continue
            verdict = judge(found, Post(headers, post.body)).verdict
            assert verdict in (Verdict.WRONG, Verdict.STALE), (name, changed)
            tried += 1
    assert tried > 500


@every
def test_no_secret_one_step_from_the_right_one_is_taken(sender: Sender) -> None:
    found = checks(sender)
    for secret in set(near(sender.secret)) - {sender.secret}:
        if secret.strip() == sender.secret and sender.post.__name__ == "bearer":
            continue  # blanks around a token are no part of it
        if sender.scheme == "standard-webhooks":
            continue  # a spelling of a key: covered by the signatures above
        post = sender.post(secret, BODY, NOW_MS)
        assert judge(found, post).verdict is Verdict.WRONG


@pytest.mark.parametrize("sender", signing, ids=lambda one: one.post.__name__)
@given(body=st.binary(max_size=200))
def test_a_signature_fits_one_body_alone(sender: Sender, body: bytes) -> None:
    post = made(sender)
    right = judge(checks(sender), Post(post.headers, body)).verdict is Verdict.RIGHT
    assert right is (body == post.body)


@every
@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"authorization",
                    b"x-api-key",
                    b"x-mist-signature-v2",
                    b"x-dt-signature",
                    b"webhook-id",
                    b"webhook-timestamp",
                    b"webhook-signature",
                    b"x-hub-signature-256",
                    b"x-slack-signature",
                    b"x-slack-request-timestamp",
                ]
            ),
            st.binary(max_size=60)
            | st.sampled_from(
                [b"Basic " + b"A" * 9, b"a.b.c", b"e30.e30.e30", b"9" * 99]
            ),
        ),
        max_size=6,
    ),
    body=st.binary(max_size=60)
    | st.builds(lambda text: b'{"secret": "' + text + b'"}', st.binary(max_size=20)),
)
@settings(max_examples=200)
def test_whatever_comes_is_refused_and_raises_nothing(
    sender: Sender, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    verdict = judge(checks(sender), Post(headers, body)).verdict
    assert verdict in (Verdict.WRONG, Verdict.STALE)


# ------------------------------------------------------------ time, and the same again


@pytest.mark.parametrize("name", [n for n, one in SENDERS.items() if one.timed])
def test_a_signed_time_is_good_within_a_window_alone(name: str) -> None:
    sender = SENDERS[name]
    found, post = checks(sender), made(sender)
    before, after = NOW_MS - WINDOW_MS, NOW_MS + WINDOW_MS
    if sender.scheme == "disruptive":
        after = NOW_MS + 3_600_000 - 1

    for at_ms in (before, after):
        assert judge(found, post, at_ms).verdict is Verdict.RIGHT
    for at_ms in (before - 1, after + 1):
        assert judge(found, post, at_ms).verdict is Verdict.STALE


@every
def test_a_proof_names_a_post_where_equal_ones_are_the_same(sender: Sender) -> None:
    found = checks(sender)
    first = judge(found, made(sender))
    other = judge(found, made(sender, body=BODY + b" "))
    later = judge(found, made(sender, NOW_MS + 2000), NOW_MS + 2000)

    assert (first.key is not None) is (sender.named or sender.timed)
    if first.key is not None:
        assert first.key != other.key
        assert (first.key == later.key) is sender.named
        assert first.until_ms >= NOW_MS + WINDOW_MS


def test_a_post_is_remembered_for_as_long_as_it_could_be_sent_again() -> None:
    for name in ("mist", "disruptive", "standard-webhooks"):
        sender = SENDERS[name]
        assert judge(checks(sender), made(sender)).until_ms == NOW_MS + REMEMBER_MS
    sender = SENDERS["slack"]
    assert judge(checks(sender), made(sender)).until_ms == NOW_MS + WINDOW_MS


# ------------------------------------------------------------ what the vendors publish

SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA"
    b"&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J"
    b"%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
GITHUB_MAC = b"757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
SLACK_MAC = b"a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
PUBLISHED = {
    "github": (
        b"It's a Secret to Everybody",
        Post(
            [
                (
                    b"x-hub-signature-256",
                    b"sha256=" + GITHUB_MAC,
                )
            ],
            b"Hello, World!",
        ),
        NOW_MS,
    ),
    "slack": (
        b"8f742231b10e8888abcd99yyyzzz85a5",
        Post(
            [
                (
                    b"x-slack-signature",
                    b"v0=" + SLACK_MAC,
                ),
                (b"x-slack-request-timestamp", b"1531420618"),
            ],
            SLACK_BODY,
        ),
        1_531_420_618_000,
    ),
    "standard-webhooks": (
        b"whsec_" + b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        Post(
            [
                (b"webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),
                (b"webhook-timestamp", b"1614265330"),
                (
                    b"webhook-signature",
                    b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                ),
            ],
            b'{"test": 2432232314}',
        ),
        1_614_265_330_000,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_example_that_a_sender_publishes_verifies(name: str) -> None:
    secret, post, now_ms = PUBLISHED[name]
    found = verifier(SENDERS[name].scheme, Terms(secret, **SENDERS[name].settings))

    assert judge(found, post, now_ms).verdict is Verdict.RIGHT
    assert judge(found, Post(post.headers, b""), now_ms).verdict is Verdict.WRONG


def test_a_real_request_of_disruptive_technologies_verifies_at_its_time() -> None:
    sample = SHARED / "sensors" / "disruptive-touch-signed-request.json"
    if not sample.exists():
        pytest.skip("the shared samples are not here")
    request = json.loads(sample.read_text())
    headers = [(k.lower().encode(), v.encode()) for k, v in request["headers"].items()]
    post = Post(headers, request["body"].encode())
    iat, exp = (1000 * request["jwt_payload"][claim] for claim in ("iat", "exp"))
    # Its secret is shorter than any that a source may have.
    found = verify.Verifier(SCHEMES["disruptive"], Terms(b"test-secret"))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert judge(found, post, iat).verdict is Verdict.RIGHT
    assert judge(found, post, exp).verdict is Verdict.STALE
    assert judge(found, post, NOW_MS).verdict is Verdict.STALE
    again = json.dumps(json.loads(post.body)).encode()
    assert judge(found, Post(headers, again), iat).verdict is Verdict.WRONG


# ------------------------------------------------------------ each scheme's own traps


def test_the_older_signature_of_mist_is_not_enough() -> None:
    post = made(SENDERS["mist"])
    old = [one for one in post.headers if one[0] != b"x-mist-signature-v2"]
    assert checks(SENDERS["mist"]).head(old, NOW_MS) is Verdict.WRONG


GOOD_CLAIMS = {
    "checksum_sha256": "0" * 64,
    "iat": NOW_MS // 1000,
    "exp": NOW_MS // 1000 + 3600,
}


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"alg": "none"}, {}),
        ({"alg": "HS512"}, {}),
        ({"alg": "RS256"}, {}),
        ({}, {}),
        ({"alg": "HS256", "crit": ["x"], "x": 1}, {}),
        ({"alg": "HS256", "crit": 1}, {}),
        ({"alg": "HS256", "crit": [[]]}, {}),
        ({"alg": "HS256", "b64": False, "crit": ["b64"]}, {}),
        ({"alg": "HS256"}, {"iat": None}),
        ({"alg": "HS256"}, {"exp": None}),
        ({"alg": "HS256"}, {"exp": 1 << 60}),
        ({"alg": "HS256"}, {"iat": "now"}),
        ({"alg": "HS256"}, {"checksum_sha256": None}),
        ({"alg": "HS256"}, {"checksum_sha256": "00"}),
    ],
)
def test_a_jwt_that_says_something_else_proves_nothing(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    merged = {k: v for k, v in {**GOOD_CLAIMS, **claims}.items() if v is not None}
    token = jwt(SECRET, merged, header)
    good = jwt(SECRET, GOOD_CLAIMS, {"alg": "HS256"})
    found = checks(SENDERS["disruptive"])

    assert found.head([(b"x-dt-signature", good)], NOW_MS) is Verdict.OPEN
    assert found.head([(b"x-dt-signature", token)], NOW_MS) is Verdict.WRONG


def test_the_checksum_of_another_body_is_wrong_and_not_stale() -> None:
    token = jwt(SECRET, GOOD_CLAIMS, {"alg": "HS256"})
    post = Post([(b"x-dt-signature", token)], BODY)
    assert judge(checks(SENDERS["disruptive"]), post).verdict is Verdict.WRONG


def test_several_signatures_of_standard_webhooks_may_come_but_not_many() -> None:
    sender = SENDERS["standard-webhooks"]
    post = made(sender)
    value = dict(post.headers)[b"webhook-signature"]

    def with_signatures(text: bytes) -> Post:
        rest = [one for one in post.headers if one[0] != b"webhook-signature"]
        return Post([*rest, (b"webhook-signature", text)], post.body)

    found = checks(sender)
    old = b"v1,AAAA"
    assert judge(found, with_signatures(old + b" " + value)).verdict is Verdict.RIGHT
    many = b" ".join([old] * verify.MAX_SIGNATURES + [value])
    assert judge(found, with_signatures(many)).verdict is Verdict.WRONG
    v2 = b"v2," + value[3:]
    assert judge(found, with_signatures(v2)).verdict is Verdict.WRONG


@pytest.mark.parametrize(
    "body",
    [
        b'{"secret":"%s","data":{"x":NaN,"y":[NaN, NaN]}}',
        b'{"data":{"ssid":"\\"secret\\":\\"no\\""},\n "secret" :\t"%s"}',
        b'{"secret":"%s","data":' + b"[" * 200_000,
        b'{"data":[],"secret":"corr\\u0065ct horse battery staple"}%s',
    ],
)
def test_a_secret_is_found_wherever_it_stands_in_a_body(body: bytes) -> None:
    filled = body.replace(b"%s", SECRET, 1)
    assert judge(checks(SENDERS["meraki"]), Post([], filled)).verdict is Verdict.RIGHT


@pytest.mark.parametrize(
    "body",
    [
        b'{"secret":"%s',
        b'{"secret":["%s"]}',
        b'{"Secret":"%s"}',
        b'{"secrets":"%s"}',
        b'{"data":"\\"secret\\":\\"%s\\""}',
        b'{"secret":"x%s"}',
        b"".join([b'{"secret":"no"}'] * 4) + b'{"secret":"%s"}',
        b'{"secret":"' + b"x" * 5000 + b'%s"}',
        b'{"secret":"\\ud800%s"}',
        b'{"secret":"\xff%s"}',
    ],
)
def test_what_is_not_the_field_with_the_secret_proves_nothing(body: bytes) -> None:
    filled = body.replace(b"%s", SECRET, 1)
    assert judge(checks(SENDERS["meraki"]), Post([], filled)).verdict is Verdict.WRONG


def test_a_field_of_any_name_may_have_the_secret_with_or_without_a_user() -> None:
    named = verifier("body", Terms(SECRET, field="to.ken"))
    assert judge(named, Post([], b'{"to.ken":"%s"}' % SECRET)).verdict is Verdict.RIGHT
    assert judge(named, Post([], b'{"toxken":"%s"}' % SECRET)).verdict is Verdict.WRONG
    both = checks(SENDERS["terabee"])
    text = b'{"username":"%s","password":"%s"}'
    assert judge(both, Post([], text % (b"user", SECRET))).verdict is Verdict.RIGHT
    assert judge(both, Post([], text % (b"root", SECRET))).verdict is Verdict.WRONG


def test_basic_asks_for_the_user_too() -> None:
    named = verifier("basic", Terms(SECRET, user="terabee"))
    assert judge(named, made(SENDERS["basic"])).verdict is Verdict.WRONG


# ------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("name", "settings", "problem"),
    [
        ("md5", {}, "verify must be one of basic, body, disruptive"),
        ("secret", {"secret": b"short"}, "needs 16 characters"),
        ("standard-webhooks", {"secret": b"whsec_c2hvcnQ="}, "needs 16 characters"),
        ("standard-webhooks", {}, 'not base64 behind "whsec_"'),
        ("header", {}, 'verify = "header" needs header'),
        ("basic", {}, "needs user"),
        ("hmac-sha256", {"prefix": "sha256="}, "needs header"),
        ("secret", {"header": "X"}, 'or write verify = "header" or "hmac-sha256"'),
        ("mist", {"encoding": "hex"}, 'encoding means nothing to verify = "mist"'),
        ("header", {"header": "X Key"}, "header is the name of a header"),
        ("hmac-sha256", {"header": "X", "timestamp_header": ""}, "timestamp_header is"),
        ("hmac-sha256", {"header": "X", "signed": "{body}"}, "needs timestamp_header"),
        (
            "hmac-sha256",
            {"header": "X", "timestamp_header": "T", "signed": "{body}{timestamp}"},
            "ends in {body}",
        ),
        (
            "hmac-sha256",
            {"header": "X", "timestamp_header": "T", "signed": ".{body}"},
            "has {timestamp} once",
        ),
    ],
)
def test_terms_that_do_not_fit_are_refused_with_what_to_write(
    name: str, settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        verifier(name, Terms(**{"secret": SECRET, **settings}))
    assert problem in str(refused.value)
    assert SECRET.decode() not in str(refused.value)


def test_nothing_is_compared_but_in_constant_time() -> None:
    source = inspect.getsource(verify)
    for secretive in ("terms.secret ==", "== terms.secret", "mac ==", "== sent"):
        assert secretive not in source
    # A secret: both sides are digests of equal length.
    compared = inspect.getsource(verify._same)  # noqa: SLF001 - the rule itself
    assert "compare_digest(_digest(sent), _digest(wanted))" in compared
