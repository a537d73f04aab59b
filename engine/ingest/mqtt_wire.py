"""Bytes of one connection to MQTT 5 packets, however they are cut; bounded, no I/O.

The codec does the work, called once a packet on a view of the chunk. Three things are
done here because it does not do them: an end that has not come yet is kept (up to the
announced packet size), a packet that announces more is refused by its header alone, and
a PUBLISH whose *contents* the codec refuses is left out without losing the stream. The
last matters: a broker that does not check topics hands on whatever a publisher sends,
and a QoS 1 message that ends the session comes back with the next one, for ever.
"""

from __future__ import annotations

from typing import NamedTuple

import mqtt5

from engine.ingest.mqtt_session import Ended, Reason

_PUBLISH = 3
_CONNACK_3_1_1 = b"\x20\x02"


class Left(NamedTuple):
    """A PUBLISH that was left out: its contents are not MQTT 5.

    Attributes:
        packet_id: To be acknowledged (QoS 1), None at QoS 0.
    """

    packet_id: int | None


Item = mqtt5.Packet | Left


class Reader:
    """Cuts what arrives into packets.

    Args:
        max_packet_bytes: The bound of one packet, and so of what is kept here.

    Attributes:
        taken: Bytes of the packets that the last `feed` gave.
    """

    def __init__(self, max_packet_bytes: int) -> None:
        self.taken = 0
        self._limit = max_packet_bytes
        # The start of a packet whose end has not come, and how much of it is worth
        # trying again with: so each byte of a long packet is copied once or twice, not
        # once for each chunk.
        self._rest = bytearray()
        self._wanted = 0

    def feed(self, data: bytes) -> tuple[list[Item], Ended | None]:
        """Return the packets that `data` completes, and what ended the stream, if so.

        The packets before a fault are returned with it: the result is the same however
        the stream was cut into chunks. After a fault the reader must not be used again.
        """
        items: list[Item] = []
        self.taken = 0
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return items, None
            data = bytes(self._rest)
            self._rest.clear()
        try:
            self.taken = self._walk(memoryview(data), items)
        except Ended as fault:
            return items, fault
        return items, None

    def _walk(self, view: memoryview, items: list[Item]) -> int:
        """Append the packets of `view`; return how many of its bytes they took."""
        at = 0
        end = len(view)
        limit = self._limit
        append = items.append
        read = mqtt5.read
        while True:
            try:
                while at < end:
                    packet, size = read(view[at:])
                    if size > limit:
                        raise _oversize(size, limit)  # noqa: TRY301 - in the loop
                    append(packet)
                    at += size
            except IndexError:
                self._keep(view[at:])
            except ValueError:
                at += self._leave_out(view[at:], items)
                continue
            except BaseException as error:
                # Invalid UTF-8 in a string makes mqtt5 0.8 panic instead of raising.
                # The class is not exported, and not an Exception.
                if type(error).__name__ != "PanicException":
                    raise
                at += self._leave_out(view[at:], items)
                continue
            return at

    def _keep(self, rest: memoryview) -> None:
        """Keep the start of a packet.

        Raises:
            Ended: It is or will be over the limit, or it is complete after all.
        """
        wanted = _frame(rest)[1]
        if wanted > self._limit:
            raise _oversize(wanted, self._limit)
        if len(rest) >= wanted:
            raise _malformed("ends before its own fields do")
        self._rest += rest
        self._wanted = wanted

    def _leave_out(self, rest: memoryview, items: list[Item]) -> int:
        """Append a `Left` for the refused packet at the start; return its size.

        Raises:
            Ended: It is no PUBLISH, or not even its frame is sound.
        """
        if rest[:2] == _CONNACK_3_1_1:
            raise Ended(Reason.UNSUPPORTED, "the broker answered in MQTT 3.1.1")
        body, size = _frame(rest)
        if size > self._limit:
            raise _oversize(size, self._limit)
        kind, qos = rest[0] >> 4, rest[0] >> 1 & 3
        if kind != _PUBLISH or qos > 1 or size > len(rest):
            raise _malformed(f"of type {kind} does not follow the standard")
        # After the header: two bytes of length, the topic, and at QoS 1 the id.
        stop = body + 2 + int.from_bytes(rest[body : body + 2])
        if stop + 2 * qos > size:
            raise _malformed("is shorter than its topic")
        items.append(Left(int.from_bytes(rest[stop : stop + 2]) if qos else None))
        return size


def _frame(start: memoryview) -> tuple[int, int]:
    """Return where the body begins and where the packet ends, from its fixed header.

    While the header is incomplete the packet is taken to end one byte from here.

    Raises:
        Ended: The length has more than four bytes (MQTT 2.1.4).
    """
    length = 0
    for place, byte in enumerate(start[1:5]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the bit that says "more to come"
            return place + 2, place + 2 + length
    if len(start) > 4:  # noqa: PLR2004 - a type and four bytes of length
        raise _malformed("has no sound length")
    return len(start), len(start) + 1


def _oversize(size: int, limit: int) -> Ended:
    return Ended(
        Reason.OVERSIZE,
        f"the broker sent a packet of {size} bytes, {limit} is the most",
    )


def _malformed(what: str) -> Ended:
    return Ended(Reason.MALFORMED, f"a packet from the broker {what}")
