"""The phone's side of docs/protocols/link.md: finding a card, and a session of messages in segments.

A strict central: it holds the card to every rule of the page about segments and raises `Violation` at the first
one broken. Radio and host are bumble.
"""

import asyncio
import binascii
import secrets
import struct
import time

from bumble.att import ATT_Error
from bumble.core import UUID, AdvertisingData
from bumble.device import Device, DeviceConfiguration, Peer
from bumble.hci import Address
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport

SERVICE = UUID("5f9b8ec7-76b8-4120-a451-b3c0a3849625")
INFO = UUID("78c37e22-1738-4015-a82f-404a9abb0ae6")
REQUEST = UUID("76f73fe2-de76-46d8-8b31-e3c4cf7c3a54")
RESPONSE = UUID("67445778-281a-4e42-b4aa-0d4514196b75")
BOND = UUID("1e02267d-5a82-4e50-bb65-cbaa889e88d7")

HELLO, RESET, DATA, ACK, LAST, FIRST = 0x80, 0x40, 0x08, 0x04, 0x02, 0x01
CARD, STATUS, DELIVER, RESULT, RECORDS = range(1, 6)
MESSAGE_MAX, VALUE_MIN = 1024, 20
SOON_S = 5.0
ANSWER_S = 30.0


class Violation(Exception):
    """The card did what the page forbids."""


class LinkLost(Exception):
    """The link ended."""


class ResetSent(Exception):
    """The card sent a reset, with this reason."""

    def __init__(self, reason):
        super().__init__(f"reset {reason:02x}")
        self.reason = reason


def frame(operation, request_id, body=b"", kind=1, status=0):
    """A message with its CRC-32."""
    message = bytes([kind, operation]) + request_id + bytes([status]) + body
    return message + struct.pack(">I", binascii.crc32(message))


def segments(message, value_max, first=0, ack=None):
    """The message's data segments, the first one with this sequence (and an acknowledgement, if any)."""
    made, rest = [], message
    while rest or not made:
        flags, head = DATA, b""
        if not made:
            flags |= FIRST
            head = struct.pack(">H", len(message))
            if ack is not None:
                flags |= ACK
                head = bytes([ack]) + head
        room = value_max - 2 - len(head)
        if len(rest) <= room:
            flags |= LAST
        made.append(bytes([flags, (first + len(made)) & 0xFF]) + head + rest[:room])
        rest = rest[room:]
    return made


class Phone:
    """A host with a radio of its own."""

    @classmethod
    async def switch_on(cls, hci, address):
        self = cls()
        self.transport = await open_transport(f"tcp-client:127.0.0.1:{hci}")
        settings = DeviceConfiguration(name="judge", address=Address(address))
        self.device = Device.from_config_with_hci(settings, self.transport.source, self.transport.sink)
        self.device.keystore = MemoryKeyStore()
        self.pairings = 0
        self.device.pairing_config_factory = self.pairing_config
        await self.device.power_on()
        return self

    def pairing_config(self, _connection):
        self.pairings += 1
        return PairingConfig(
            sc=True,
            mitm=False,
            bonding=True,
            delegate=PairingDelegate(PairingDelegate.IoCapability.NO_OUTPUT_NO_INPUT),
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )

    async def switch_off(self):
        await self.transport.close()

    async def scan(self, seconds, until=lambda reports: False):
        """Every report of anybody's advertisement, seen actively, for so long or until enough are in."""
        reports, enough = [], asyncio.Event()

        def seen(report):
            reports.append(report)
            if until(reports):
                enough.set()

        # The host merges an advertisement with its scan response; the reports themselves are wanted here.
        self.device.host.on("advertising_report", seen)
        await self.device.start_scanning(legacy=True, active=True, scan_interval=60, scan_window=60)
        try:
            await asyncio.wait_for(enough.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            await self.device.stop_scanning()
            self.device.host.remove_listener("advertising_report", seen)
        return reports

    async def find(self, seconds=SOON_S):
        """The address of a card that advertises the service, or None."""

        def offers(report):
            listed = AdvertisingData.from_bytes(report.data).get(
                AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS
            )
            return SERVICE in (listed or [])

        reports = await self.scan(seconds, lambda reports: offers(reports[-1]))
        return next((report.address for report in reports if offers(report)), None)

    async def connect(self, address=None, mtu=247):
        """Connects, exchanges the MTU, discovers. 23 is a host that asks for no exchange."""
        address = address or await self.find()
        if address is None:
            raise LinkLost("no card advertises")
        connection = await self.device.connect(address, timeout=SOON_S)
        return await Link.discover(self, connection, mtu)


class Link:
    """One connection: the characteristics, and what the card indicates."""

    @classmethod
    async def discover(cls, phone, connection, mtu):
        self = cls()
        self.phone, self.connection = phone, connection
        self.lost = asyncio.Event()
        self.indications = asyncio.Queue()
        self.held = None
        connection.on("disconnection", self.on_lost)
        self.peer = Peer(connection)
        self.mtu = await self.peer.request_mtu(mtu) if mtu > 23 else 23
        await self.peer.discover_services()
        services = [service for service in self.peer.services if service.uuid == SERVICE]
        if len(services) != 1:
            raise Violation(f"{len(services)} services")
        found = await self.peer.discover_characteristics(service=services[0])
        self.characteristics = {one.uuid: one for one in found}
        for name, uuid in (("info", INFO), ("request", REQUEST), ("response", RESPONSE), ("bond", BOND)):
            setattr(self, name, self.characteristics[uuid])
        return self

    def on_lost(self, _reason):
        self.lost.set()
        self.indications.put_nowait(None)

    async def subscribe(self):
        await self.guarded(self.response.subscribe(self.indications.put_nowait, prefer_notify=False))

    async def guarded(self, call):
        """A call that ends as LinkLost when the link does. bumble cancels calls of a link that ends."""
        try:
            return await asyncio.wait_for(call, SOON_S * 2)
        except asyncio.CancelledError:
            if self.lost.is_set() or await self.is_lost(0.1):
                raise LinkLost("during a call") from None
            raise
        except TimeoutError:
            raise Violation("the card left a call of ATT unanswered") from None

    async def read_info(self):
        return bytes(await self.guarded(self.info.read_value()))

    async def read_bond(self):
        return bytes(await self.guarded(self.bond.read_value()))

    async def pair_if_asked(self):
        """Reads Bond; when the card refuses, uses the bond or pairs, and reads it again. Whether it paired."""
        before = self.phone.pairings
        try:
            await self.read_bond()
        except ATT_Error:
            if await self.phone.device.keystore.get(str(self.connection.peer_address)):
                await self.guarded(self.connection.encrypt())
            else:
                await self.guarded(self.connection.pair())
            await self.read_bond()
        return self.phone.pairings > before

    async def write(self, value):
        if self.lost.is_set():
            raise LinkLost("before a write")
        await self.guarded(self.request.write_value(bytes(value), with_response=True))

    async def indicated(self, seconds=SOON_S):
        """The next value indicated; None when there is none for so long."""
        try:
            value = await asyncio.wait_for(self.indications.get(), seconds)
        except TimeoutError:
            return None
        if value is None:
            self.indications.put_nowait(None)
            raise LinkLost("while waiting for an indication")
        return bytes(value)

    async def is_lost(self, seconds=SOON_S):
        try:
            await asyncio.wait_for(self.lost.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def let_go(self):
        if not self.lost.is_set():
            try:
                await self.connection.disconnect()
            except Exception:
                pass  # it went first
            await self.is_lost()

    # -- confirmations, held back to see what the card does meanwhile

    def hold_confirmations(self):
        client = self.connection.gatt_client
        self.held = []
        client.send_confirmation = self.held.append

    def release_confirmations(self):
        client, held = self.connection.gatt_client, self.held
        del client.send_confirmation
        self.held = None
        for confirmation in held:
            client.send_confirmation(confirmation)

    async def hello(self, value_max=None, window=4, session=b"\0\0\0\1", versions=(1, 1)):
        """Says hello; the session that the card's answer makes."""
        value_max = self.mtu - 3 if value_max is None else value_max
        await self.write(struct.pack(">BBBHB4s", HELLO, *versions, value_max, window, session))
        while True:
            value = await self.indicated()
            if value is None:
                raise Violation("no answer to the hello")
            if value[0] & HELLO:
                return Session(self, value_max, window, session, value)


class Session:
    """Messages over a link after a hello. Watches the card's sequence, acknowledgements, window and checksums."""

    def __init__(self, link, value_max, window, session, answer):
        if len(answer) != 11 or answer[0] != HELLO or answer[7:] != session:
            raise Violation(f"not the answer to this hello: {answer.hex()}")
        self.link, self.own_window = link, window
        self.version, self.value_max, self.message_max, self.card_window = struct.unpack(">BHHB", answer[1:7])
        if self.version and not VALUE_MIN <= self.value_max <= max(value_max, VALUE_MIN):
            raise Violation(f"value bytes {self.value_max} for an offer of {value_max}")
        self.sent = self.acknowledged = 0  # data segments, counted from the hello
        self.received = self.told = 0
        self.half = None
        self.message_length = 0
        self.acknowledges = True
        self.seen = []  # every value indicated, for checks of their own
        self.most_unacknowledged = 0

    @property
    def window(self):
        """The smaller of both: right for either side."""
        return min(self.own_window, self.card_window)

    # -- what the card sends

    async def step(self, seconds=SOON_S):
        """Takes the next segment. Gives a whole message, else None; raises TimeoutError when none comes."""
        value = await self.link.indicated(seconds)
        if value is None:
            raise TimeoutError
        self.seen.append(value)
        if len(value) > self.value_max:
            raise Violation(f"a value of {len(value)} bytes, {self.value_max} were agreed")
        flags = value[0]
        if flags & HELLO:
            raise Violation("a hello's answer in the middle")
        if flags & RESET:
            if len(value) != 2 or flags != RESET:
                raise Violation(f"malformed reset: {value.hex()}")
            raise ResetSent(value[1])
        if flags == ACK and len(value) == 2:
            self.take_ack(value[1])
            return None
        return await self.take_data(value)

    def take_ack(self, sequence):
        ahead = (sequence - self.acknowledged + 1) & 0xFF
        if ahead > self.sent - self.acknowledged:
            raise Violation(f"acknowledged {sequence}, sent {self.sent}, acknowledged before {self.acknowledged}")
        self.acknowledged += ahead

    async def take_data(self, value):
        flags, at = value[0], 2
        if not flags & DATA or flags & 0x30 or len(value) < 3:
            raise Violation(f"malformed segment: {value.hex()}")
        if value[1] != self.received & 0xFF:
            raise Violation(f"sequence {value[1]}, expected {self.received & 0xFF}")
        if flags & ACK:
            self.take_ack(value[at])
            at += 1
        if bool(flags & FIRST) != (self.half is None):
            raise Violation(f"first segment of a message at the wrong place: {value.hex()}")
        if flags & FIRST:
            self.message_length = int.from_bytes(value[at : at + 2])
            self.half = b""
            at += 2
        if at >= len(value):
            raise Violation(f"no payload: {value.hex()}")
        self.half += value[at:]
        self.received += 1
        unacknowledged = self.received - self.told
        self.most_unacknowledged = max(self.most_unacknowledged, unacknowledged)
        if unacknowledged > self.own_window:
            raise Violation(f"{unacknowledged} segments unacknowledged, the window is {self.own_window}")
        return await self.after_data(bool(flags & LAST), unacknowledged)

    async def after_data(self, last, unacknowledged):
        whole = None
        if last:
            whole, self.half = self.half, None
            if len(whole) != self.message_length or len(whole) > MESSAGE_MAX:
                raise Violation(f"{len(whole)} bytes, {self.message_length} were announced")
        elif len(self.half) >= self.message_length:
            raise Violation("the last segment does not say so")
        if self.acknowledges and (last or unacknowledged >= max(self.window // 2, 1)):
            await self.acknowledge()
        return whole

    async def acknowledge(self):
        self.told = self.received
        await self.link.write(bytes([ACK, (self.received - 1) & 0xFF]))

    # -- what the phone sends

    async def send(self, message):
        ack = None
        if self.told < self.received:  # rides on the first segment
            self.told = self.received
            ack = (self.received - 1) & 0xFF
        for segment in segments(message, self.value_max, self.sent, ack):
            await self.send_segment(segment)

    async def send_segment(self, segment):
        while self.sent - self.acknowledged >= self.window:
            if await self.step() is not None:
                raise Violation("a message that nobody waits for")
        self.sent += 1
        await self.link.write(segment)

    async def answer(self, operation, request_id, seconds=ANSWER_S):
        """Status and body of the answer to this request."""
        until = time.monotonic() + seconds
        message = None
        while message is None:
            try:
                message = await self.step(max(until - time.monotonic(), 0.01))
            except TimeoutError:
                raise Violation(f"no answer within {seconds} s") from None
        if len(message) < 15 or binascii.crc32(message[:-4]) != int.from_bytes(message[-4:]):
            raise Violation(f"wrong checksum: {message.hex()}")
        if message[0] != 2 or message[1] != operation or message[2:10] != request_id:
            raise Violation(f"not the answer to {operation:02x} {request_id.hex()}: {message.hex()}")
        return message[10], message[11:-4]

    async def ask(self, operation, body=b"", request_id=None, seconds=ANSWER_S, **other):
        """A request and its answer's status and body."""
        request_id = request_id or fresh_id()
        await self.send(frame(operation, request_id, body, **other))
        answer = await self.answer(operation, request_id, seconds)
        await self.settle()
        return answer

    async def settle(self):
        """Takes what acknowledgements are still owed: the last segment of a message always is."""
        while self.acknowledged < self.sent:
            try:
                if await self.step() is not None:
                    raise Violation("a message that nobody waits for")
            except TimeoutError:
                raise Violation("the last segment was never acknowledged") from None


def fresh_id():
    return secrets.token_bytes(8)
