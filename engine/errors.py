"""The error tree: a stable code, who is to blame, whether to try again.

::

    EngineError
    ├── InputError         the sender is to blame    1xxx  counted; see hints
    │   ├── Malformed      1001  not the format, or a field of the wrong type
    │   ├── TooLarge       1002  more bytes or records than the format allows
    │   ├── BadTime        1003  no usable time, or one out of range
    │   ├── UnknownName    1004  an access point, sensor or floor that is in no file
    │   ├── Inaccurate     1005  coordinates too poor to tell the level
    │   ├── Outside        1006  coordinates that are not on their map, or its level
    │   ├── UnknownValue   1007  a value without a meaning; all else is read
    │   ├── Implausible    1008  more people than can have crossed a line
    │   ├── Unsupported    1009  the format allows it, and the engine does not read it
    │   └── Gap            1010  messages of the source are missing before this one
    ├── RequestError       the caller is to blame    2xxx  answered with an HTTP status
    │   ├── BadRequest     2002  400, the body or a parameter does not fit
    │   ├── Unauthorized   2001  401, no token or one that is not accepted
    │   ├── Forbidden      2003  403, a token that may not do this
    │   ├── NotFound       2004  404, and every other kind of "no" of the finder
    │   ├── NotAllowed     2005  405, this path knows other methods
    │   ├── Replayed       2006  401, a webhook that was signed at another time
    │   ├── TooSlow        2008  408, a body that took too long
    │   ├── TooMuch        2013  413, a body over the limit
    │   ├── NeedsUpgrade   2026  426, this path is a WebSocket's
    │   └── TooMany        2029  429, over a rate or a number of connections
    ├── DependencyError    a broker or Redis is away 3xxx  not ready, tried again
    │   ├── BrokerAway     3001
    │   └── StoreAway      3002
    └── ConfigError        the operator is to blame  4000  at start only, exit status 2

Anything else is our own fault and is let out: the task group ends and the process
restarts; a request that meets one is answered 500 with code 5000. No message of these
classes ever holds a payload, a login, an address or a token, so each may be logged as
it is.
"""

from __future__ import annotations


class EngineError(Exception):
    """The root of the tree; its message is one sentence that says what to do."""

    code: int = 0
    retryable: bool = False


class InputError(EngineError):
    """Bytes from outside that are refused; `reason` is their label in the metrics."""

    code = 1000
    reason: str = "invalid"


class Malformed(InputError):
    """Not the format, too deep, or a field of the wrong type."""

    code = 1001
    reason = "malformed"


class TooLarge(InputError):
    """More bytes or more records than the format allows in one message."""

    code = 1002
    reason = "too_large"


class BadTime(InputError):
    """No usable time, or one outside of what can be true."""

    code = 1003
    reason = "bad_time"


class UnknownName(InputError):
    """An access point, a sensor or a floor that no file of the tenant knows."""

    code = 1004
    reason = "unknown_name"


class Inaccurate(InputError):
    """Coordinates whose accuracy does not even tell the level."""

    code = 1005
    reason = "inaccurate"


class Outside(InputError):
    """Coordinates that are no place on their map, or lie beyond its level."""

    code = 1006
    reason = "outside"


class UnknownValue(InputError):
    """A value that the format gives no meaning: it alone is refused, never guessed."""

    code = 1007
    reason = "unknown_value"


class Implausible(InputError):
    """More people in a reading than can have crossed a line since the last one."""

    code = 1008
    reason = "implausible"


class Unsupported(InputError):
    """The format allows it, and the engine does not read it."""

    code = 1009
    reason = "unsupported"


class Gap(InputError):
    """Messages are missing before this one, by the source's own count."""

    code = 1010
    reason = "gap"


class RequestError(EngineError):
    """A request that is refused; `status` is its HTTP status.

    `reason` is the label in the metrics of a webhook that is refused so, "" where none
    is.
    """

    code = 2000
    status: int = 400
    reason: str = ""


class BadRequest(RequestError):
    """The body or a parameter does not fit."""

    code = 2002
    reason = Malformed.reason


class Unauthorized(RequestError):
    """No token, or one that is not accepted."""

    code = 2001
    status = 401
    reason = "unauthenticated"


class Forbidden(RequestError):
    """A valid token that may not do this."""

    code = 2003
    status = 403


class NotFound(RequestError):
    """Nothing here: the one face of every "no"."""

    code = 2004
    status = 404


class NotAllowed(RequestError):
    """This path knows other methods."""

    code = 2005
    status = 405


class Replayed(RequestError):
    """A webhook that was signed at another time than now."""

    code = 2006
    status = 401
    reason = "replayed"


class TooSlow(RequestError):
    """A body that took too long."""

    code = 2008
    status = 408
    retryable = True
    reason = "slow"


class TooMuch(RequestError):
    """A body over the limit."""

    code = 2013
    status = 413
    reason = TooLarge.reason


class NeedsUpgrade(RequestError):
    """This path is a WebSocket's, and the request asks for none."""

    code = 2026
    status = 426


class TooMany(RequestError):
    """Over a rate or a number of connections; `after_s` is when to try again."""

    code = 2029
    status = 429
    retryable = True
    reason = "rate"

    def __init__(self, message: str = "", after_s: int = 1) -> None:
        super().__init__(message)
        self.after_s = after_s


class DependencyError(EngineError):
    """A broker or a Redis is away: the engine is not ready and tries again."""

    code = 3000
    retryable = True
    status: int = 503


class BrokerAway(DependencyError):
    """The MQTT broker does not answer."""

    code = 3001


class StoreAway(DependencyError):
    """A Redis does not answer, or refuses to write."""

    code = 3002


class ConfigError(EngineError):
    """A setting, plan or table that cannot be used; says the file and what to write."""

    code = 4000
