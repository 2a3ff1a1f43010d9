"""The link breaks, the meter is silent: results outlive both."""

import asyncio
import time

import recharge
from central import DELIVER, RESULT, STATUS, LinkLost, frame, fresh_id, segments
from scene import IN_PROGRESS, METER_SILENT, NOT_FOUND, OK, STORAGE_FAILED

WRITE_REQUEST, WRITE_RESPONSE, INDICATION = 0x12, 0x13, 0x1D


async def within_the_message(scene):
    """The link ends after two of the token's segments."""
    token, request_id = scene.sale(310), fresh_id()
    async with scene.session(value_max=20) as session:
        for part in segments(frame(DELIVER, request_id, token), 20)[:2]:
            await session.send_segment(part)
    async with scene.session(value_max=20) as session:
        scene.check_answer("half a token was not stored", await session.ask(RESULT, request_id), NOT_FOUND)
        answer = await session.ask(DELIVER, token, request_id)
        scene.check_receipt("delivered again by the same id", token, answer)
        scene.check("RESULT tells the receipt", await scene.result_of(session, request_id) == answer)
        await scene.check_display("once")


async def cut_at(scene, name, skip, **cut):
    """The radio cuts at a PDU while a token is delivered; then RESULT by the same id, or the same again."""
    token, request_id = scene.sale(110), fresh_id()
    try:
        async with scene.session(value_max=20) as session:
            await scene.air(op="cut_on", skip=skip, **cut)
            await session.ask(DELIVER, token, request_id)
            scene.check(f"{name}: the link was cut", False, "it was not")
    except LinkLost:
        pass
    async with scene.session(value_max=20) as session:
        told = await scene.result_of(session, request_id)
        kept = told[0] == OK
        scene.check(f"{name}: kept or not found", kept or told == (NOT_FOUND, b""), told)
        if not kept:
            told = await session.ask(DELIVER, token, request_id)
        scene.check_receipt(name, token, told)
        again = await session.ask(DELIVER, token, request_id)
        scene.check(f"{name}: the same again, the same receipt", again == told, again)
        await scene.check_display(f"{name}, once")
    return kept


async def cuts(scene):
    last = len(segments(frame(DELIVER, bytes(8), bytes(56)), 20)) - 1
    kept = await cut_at(scene, "cut before the last segment", last, att=WRITE_REQUEST)
    scene.check("a token whose last segment is lost was not stored", not kept)
    kept = await cut_at(scene, "cut after the last segment", last, att=WRITE_REQUEST, deliver=True)
    kept = await cut_at(scene, "cut instead of the last write's response", last, att=WRITE_RESPONSE)
    scene.check("a token whose last write was done is stored", kept)
    for skip in range(3, 7):
        kept = await cut_at(scene, f"cut at indication {skip}", skip, att=INDICATION)
        scene.check("a token whose receipt was on its way is stored", kept)


async def meter_silent(scene):
    """The card keeps the token, and brings it to the meter by itself."""
    token, request_id = scene.sale(430), fresh_id()
    async with scene.paired() as session:
        with scene.silent_meter():
            started = time.monotonic()
            answer = await session.ask(DELIVER, token, request_id)
            waited = time.monotonic() - started
            scene.check("DELIVER to a silent meter: 20 or 01", answer in ((METER_SILENT, b""), (IN_PROGRESS, b"")), answer)
            scene.check("within 20 s", waited < 21, waited)
            told = await scene.result_of(session, request_id, ())
            scene.check("RESULT: under way or as last tried", told in ((METER_SILENT, b""), (IN_PROGRESS, b"")), told)
            info = await session.link.read_info()
            scene.check("Info: no answer, a token waits", info[7] & 0x03 == 0x02, info[7])
            status, body = await session.ask(STATUS, scene.meter.ask(fresh_id()))
            scene.check("STATUS of a silent meter: 20", (status, body) == (METER_SILENT, b""), (status, body))
            again = await session.ask(DELIVER, token, request_id)
            scene.check("the same again is no conflict", again[0] in (METER_SILENT, IN_PROGRESS), again)
        await session.link.let_go()
    until = time.monotonic() + 60
    while (await scene.display())["last_seq"] != scene.seq and time.monotonic() < until:
        await asyncio.sleep(0.2)
    await scene.check_display("delivered by the card alone, nobody linked")
    async with scene.paired() as session:
        told = await scene.result_of(session, request_id, (IN_PROGRESS, METER_SILENT))
        # The meter may have applied it and been too late to say so; then the card asked again.
        result = recharge.DUPLICATE if told[1][10:11] == b"\1" else recharge.APPLIED
        scene.check_receipt("its RESULT afterwards", token, told, result)
        info = await session.link.read_info()
        scene.check("Info: the meter answers, nothing waits", info[7] & 0x03 == 0x01, info[7])


async def full(scene):
    """Eight tokens may wait; the ninth is told so and not kept."""
    with scene.silent_meter():
        async with scene.session() as session:
            waiting = []
            for _ in range(8):
                waiting.append((scene.sale(10), fresh_id()))
                status, _ = await session.ask(DELIVER, *waiting[-1])
                if status not in (METER_SILENT, IN_PROGRESS):
                    scene.check("a token waits", False, status)
            scene.check("eight tokens wait", len(waiting) == 8)
            ninth, request_id = scene.meter.token(scene.seq + 1, scene.total + 10, 10, b"ninth..."), fresh_id()
            scene.check_answer("the ninth", await session.ask(DELIVER, ninth, request_id), STORAGE_FAILED)
            scene.check_answer("it was not kept", await session.ask(RESULT, request_id), NOT_FOUND)
    async with scene.session() as session:
        told = [await scene.result_of(session, one, (IN_PROGRESS, METER_SILENT), 60) for _, one in waiting]
        scene.check("all eight are answered in the end", {status for status, _ in told} == {OK}, told)
        await scene.check_display("all eight, and not the ninth")


async def many(scene):
    """At least the last 32 results are kept."""
    async with scene.session() as session:
        tokens = [(scene.sale(1), fresh_id()) for _ in range(33)]
        answers = [await session.ask(DELIVER, token, request_id) for token, request_id in tokens]
        scene.check("33 tokens in a row", {status for status, _ in answers} == {OK})
        kept = [await scene.result_of(session, request_id) for _, request_id in tokens[1:]]
        scene.check("the last 32 are kept", kept == answers[1:], [one[0] for one in kept])
        await scene.check_display("33 times 1, once")


GROUPS = (
    ("cut within the message", within_the_message),
    ("cuts", cuts),
    ("a silent meter", meter_silent),
    ("too many waiting", full),
    ("results kept", many),
)
