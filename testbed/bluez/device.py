"""A device that was heard, and the link to it."""

import asyncio
import contextlib
import logging

from bumble.core import AdvertisingData, BaseBumbleError
from bumble.device import Peer
from dbus_fast import Variant
from gatt import SERVICE, RemoteCharacteristic, RemoteDescriptor, Service, uuid_text
from objects import BusObject, CallError, failure, method

DEVICE = "org.bluez.Device1"

CONNECT_MAX_S = 10
ENCRYPT_MAX_S, PAIR_MAX_S = 10, 30
TEMPORARY_S = 30  # BlueZ, main.conf: TemporaryTimeout
# Between the errors of pending calls and the news that the link has ended. Measured with Chromium: without it a
# pending promise of a page may hang.
FAREWELL_S = 0.05


class Link:
    """A connection to a device while it lasts."""

    def __init__(self, connection):
        self.connection = connection
        self.peer = Peer(connection)
        self.ended = asyncio.get_running_loop().create_future()
        self.securing = asyncio.Lock()

    async def until_it_ends(self, work):
        """The result of `work`; `Failed` as soon as the link ends. bumble cancels, or forgets, what then waits."""
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, self.ended}, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.cancelled():
            return task.result()
        task.cancel()
        raise failure("Failed", "Not connected")


class RemoteDevice(BusObject):
    """A device that was heard: a card."""

    def __init__(self, adapter, address):
        text = address.to_string(with_type_qualifier=False)
        properties = {
            "Address": Variant("s", text),
            "AddressType": Variant("s", "public" if address.is_public else "random"),
            "Alias": Variant("s", text.replace(":", "-")),
            "Adapter": Variant("o", adapter.path),
            "Paired": Variant("b", False),
            "Bonded": Variant("b", False),
            "Trusted": Variant("b", False),
            "Blocked": Variant("b", False),
            "LegacyPairing": Variant("b", False),
            "Connected": Variant("b", False),
            "ServicesResolved": Variant("b", False),
            "UUIDs": Variant("as", []),
        }
        super().__init__(adapter.tree, adapter.path_of(address), {DEVICE: properties})
        self.adapter = adapter
        self.host = adapter.host
        self.address = address
        self.link = None
        self.connecting = asyncio.Lock()
        self.farewell = None
        # Until it is bonded or somebody connects to it, as BlueZ has it.
        self.temporary = True
        self.silence = None

    # -- being heard

    async def appear(self, heard):
        bonded = await self.host.keystore.get(str(self.address)) is not None
        if self.path not in self.tree.objects:
            self.temporary = not bonded
            self.update(DEVICE, Paired=Variant("b", bonded), Bonded=Variant("b", bonded))
            self.heard(heard)
            self.tree.add(self)

    def heard(self, heard):
        news = {"RSSI": Variant("n", heard.rssi)}
        if name := heard.data.get(AdvertisingData.COMPLETE_LOCAL_NAME):
            news["Name"] = news["Alias"] = Variant("s", name)
        if uuids := heard.data.get(AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS):
            news["UUIDs"] = Variant("as", [uuid_text(uuid) for uuid in uuids])
        self.update(DEVICE, **news)
        self.wait_for_silence()

    def wait_for_silence(self):
        if self.silence:
            self.silence.cancel()
        self.silence = asyncio.get_running_loop().call_later(TEMPORARY_S, self.fallen_silent)

    def fallen_silent(self):
        if self.temporary:
            self.tree.remove(self)

    # -- connecting

    @method(DEVICE)
    async def Connect(self, call):
        self.adapter.check_powered()
        self.temporary = False
        async with self.connecting:
            if self.farewell:
                await self.farewell
            if self.link is None:
                await self.connect()

    async def connect(self):
        try:
            connection = await self.host.connect(self.address, timeout=CONNECT_MAX_S)
        except (BaseBumbleError, TimeoutError, asyncio.CancelledError) as error:
            raise failure("Failed", f"le-connection-abort-by-local: {error!r}") from error
        link = self.link = Link(connection)
        connection.on("disconnection", lambda reason: self.link_ended(link, reason))
        self.update(DEVICE, Connected=Variant("b", True))
        self.tree.spawn(self.discover(link))

    async def discover(self, link):
        try:
            found = await link.until_it_ends(self.read_attributes(link))
        except (CallError, BaseBumbleError) as error:
            logging.warning("%s: discovery ended: %s", self.path, error)
            return
        for added in found:
            self.tree.add(added)
        services = [added.get(SERVICE, "UUID") for added in found if isinstance(added, Service)]
        self.update(DEVICE, UUIDs=Variant("as", services))
        # The last of all: clients look at the objects when they see it.
        self.update(DEVICE, ServicesResolved=Variant("b", True))

    async def read_attributes(self, link):
        mtu = await link.peer.request_mtu(self.adapter.att_mtu)
        await link.peer.discover_services()
        await link.peer.discover_characteristics()
        found = []
        for service in link.peer.services:
            shown = Service(self, service)
            found.append(shown)
            for characteristic in service.characteristics:
                below = RemoteCharacteristic(self, link, shown, characteristic, mtu)
                found.append(below)
                for descriptor in await link.peer.discover_descriptors(characteristic):
                    found.append(RemoteDescriptor(self, link, below, descriptor))
        return found

    @method(DEVICE)
    async def Disconnect(self, call):
        await self.disconnect()

    async def disconnect(self):
        if link := self.link:
            with contextlib.suppress(BaseBumbleError):
                await link.connection.disconnect()
        if self.farewell:
            await self.farewell

    def link_ended(self, link, reason):
        """In the order in which clients need it: the errors of pending calls, then the properties, then the objects.

        Measured with Chromium: without an answer a page's promise hangs for good; with the objects removed before
        the answer the browser itself may die.
        """
        logging.info("%s: the link ended, reason %#04x", self.path, reason)
        self.link = None
        if not link.ended.done():
            link.ended.set_result(None)
        self.farewell = self.tree.spawn(self.say_farewell())

    async def say_farewell(self):
        await asyncio.sleep(FAREWELL_S)
        self.update(DEVICE, Connected=Variant("b", False), ServicesResolved=Variant("b", False))
        for service in self.tree.below(self.path):
            if isinstance(service, Service):
                self.tree.remove(service)
        self.farewell = None

    # -- pairing

    @method(DEVICE)
    async def Pair(self, call):
        await self.Connect(call)
        if self.link is None:
            raise failure("Failed", "Not connected")
        await self.secure(self.link)

    @method(DEVICE)
    async def CancelPairing(self, call):
        raise failure("DoesNotExist")

    async def secure(self, link):
        """Encrypts the link: with the bond, or by pairing where there is none."""
        async with link.securing:
            if not link.connection.is_encrypted:
                await link.until_it_ends(self.encrypt_or_pair(link.connection))

    async def encrypt_or_pair(self, connection):
        try:
            # The key store itself: Device.get_long_term_key() stumbles over the session of a failed pairing.
            if await self.host.keystore.get(str(connection.peer_address)) is not None:
                await asyncio.wait_for(connection.encrypt(), ENCRYPT_MAX_S)
                return
            await asyncio.wait_for(connection.pair(), PAIR_MAX_S)
        except (BaseBumbleError, TimeoutError) as error:
            self.host.smp_manager.sessions.pop(connection.handle, None)
            raise failure("AuthenticationFailed", str(error)) from error
        self.update(DEVICE, Paired=Variant("b", True), Bonded=Variant("b", True))
