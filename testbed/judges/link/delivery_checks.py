"""DELIVER and RESULT: what reaches the meter, what does not, and what is answered again."""

import recharge
from central import DELIVER, RESULT, STATUS, Phone, fresh_id
from scene import (
    CONFLICT,
    MALFORMED,
    METER_REFUSED,
    NOT_FOUND,
    OTHER_GENERATION,
    PAIRING_REQUIRED,
    WRONG_METER,
    WRONG_TAG,
    WRONG_UNIT,
)

INT32_MAX = 2**31 - 1


async def valid_token(scene):
    """Unpaired, over a link of 20 bytes a value: the token spans several segments."""
    token, request_id = scene.sale(20_000), fresh_id()
    async with scene.session(mtu=23) as session:
        answer = await session.ask(DELIVER, token, request_id)
        scene.check("the token took several segments", session.sent > 3 and session.received > 3, session.sent)
        scene.check_receipt("a valid token", token, answer)
        await scene.check_display("raised by exactly the token's amount")
        told = await scene.result_of(session, request_id)
        scene.check("RESULT tells the same receipt", told == answer, told)
        again = await session.ask(DELIVER, token, request_id)
        scene.check("the same id and token: the stored receipt", again == answer, again)
        other = await session.ask(DELIVER, token)
        scene.check_receipt("the same token, another id", token, other, recharge.DUPLICATE)
        await scene.check_display("nothing was added twice")
    async with scene.paired() as session:
        again = await session.ask(DELIVER, token, request_id)
        scene.check("a link later, the stored receipt still", again == answer, again)
        await scene.check_status("after the sale", session)


async def conflict(scene):
    """A request id belongs to one token for ever."""
    first, request_id = scene.sale(100), fresh_id()
    async with scene.session() as session:
        answer = await session.ask(DELIVER, first, request_id)
        scene.check_receipt("first token", first, answer)
        second = scene.meter.token(scene.seq + 1, scene.total + 100, 100, fresh_id())
        scene.check_answer("another token, its id", await session.ask(DELIVER, second, request_id), CONFLICT)
        scene.check("RESULT still tells the first", await scene.result_of(session, request_id) == answer)
        await scene.check_display("the second was not applied")


async def superseded(scene):
    """Tokens tell totals: an older one adds nothing, a newer one brings what was left out."""
    left_out = scene.sale(700)
    later = scene.sale(300)
    async with scene.session() as session:
        scene.check_receipt("a later token brings both sales", later, await session.ask(DELIVER, later))
        answer = await session.ask(DELIVER, left_out)
        scene.check_receipt("the one left out adds nothing", left_out, answer, recharge.DUPLICATE)
        await scene.check_display("both sales, once")


async def no_token_for_it(scene):
    """Whatever is not the meter's changes nothing, and is answered with why."""
    generation = scene.meter.generation
    sale = (scene.seq + 1, scene.total + 900, 900, b"refused!")
    token = scene.meter.token(*sale)
    wrong_key = scene.other_meter(number=scene.meter.number, key=bytes(16))
    later_generation = scene.other_meter(number=scene.meter.number, generation=generation + 1)
    refused = (
        ("a tag with one bit flipped", token[:-1] + bytes([token[-1] ^ 1]), WRONG_TAG),
        ("an amount changed", token[:15] + bytes([token[15] ^ 1]) + token[16:], WRONG_TAG),
        ("another key", wrong_key.token(*sale), WRONG_TAG),
        ("another generation", later_generation.token(*sale), OTHER_GENERATION),
        ("another unit", scene.meter.token(*sale, unit=3 - scene.meter.unit), WRONG_UNIT),
    )
    malformed = (
        ("an unknown type", scene.meter.seal(scene.meter.head(0x77) + bytes(30))),
        ("another version", scene.meter.seal(b"\2" + token[1:-16])),
        ("a byte too many", scene.meter.seal(token[:-16] + b"\0")),
        ("a byte too few", scene.meter.seal(token[:-17])),
        ("a setting shorter than it says", scene.meter.seal(scene.meter.head(0x10) + b"\0\1\5" + bytes(4))),
    )
    async with scene.session() as session:
        for name, wrong, code in refused:
            request_id = fresh_id()
            answer = await session.ask(DELIVER, wrong, request_id)
            current = generation if code == OTHER_GENERATION else 0
            scene.check_answer(name, answer, METER_REFUSED, bytes([code, current]))
            scene.check(f"{name}: RESULT tells the same", await scene.result_of(session, request_id) == answer)
        for name, wrong in malformed:
            request_id = fresh_id()
            scene.check_answer(name, await session.ask(DELIVER, wrong, request_id), MALFORMED)
            scene.check_answer(f"{name}: not stored", await session.ask(RESULT, request_id), NOT_FOUND)
        await scene.check_display("refused tokens change nothing")
        for size in (0, 1, 28, 201, 1009):
            answer = await session.ask(DELIVER, token.ljust(size, b"\0")[:size])
            scene.check_answer(f"DELIVER of {size} bytes", answer, MALFORMED)


async def other_meters_token(scene):
    request_id = fresh_id()
    foreign = scene.other_meter().token(scene.seq + 1, scene.total + 100, 100, b"foreign!")
    async with scene.session() as session:
        answer = await session.ask(DELIVER, foreign, request_id)
        scene.check_answer("a token for another meter", answer, WRONG_METER, scene.meter.number)
        answer = await session.ask(RESULT, request_id)
        scene.check_answer("it was not stored", answer, NOT_FOUND)
        await scene.check_display("it changed nothing")
        token = scene.sale(250)
        scene.check_receipt("its id is free for another", token, await session.ask(DELIVER, token, request_id))
        scene.check_answer("RESULT of an id never used", await session.ask(RESULT, fresh_id()), NOT_FOUND)


async def bounds(scene):
    """The meter's rule 3: what would overdraw or overflow changes nothing, and says so in a receipt."""
    while scene.balance > scene.total // 2:
        await scene.burn(500)
    async with scene.session() as session:
        debit = scene.meter.token(scene.seq + 1, scene.total - scene.balance - 1, -scene.balance - 1, b"too much")
        answer = await session.ask(DELIVER, debit)
        scene.check_receipt("a debit beyond the balance", debit, answer, recharge.INSUFFICIENT)
        flood = scene.meter.token(scene.seq + 1, scene.total + INT32_MAX, INT32_MAX, b"too much")
        answer = await session.ask(DELIVER, flood)
        scene.check_receipt("an amount beyond all balances", flood, answer, recharge.OUT_OF_RANGE)
        debit = scene.sale(-1000)
        scene.check_receipt("a debit that the balance covers", debit, await session.ask(DELIVER, debit))
        await scene.check_display("only the covered debit")


async def settings(scene):
    """The prices of the vectors, for this meter."""
    body = scene.prices
    async with scene.paired() as session:
        for version, result in ((7, recharge.APPLIED), (7, recharge.DUPLICATE), (6, recharge.DUPLICATE)):
            setting = scene.meter.setting(recharge.PRICES, version, body)
            scene.check_receipt(f"prices version {version}", setting, await session.ask(DELIVER, setting), result)
        _, versions = await scene.check_status("after the prices", session)
        scene.check("the status shows version 7", versions[0] == 7, versions)


async def key_change(scene):
    """Rule 6. Last: from here on the meter accepts the new generation only."""
    old, key = scene.meter, bytes(range(100, 116))
    new = recharge.Meter(old.number, old.generation + 1, old.unit, key)
    change = old.key_change(3, new.generation, key)
    request_id = fresh_id()
    async with scene.paired() as session:
        answer = await session.ask(DELIVER, change, request_id)
        scene.meter = new
        scene.check_receipt("the key change", change, answer)
        told = await scene.result_of(session, request_id)
        scene.check("RESULT tells the key change's receipt", told == answer, told)
        again = await session.ask(DELIVER, change)
        scene.check_answer("the key change again", again, METER_REFUSED, bytes([OTHER_GENERATION, new.generation]))
        scene.meter = old
        late = scene.sale(400)
        answer = await session.ask(DELIVER, late)
        wanted = bytes([OTHER_GENERATION, new.generation])
        scene.check_answer("a token of the old generation", answer, METER_REFUSED, wanted)
        scene.meter = new
        resealed = new.token(scene.seq, scene.total, 400, b"resealed")
        scene.last_tag = resealed[-16:-12]
        scene.check_receipt("the same sale, sealed again", resealed, await session.ask(DELIVER, resealed))
        await scene.check_status("of the new generation", session)
        answer = await session.ask(STATUS, old.ask(fresh_id()))
        scene.check("an ask of the old generation", answer == (METER_REFUSED, wanted), answer)
    await scene.check_display("the resealed sale, once")


async def any_phone(scene):
    """Any phone may deliver any token, any number of times, and ask what became of it."""
    token, request_id = scene.sale(640), fresh_id()
    async with scene.session() as session:
        answer = await session.ask(DELIVER, token, request_id)
        scene.check_receipt("the first phone's delivery", token, answer)
    other = await Phone.switch_on(scene.arguments.hci, "F1:00:00:00:00:03")
    try:
        async with scene.link(phone=other) as link:
            session = await link.hello()
            told = await scene.result_of(session, request_id)
            scene.check("a second phone is told the first one's result", told == answer, told)
            again = await session.ask(DELIVER, token)
            scene.check_receipt("a second phone, the same token", token, again, recharge.DUPLICATE)
            scene.check_answer("it is not paired", await session.ask(STATUS, scene.meter.ask(bytes(8))), PAIRING_REQUIRED)
            scene.check("it may pair too", await link.pair_if_asked())
            await scene.check_status("of the second phone", session)
        await other.device.keystore.delete_all()
        async with scene.link(phone=other) as link:
            scene.check("a phone that lost its bond pairs again", await link.pair_if_asked())
            await scene.check_status("after pairing again", await link.hello())
    finally:
        await other.switch_off()
    before = scene.phone.pairings
    async with scene.paired() as session:
        await scene.check_status("of the first phone, over its bond", session)
    scene.check("the first phone's bond still holds", scene.phone.pairings == before)


GROUPS = (
    ("a valid token", valid_token),
    ("one id, two tokens", conflict),
    ("tokens out of order", superseded),
    ("no tokens of this meter", no_token_for_it),
    ("a token of another meter", other_meters_token),
    ("any phone", any_phone),
    ("bounds", bounds),
    ("settings", settings),
)
LAST_GROUPS = (("key change", key_change),)
