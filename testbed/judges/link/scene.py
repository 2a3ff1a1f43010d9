"""What is judged, and the score: the card's phone side, the meter's display, the air's faults."""

import asyncio
import contextlib
import json
import os
import signal
import time
import traceback

import recharge
from central import DELIVER, RESULT, STATUS, Phone, Violation, fresh_id

OK, IN_PROGRESS, MALFORMED, UNKNOWN_OPERATION = 0x00, 0x01, 0x10, 0x11
NOT_FOUND, CONFLICT, BUSY, PAIRING_REQUIRED = 0x13, 0x14, 0x15, 0x17
METER_SILENT, METER_REFUSED, WRONG_METER, METER_GARBLED, STORAGE_FAILED = 0x20, 0x21, 0x22, 0x23, 0x30
WRONG_TAG, OTHER_METER, OTHER_GENERATION, WRONG_UNIT, MALFORMED_MESSAGE, UNKNOWN_TYPE = range(1, 7)


class Score:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, holds, seen=""):
        number = self.passed + self.failed + 1
        if holds:
            self.passed += 1
            print(f"ok    {number:3} {name}")
        else:
            self.failed += 1
            print(f"FAIL  {number:3} {name}: {seen!r}")


async def line_of_json(reader, writer, request):
    writer.write((json.dumps(request) + "\n").encode())
    answer = json.loads(await reader.readline())
    writer.close()
    if not answer["ok"]:
        raise RuntimeError(f"{request} was refused: {answer}")
    return answer


class Scene:
    """Everything a group of checks needs. Knows what the meter must show."""

    def __init__(self, score, arguments, provision):
        self.check, self.arguments = score.check, arguments
        self.meter = recharge.Meter(
            bytes.fromhex(provision["meter"]),
            provision["generation"],
            recharge.UNITS[provision["unit"]],
            bytes.fromhex(provision["meter_key_hex"]),
        )
        self.unit = provision["unit"]
        self.seq = self.total = self.balance = self.volume = 0
        self.last_tag = bytes(4)
        self.phone = None

    async def open(self):
        self.phone = await Phone.switch_on(self.arguments.hci, "F1:00:00:00:00:01")

    # -- what surrounds the card

    async def at_meter(self, **request):
        return await line_of_json(*await asyncio.open_unix_connection(self.arguments.meter_control), request)

    async def display(self):
        """What the meter's display shows."""
        return await self.at_meter(op="show")

    async def burn(self, centi_m3):
        """Draws gas, which changes balance and register by what the display then shows."""
        await self.at_meter(op="press")  # a valve that closed opens by the button once there is credit
        shown = await self.at_meter(op="burn", centi_m3=centi_m3)
        if shown["burnt_centi_m3"] != centi_m3:
            raise RuntimeError(f"only {shown['burnt_centi_m3']} of {centi_m3} burnt: {shown}")
        self.balance, self.volume = shown["balance"], shown["register_centi_m3"]

    async def air(self, **request):
        return await line_of_json(*await asyncio.open_connection("127.0.0.1", self.arguments.faults), request)

    @contextlib.contextmanager
    def silent_meter(self):
        """The meter's process stands still meanwhile."""
        with open(self.arguments.meter_pid, encoding="ascii") as file:
            meter = int(file.read())
        os.kill(meter, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(meter, signal.SIGCONT)

    def other_meter(self, **other):
        """A meter that is not this one: another number, key, generation ..."""
        mine = {"number": bytes.fromhex("26110000099999"), "generation": self.meter.generation}
        return recharge.Meter(**{**mine, "unit": self.meter.unit, "key": self.meter.key, **other})

    # -- sessions

    @contextlib.asynccontextmanager
    async def link(self, mtu=247, phone=None):
        """A link with indications subscribed; let go at the end."""
        link = await (phone or self.phone).connect(mtu=mtu)
        try:
            await link.subscribe()
            yield link
        finally:
            await link.let_go()

    @contextlib.asynccontextmanager
    async def session(self, mtu=247, **hello):
        async with self.link(mtu) as link:
            yield await link.hello(**hello)

    @contextlib.asynccontextmanager
    async def paired(self, **hello):
        """A session of a phone that is bonded by now."""
        async with self.link() as link:
            await link.pair_if_asked()
            yield await link.hello(**hello)

    # -- vends

    def sale(self, amount, **other):
        """The token of the next sale, and what the meter must show after it."""
        self.seq, self.total = self.seq + 1, self.total + amount
        self.balance += amount
        token = self.meter.token(self.seq, self.total, amount, fresh_id(), **other)
        self.last_tag = token[-16:-12]
        return token

    def shows(self, state):
        """Whether a state of the meter is the one that the sales made so far lead to."""
        seen = (state.last_seq, state.last_tag, state.total, state.balance, state.volume)
        return seen == (self.seq, self.last_tag, self.total, self.balance, self.volume)

    async def check_display(self, name):
        shown = await self.display()
        seen = shown["last_seq"], shown["total"], shown["balance"]
        self.check(f"the display agrees: {name}", seen == (self.seq, self.total, self.balance), seen)

    def check_receipt(self, name, token, answer, result=recharge.APPLIED):
        """A receipt with a right tag, for this token, with this result, and the state as it must be."""
        status, body = answer
        if status != OK:
            self.check(f"{name}: status 00", False, (status, body.hex()))
            return
        try:
            seen, answered, state = self.meter.receipt(body, token)
        except recharge.Refused as fault:
            self.check(f"{name}: the receipt's tag holds", False, fault)
            return
        self.check(f"{name}: the receipt's tag holds, result {result}", (seen, answered) == (result, token[1]), seen)
        self.check(f"{name}: the receipt's state is exact", self.shows(state), state)

    def check_answer(self, name, answer, status, body=b""):
        self.check(f"{name}: {status:02x} {body.hex()}".rstrip(), answer == (status, body), answer)

    async def check_status(self, name, session):
        """A status with a nonce of ours, its tag, and the state as it must be."""
        nonce = fresh_id()
        status, body = await session.ask(STATUS, self.meter.ask(nonce))
        if status != OK:
            self.check(f"{name}: a status", False, (status, body.hex()))
            return None
        try:
            told, state, _, settings = self.meter.status(body)
        except recharge.Refused as fault:
            self.check(f"{name}: the status' tag holds", False, fault)
            return None
        self.check(f"{name}: the status' tag holds, with our nonce", told == nonce, told)
        self.check(f"{name}: the status' state is exact", self.shows(state), state)
        return state, settings

    async def result_of(self, session, request_id, unfinished=(IN_PROGRESS,), seconds=30):
        """What RESULT tells of a DELIVER: its inner status and body. Asks again while it is unfinished."""
        until = time.monotonic() + seconds
        while True:
            status, body = await session.ask(RESULT, request_id)
            if status != OK:
                return status, body
            if body[0] != DELIVER:
                raise Violation(f"RESULT of another operation: {body.hex()}")
            if body[1] not in unfinished or time.monotonic() > until:
                return body[1], body[2:]
            await asyncio.sleep(0.5)

    async def group(self, name, checks):
        """Runs a group of checks to its end, whatever happens in it."""
        print(f"      --- {name}")
        try:
            await checks(self)
        except (Exception, asyncio.CancelledError) as fault:
            traceback.print_exc()
            self.check(f"{name}: ran to its end", False, fault)
        finally:
            await self.air(op="reset")

