"""Sections 1 to 4 of the page as a well-behaved phone meets them."""

import asyncio
import time

from bumble.att import ATT_Error
from bumble.core import AdvertisingData
from bumble.gatt import Characteristic
from central import (
    ACK,
    BOND,
    CARD,
    DATA,
    DELIVER,
    FIRST,
    INFO,
    RECORDS,
    REQUEST,
    RESPONSE,
    SERVICE,
    STATUS,
    Phone,
    Violation,
    frame,
    segments,
)
from scene import MALFORMED, OK, PAIRING_REQUIRED, WRONG_METER

Properties = Characteristic.Properties
ADV_IND, SCAN_RSP = 0, 4
INSUFFICIENT = (0x05, 0x0F)  # authentication, encryption: Core, Vol 3 Part F, 3.4.1.1
DAY_S, HOUR_S, UTC_PLUS_8_S = 86_400, 3_600, 8 * 3_600
DAILY, HOURLY = 1, 2


async def advertisement(scene):
    reports = await scene.phone.scan(2)
    card = [report for report in reports if report.event_type == ADV_IND]
    names = [report for report in reports if report.event_type == SCAN_RSP]
    scene.check("only a connectable, scannable, undirected advertisement", {r.event_type for r in reports} == {0, 4})
    if not card or not names:
        return
    listed = AdvertisingData.from_bytes(card[0].data)
    kinds = {kind for kind, _ in listed.ad_structures}
    allowed = {AdvertisingData.FLAGS, AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS}
    scene.check("it holds flags and service, nothing more", kinds == allowed, kinds)
    uuids = listed.get(AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS)
    scene.check("the service is the page's", uuids == [SERVICE], uuids)
    scan = AdvertisingData.from_bytes(names[0].data)
    scene.name = scan.get(AdvertisingData.COMPLETE_LOCAL_NAME)
    only_name = [kind for kind, _ in scan.ad_structures] == [AdvertisingData.COMPLETE_LOCAL_NAME]
    scene.check("the scan response is a name only", only_name, scan.ad_structures)


async def attributes(scene):
    async with scene.link() as link:
        wanted = {
            INFO: Properties.READ,
            REQUEST: Properties.WRITE,
            RESPONSE: Properties.INDICATE,
            BOND: Properties.READ,
        }
        seen = {uuid: one.properties for uuid, one in link.characteristics.items()}
        scene.check("four characteristics with the page's properties", seen == wanted, seen)
        scene.check("the MTU allows 244 bytes", link.mtu >= 247, link.mtu)
        info = await link.read_info()
        scene.check("Info: 16 bytes", len(info) == 16, info.hex())
        scene.check("Info: versions 1 to 1", info[:2] == b"\1\1", info.hex())
        scene.check("Info: 244 bytes a value, 1024 a message, window 4", info[2:7] == b"\0\xf4\4\0\4", info.hex())
        number = info[8:].hex()
        scene.check("the name ends as the card's number", scene.name == f"Pilotlight-{number[-4:]}", (scene.name, number))
        scene.check("Info: the meter answers, nothing waits, pairing is needed", info[7] == 0x05, info[7])
        try:
            seen = await link.read_bond()
        except ATT_Error as refused:
            seen = refused.error_code
        scene.check("Bond is refused on an open link", seen in INSUFFICIENT, seen)
        other = await Phone.switch_on(scene.arguments.hci, "F1:00:00:00:00:02")
        reports = await other.scan(1)
        await other.switch_off()
        scene.check("one phone at a time: no advertisement while linked", not reports, len(reports))


async def worked_example(scene):
    """Section 7, byte for byte, as far as it does not depend on the meter."""
    async with scene.link(mtu=23) as link:
        await link.write(bytes.fromhex("80010100140400000001"))
        answer = await link.indicated()
        scene.check("hello is answered as in the example", answer.hex() == "8001001404000400000001", answer.hex())
        await link.write(bytes.fromhex("0b00000f01010102030405060708009af10286"))
        answer = await link.indicated()
        acknowledged = answer.hex() == "0400" or (answer[0] == DATA | ACK | FIRST and answer[:3].hex().endswith("0000"))
        scene.check("CARD's only segment is acknowledged, alone or with the answer", acknowledged, answer.hex())
        again = await link.hello(window=4, session=b"anew")
        scene.check("a hello in the middle starts anew", again.version == 1, again.version)


async def card_answer(session):
    status, body = await session.ask(CARD)
    if status != OK or len(body) != 31:
        raise Violation(f"CARD: {status:02x} {body.hex()}")
    numbers = [int.from_bytes(body[at : at + 4]) for at in range(15, 31, 4)]
    held = {DAILY: numbers[:2], HOURLY: numbers[2:]}
    return body[:3], body[3], body[4:11], int.from_bytes(body[11:15]), held


async def unpaired(scene):
    async with scene.session() as session:
        scene.check("the whole value is agreed on", session.value_max == 244, session.value_max)
        scene.check("messages up to 1024, window 4", (session.message_max, session.card_window) == (1024, 4))
        _, known, number, age, _ = await card_answer(session)
        scene.check("CARD: the meter is known", known == 1 and number == scene.meter.number, number.hex())
        scene.check("CARD: it answered within the last 15 minutes", age < 900, age)
        answer = await session.ask(STATUS, scene.meter.ask(b"12345678"))
        scene.check_answer("STATUS without pairing", answer, PAIRING_REQUIRED)
        answer = await session.ask(RECORDS, bytes([DAILY, 0, 0, 0, 0, 5]))
        scene.check_answer("RECORDS without pairing", answer, PAIRING_REQUIRED)
    for value_max in (20, 27, 100, 243):
        async with scene.session(value_max=value_max) as session:
            _, known, *_ = await card_answer(session)
            right = known == 1 and session.value_max == value_max
            scene.check(f"CARD over values of {value_max} bytes", right, session.value_max)
    async with scene.session(value_max=5) as session:
        scene.check("an offer below 20 is taken for 20", session.value_max == 20, session.value_max)
        await card_answer(session)


async def pairing(scene):
    async with scene.link() as link:
        scene.check("Bond asks for pairing", await link.pair_if_asked())
        scene.check("Bond reads 01 on an encrypted link", await link.read_bond() == b"\1")
        scene.check("the link is encrypted", link.connection.is_encrypted)
        session = await link.hello()
        nonce = b"\x11\x22\x33\x44\x55\x66\x77\x88"
        status, body = await session.ask(STATUS, scene.meter.ask(nonce))
        scene.check("STATUS: 75 bytes", (status, len(body)) == (OK, 75), (status, body.hex()))
        told, state, battery, settings = scene.meter.status(body)
        scene.check("STATUS: its tag holds, with our nonce", told == nonce, told.hex())
        shown = await scene.display()
        seen = (state.last_seq, state.total, state.balance, state.volume, state.time, state.flags, battery, settings)
        wanted = tuple(
            shown[name]
            for name in ("last_seq", "total", "balance", "register_centi_m3", "time", "flags", "battery_percent", "settings")
        )
        scene.check("STATUS: all as the display shows it", seen == wanted, (seen, wanted))
        scene.seq, scene.last_tag, scene.total = state.last_seq, state.last_tag, state.total
        scene.balance, scene.volume = state.balance, state.volume
        await scene.check_status("a second nonce", session)
        answer = await session.ask(STATUS, scene.other_meter().ask(nonce))
        scene.check_answer("STATUS of another meter", answer, WRONG_METER, scene.meter.number)
    before = scene.phone.pairings
    async with scene.link() as link:
        await link.connection.encrypt()
        scene.check("a bonded phone needs no second pairing", await link.read_bond() == b"\1")
        scene.check("nobody paired again", scene.phone.pairings == before, scene.phone.pairings)
        await scene.check_status("over the bond", await link.hello())


async def fetch(session, kind, first, at_most):
    """The kind, oldest, newest, and the records from `first` on."""
    status, body = await session.ask(RECORDS, bytes([kind]) + first.to_bytes(4) + bytes([at_most]))
    if status != OK or len(body) < 10 or len(body) != 10 + 36 * body[9]:
        raise Violation(f"RECORDS: {status:02x} {body.hex()}")
    some = [body[at : at + 36] for at in range(10, len(body), 36)]
    return body[0], int.from_bytes(body[1:5]), int.from_bytes(body[5:9]), some


async def all_of(scene, session, kind, first):
    """Every record from `first` on, asked for in turns, each verified."""
    records, turns = [], 0
    while True:
        told, oldest, newest, some = await fetch(session, kind, first, 24)
        turns += 1
        opened = [scene.meter.record(one) for one in some]
        numbers = [one[0] for one in opened]
        if told != kind or numbers != sorted(set(numbers)) or any(not first <= number <= newest for number in numbers):
            raise Violation(f"kind {told}, numbers {numbers}, wanted from {first}, {oldest}..{newest}")
        if not some:
            return records, turns
        records += opened
        first = numbers[-1] + 1


async def records(scene):
    shown = (await scene.display())["records"]
    async with scene.paired() as session:
        until = time.monotonic() + 60
        while (held := (await card_answer(session))[4])[HOURLY][1] != shown["newest"] and time.monotonic() < until:
            await asyncio.sleep(0.5)
        scene.check("the card holds the meter's newest record", held[HOURLY][1] == shown["newest"], (held, shown))
        hourly, turns = await all_of(scene, session, HOURLY, 0)
        scene.check("every hourly record's tag holds", len(hourly) > 24 and turns > 2, (len(hourly), turns))
        numbers = [one[0] for one in hourly]
        scene.check("they are those that CARD named", held[HOURLY] == [numbers[0], numbers[-1]], held)
        scene.check("none is missing", numbers == list(range(numbers[0], numbers[-1] + 1)), numbers)
        scene.check("each at a full hour", all(one[1] % HOUR_S == 0 for one in hourly))
        volumes = [one[2] for one in hourly]
        scene.check("the register never falls", volumes == sorted(volumes) and volumes[-1] <= scene.volume, volumes)
        daily, _ = await all_of(scene, session, DAILY, 0)
        midnights = all((one[1] + UTC_PLUS_8_S) % DAY_S == 0 for one in daily[1:])
        scene.check("daily records are the first of their day", len(daily) >= 2 and midnights, daily)
        scene.check("a daily record is an hourly one too", set(daily) <= set(hourly), set(daily) - set(hourly))
        scene.check("they are those that CARD named", held[DAILY] == [daily[0][0], daily[-1][0]], held)
        await lacking(scene, session, numbers)


async def lacking(scene, session, numbers):
    """Only what a phone lacks."""
    newest = numbers[-1]
    kind, oldest, last, some = await fetch(session, HOURLY, newest - 2, 24)
    got = [scene.meter.record(one)[0] for one in some]
    scene.check("only the three that are lacking", got == [newest - 2, newest - 1, newest], got)
    scene.check("oldest and newest are told with them", (kind, oldest, last) == (HOURLY, numbers[0], newest))
    scene.check("nothing when nothing is lacking", (await fetch(session, HOURLY, newest + 1, 24))[3] == [])
    scene.check("nothing beyond all numbers", (await fetch(session, HOURLY, 0xFFFFFFFF, 24))[3] == [])
    scene.check("at most as many as wanted", len((await fetch(session, HOURLY, 0, 7))[3]) == 7)
    scene.check("at most 24 for more", len((await fetch(session, HOURLY, 0, 255))[3]) == 24)
    scene.check("none for none", len((await fetch(session, HOURLY, 0, 0))[3]) == 0)
    answer = await session.ask(RECORDS, bytes([3, 0, 0, 0, 0, 1]))
    scene.check_answer("records of no kind", answer, MALFORMED)


async def windows(scene):
    """The card keeps to the phone's window, whatever it has to say."""
    for window in (1, 2, 8):
        async with scene.paired(window=window, value_max=20) as session:
            _, _, _, some = await fetch(session, HOURLY, 0, 3)
            seen = session.most_unacknowledged
            scene.check(f"118 bytes in segments of 20 within a window of {window}", len(some) == 3 and seen <= window, seen)
    async with scene.paired(window=2, value_max=20) as session:
        session.acknowledges = False
        await session.send(frame(RECORDS, b"withheld", bytes([HOURLY, 0, 0, 0, 0, 3])))
        started, got = time.monotonic(), 0
        while session.received < 2:
            await session.step()
        try:
            await session.step(2)
            got = 1
        except TimeoutError:
            pass
        scene.check("two segments, then the card waits for an acknowledgement", got == 0, session.seen)
        await session.acknowledge()
        await session.step()
        scene.check("after it, it goes on", session.received == 3, session.received)
        started = time.monotonic()
        lost = await session.link.is_lost(12)
        waited = time.monotonic() - started
        scene.check("without one it disconnects after 5 s", lost and 4 < waited < 9, (lost, waited))


async def acknowledgements(scene):
    """The card acknowledges at half of its window and at the end of a message, and not more than that."""
    async with scene.session(value_max=20, window=8) as session:
        message = frame(DELIVER, b"halfway?", bytes(80))
        parts = segments(message, 20)
        for part in parts[: session.card_window // 2]:
            session.sent += 1
            await session.link.write(part)
        while session.acknowledged < session.sent:
            await session.step()
        told = session.seen[-1]
        scene.check("half of the window is acknowledged", told == bytes([ACK, session.card_window // 2 - 1]), told.hex())
        for part in parts[session.sent :]:
            await session.send_segment(part)
        status, _ = await session.answer(DELIVER, b"halfway?")
        await session.settle()
        scene.check("the end of a message is acknowledged", session.acknowledged == len(parts), session.acknowledged)
        scene.check("and the message is answered", status != OK, status)
        await session.link.write(bytes([ACK, (session.received - 1) & 0xFF]))
        status, _ = await session.ask(CARD)
        scene.check("an acknowledgement said twice is one", status == OK, status)
        session.acknowledges = False
        status, _ = await session.ask(CARD, request_id=b"carries.")
        session.acknowledges = True
        riding = segments(frame(CARD, bytes(8)), 20, session.sent, session.received - 1)[0][0]
        again, _ = await session.ask(CARD)
        scene.check("an acknowledgement may ride on a request", (riding & ACK, status, again) == (ACK, OK, OK), again)


GROUPS = (
    ("advertisement", advertisement),
    ("attributes", attributes),
    ("worked example", worked_example),
    ("without pairing", unpaired),
    ("pairing and status", pairing),
    ("records", records),
    ("acknowledgements", acknowledgements),
    ("windows", windows),
)
