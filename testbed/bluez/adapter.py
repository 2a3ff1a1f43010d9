"""The root of BlueZ's objects and its one adapter."""

import asyncio
import contextlib

from dbus_fast import Variant
from device import RemoteDevice
from objects import BusObject, failure, method

AGENT_MANAGER, ADAPTER = "org.bluez.AgentManager1", "org.bluez.Adapter1"
ROOT, ADAPTER_PATH = "/org/bluez", "/org/bluez/hci0"


class Root(BusObject):
    """Takes pairing agents, and asks none."""

    def __init__(self, tree):
        super().__init__(tree, ROOT, {AGENT_MANAGER: {}})

    @method(AGENT_MANAGER)
    async def RegisterAgent(self, call):
        pass

    @method(AGENT_MANAGER)
    async def RequestDefaultAgent(self, call):
        pass

    @method(AGENT_MANAGER)
    async def UnregisterAgent(self, call):
        pass


class Adapter(BusObject):
    """The one adapter: finds devices for as long as a client wants it to."""

    def __init__(self, tree, host, att_mtu):
        properties = {
            "Address": Variant("s", host.random_address.to_string(with_type_qualifier=False)),
            "AddressType": Variant("s", "random"),
            "Name": Variant("s", "testbed"),
            "Alias": Variant("s", "testbed"),
            "Class": Variant("u", 0),
            "Powered": Variant("b", True),
            "PowerState": Variant("s", "on"),
            "Discoverable": Variant("b", False),
            "DiscoverableTimeout": Variant("u", 0),
            "Pairable": Variant("b", True),
            "PairableTimeout": Variant("u", 0),
            "Discovering": Variant("b", False),
            "UUIDs": Variant("as", []),
            "Modalias": Variant("s", "usb:v1D6Bp0246d0542"),
            "Roles": Variant("as", ["central"]),
        }
        super().__init__(tree, ADAPTER_PATH, {ADAPTER: properties})
        self.host = host
        self.att_mtu = att_mtu
        self.scanners = set()
        # One change of scanning or power at a time: each takes several HCI commands.
        self.changing = asyncio.Lock()
        host.on("advertisement", self.on_advertisement)

    # -- discovery

    @method(ADAPTER)
    async def SetDiscoveryFilter(self, call):
        """Everything on this air is LE, and a client looks at the UUIDs itself."""

    @method(ADAPTER)
    async def StartDiscovery(self, call):
        self.check_powered()
        self.scanners.add(call.sender)
        await self.scan_as_wanted()

    @method(ADAPTER)
    async def StopDiscovery(self, call):
        self.scanners.discard(call.sender)
        await self.scan_as_wanted()

    def client_gone(self, client):
        if client in self.scanners:
            self.scanners.discard(client)
            self.tree.spawn(self.scan_as_wanted())

    async def scan_as_wanted(self):
        async with self.changing:
            wanted = bool(self.scanners)
            if wanted == self.get(ADAPTER, "Discovering"):
                return
            if wanted:
                await self.host.start_scanning(active=True)
            else:
                await self.host.stop_scanning()
            self.update(ADAPTER, Discovering=Variant("b", wanted))

    def on_advertisement(self, heard):
        device = self.tree.objects.get(self.path_of(heard.address))
        if device is None:
            device = RemoteDevice(self, heard.address)
            self.tree.spawn(device.appear(heard))
        else:
            device.heard(heard)

    def path_of(self, address):
        return f"{self.path}/dev_{address.to_string(with_type_qualifier=False).replace(':', '_')}"

    @method(ADAPTER)
    async def RemoveDevice(self, call):
        device = self.tree.objects.get(call.body[0])
        if not isinstance(device, RemoteDevice):
            raise failure("DoesNotExist")
        await device.disconnect()
        with contextlib.suppress(KeyError):
            await self.host.keystore.delete(str(device.address))
        self.tree.remove(device)

    # -- power

    def check_powered(self):
        if not self.get(ADAPTER, "Powered"):
            raise failure("NotReady", "Resource Not Ready")

    async def power(self, on):
        if not on:
            self.scanners.clear()
            await self.scan_as_wanted()
            for device in self.tree.below(self.path):
                if isinstance(device, RemoteDevice):
                    await device.disconnect()
        self.update(ADAPTER, Powered=Variant("b", on), PowerState=Variant("s", "on" if on else "off"))
