"""Frames that no right phone sends, and what the page says the card answers."""

import struct
import time

from central import (
    ACK,
    CARD,
    DATA,
    DELIVER,
    FIRST,
    HELLO,
    LAST,
    RECORDS,
    RESULT,
    STATUS,
    LinkLost,
    ResetSent,
    frame,
    fresh_id,
    segments,
)
from scene import BUSY, MALFORMED, OK, UNKNOWN_OPERATION

SEQUENCE, LENGTH, CHECKSUM, FLAGS, TOO_LONG, NO_HELLO, WINDOW = range(1, 8)
# Half of the card's window is acknowledged with the indication that is never confirmed; then a window more, and one.
PAST_THE_WINDOW = 2 + 4 + 1
WHOLE = DATA | FIRST | LAST


async def reset_reason(session):
    """The reason of the reset that comes next, or what came instead."""
    try:
        while True:
            message = await session.step()
            if message is not None:
                return message.hex()
    except ResetSent as reset:
        return reset.reason
    except TimeoutError:
        return "nothing"
    except LinkLost:
        return "a disconnect"


async def resets(scene):
    """Each broken segment on a session of its own; afterwards the session is forgotten, the link is not."""
    card = frame(CARD, fresh_id())
    parts = segments(frame(DELIVER, fresh_id(), bytes(56)), 20)
    broken_sum = card[:-1] + bytes([card[-1] ^ 1])
    cases = (
        ("a sequence left out", SEQUENCE, [parts[0], parts[2]]),
        ("a segment repeated", SEQUENCE, [parts[0], parts[0]]),
        ("a first sequence of 1", SEQUENCE, segments(card, 244, 1)),
        ("no payload", LENGTH, [bytes([WHOLE, 0, 0, len(card)])]),
        ("a message shorter than announced", LENGTH, [bytes([WHOLE, 0, 0, len(card) + 1]) + card]),
        ("a message longer than announced", LENGTH, [bytes([WHOLE, 0, 0, len(card) - 1]) + card]),
        ("no last segment where the message is whole", LENGTH, [bytes([DATA | FIRST, 0, 0, len(card)]) + card]),
        ("a message too short to be one", LENGTH, [bytes([WHOLE, 0, 0, 14]) + card[:14]]),
        ("a segment of one byte", LENGTH, [bytes([WHOLE])]),
        ("a message's length cut off", LENGTH, [bytes([WHOLE, 0, 0])]),
        ("an acknowledgement of one byte", LENGTH, [bytes([ACK])]),
        ("a wrong checksum", CHECKSUM, segments(broken_sum, 244)),
        ("an unknown flag 10", FLAGS, [bytes([WHOLE | 0x10]) + segments(card, 244)[0][1:]]),
        ("an unknown flag 20", FLAGS, [bytes([WHOLE | 0x20]) + segments(card, 244)[0][1:]]),
        ("no flags at all", FLAGS, [b"\0\0\0"]),
        ("first and last without data", FLAGS, [b"\3\0\0\x0f" + card]),
        ("a message within a message", FLAGS, [parts[0], bytes([WHOLE, 1, 0, len(card)]) + card[:16]]),
        ("a middle without a beginning", FLAGS, [bytes([DATA, 0]) + card]),
        ("a message of 1025 bytes", TOO_LONG, [segments(bytes(1025), 244)[0]]),
        ("a message of 65535 bytes", TOO_LONG, [segments(bytes(65535), 244)[0]]),
        ("an acknowledgement of what was never sent", SEQUENCE, [bytes([ACK, 7])]),
    )
    async with scene.link() as link:
        for name, reason, values in cases:
            session = await link.hello()
            for value in values:
                await link.write(value)
            seen = await reset_reason(session)
            scene.check(f"{name}: reset {reason:02x}", seen == reason, seen)
        await link.write(segments(card, 244)[0])
        seen = await reset_reason(session)
        scene.check("after a reset only a hello is heard: reset 06", seen == NO_HELLO, seen)
        status, _ = await (await link.hello()).ask(CARD)
        scene.check("and a hello makes it whole", status == OK, status)
    async with scene.link() as link:
        session = await link.hello(value_max=20)
        await link.write(segments(frame(CARD, fresh_id(), bytes(2)), 244)[0])
        seen = await reset_reason(session)
        scene.check("a segment longer than agreed: reset 05", seen == TOO_LONG, seen)


async def hellos(scene):
    async with scene.link() as link:
        card = segments(frame(CARD, fresh_id()), 244)[0]
        await link.write(card)
        value = await link.indicated()
        scene.check("a request before the hello: reset 06", value == b"\x40\x06", value)
        for versions in ((1, 255), (0, 1)):
            session = await link.hello(versions=versions)
            scene.check(f"versions {versions} have 1 in common", session.version == 1, session.version)
        session = await link.hello(versions=(2, 9))
        scene.check("versions 2 to 9: version 0", session.version == 0, session.version)
        scene.check("and the card disconnects", await link.is_lost())
    async with scene.link() as link:
        hello = struct.pack(">BBBHB4s", HELLO, 1, 1, 244, 4, b"abcd")
        for name, reason, value in (
            ("a hello of 9 bytes", LENGTH, hello[:-1]),
            ("a hello of 11 bytes", LENGTH, hello + b"\0"),
            ("a hello with another flag", FLAGS, b"\x81" + hello[1:]),
            ("versions 2 to 1", FLAGS, b"\x80\2\1" + hello[3:]),
            ("a window of 0", FLAGS, hello[:5] + b"\0" + hello[6:]),
            ("a window of 9", FLAGS, hello[:5] + b"\x09" + hello[6:]),
        ):
            await link.write(value)
            seen = await link.indicated()
            scene.check(f"{name}: reset {reason:02x}", seen == bytes([0x40, reason]), seen)
        await link.hello()
        await link.write(b"\x40\x01")
        await link.write(card)
        value = await link.indicated()
        scene.check("the phone may reset too: then a hello is needed", value == b"\x40\x06", value)


async def half_a_message(scene):
    """A hello drops what was half received."""
    token = scene.sale(120)
    message = frame(DELIVER, fresh_id(), token)
    async with scene.session(value_max=20) as session:
        for part in segments(message, 20)[:3]:
            await session.send_segment(part)
        session = await session.link.hello(value_max=20, session=b"anew")
        answer = await session.ask(DELIVER, token)
        scene.check_receipt("a whole token after half of one", token, answer)


async def windows_exceeded(scene):
    """The card can acknowledge once while its indication is not confirmed; the phone goes on nevertheless."""
    async with scene.link() as link:
        session = await link.hello(value_max=20)
        link.hold_confirmations()
        parts = segments(frame(DELIVER, fresh_id(), bytes(200)), 20)
        for part in parts[:PAST_THE_WINDOW]:
            session.sent += 1
            await link.write(part)
        link.release_confirmations()
        seen = await reset_reason(session)
        scene.check("more than the window without an acknowledgement: reset 07", seen == WINDOW, seen)


async def requests(scene):
    """Whole messages that ask for nothing the card knows."""
    async with scene.paired() as session:
        for operation in (0x00, 0x06, 0x7F, 0xFF):
            answer = await session.ask(operation)
            scene.check_answer(f"operation {operation:02x}", answer, UNKNOWN_OPERATION)
        answer = await session.ask(0x66, bytes(1009))
        scene.check_answer("the longest message, 1024 bytes", answer, UNKNOWN_OPERATION)
        for name, operation, body in (
            ("CARD with a body", CARD, b"\0"),
            ("STATUS without an ask", STATUS, b""),
            ("STATUS of 17 bytes", STATUS, scene.meter.ask(bytes(7))),
            ("STATUS of 19 bytes", STATUS, scene.meter.ask(bytes(9))),
            ("RESULT of 7 bytes", RESULT, bytes(7)),
            ("RESULT of 9 bytes", RESULT, bytes(9)),
            ("RECORDS of 5 bytes", RECORDS, b"\1\0\0\0\0"),
            ("RECORDS of 7 bytes", RECORDS, b"\1\0\0\0\0\1\0"),
        ):
            scene.check_answer(name, await session.ask(operation, body), MALFORMED)
        answer = await session.ask(CARD, status=1)
        scene.check_answer("a request with a status", answer, MALFORMED)
        answer = await session.ask(CARD, kind=2)
        scene.check_answer("a response to the card", answer, MALFORMED)
        status, _ = await session.ask(CARD, request_id=bytes(8))
        scene.check("a request id of zeros is one", status == OK, status)
        many = [(await session.ask(CARD))[0] for _ in range(260)]
        scene.check("sequences go on after 255", session.sent > 260 and set(many) == {OK}, session.sent)


async def two_at_a_time(scene):
    async with scene.paired() as session:
        with scene.silent_meter():
            first, second = fresh_id(), fresh_id()
            await session.send(frame(STATUS, first, scene.meter.ask(fresh_id())))
            await session.send(frame(CARD, second))
            answer = await session.answer(CARD, second)
            scene.check_answer("a second request while one is under way", answer, BUSY)
            started = time.monotonic()
            status, body = await session.answer(STATUS, first)
            waited = time.monotonic() - started
        scene.check("the first is answered: the meter is silent", (status, body) == (0x20, b""), (status, body))
        scene.check("within 20 s", waited < 21, waited)
        await session.settle()
        await a_hello_meanwhile(scene, session.link)


async def a_hello_meanwhile(scene, link):
    """What was asked before a hello is not answered after it."""
    session = await link.hello()
    with scene.silent_meter():
        await session.send(frame(STATUS, fresh_id(), scene.meter.ask(fresh_id())))
        session = await link.hello(session=b"anew")
        answer = await session.ask(CARD)
        scene.check("after a new hello the phone may ask again", answer[0] == OK, answer)
        try:
            message = await session.step(8)
        except TimeoutError:
            message = None
        scene.check("nothing comes of the request of before", message is None, message)
    status, _ = await session.ask(CARD)
    scene.check("and the session goes on", status == OK, status)


async def idle(scene):
    """Who says nothing makes room for others."""
    async with scene.link() as link:
        started = time.monotonic()
        lost = await link.is_lost(15)
        scene.check("no hello: dropped after 10 s", lost and 8 < time.monotonic() - started < 14, time.monotonic() - started)
    async with scene.session() as session:
        await session.ask(CARD)
        started = time.monotonic()
        lost = await session.link.is_lost(40)
        waited = time.monotonic() - started
        scene.check("no request: dropped after 30 s", lost and 28 < waited < 35, waited)


GROUPS = (
    ("resets", resets),
    ("hellos", hellos),
    ("half a message", half_a_message),
    ("window exceeded", windows_exceeded),
    ("requests", requests),
    ("two at a time", two_at_a_time),
    ("idle", idle),
)
