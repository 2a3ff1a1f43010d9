"""What a connected device offers: its services, characteristics and descriptors."""

import contextlib

from bumble import att
from bumble.core import ProtocolError
from bumble.gatt import Characteristic
from dbus_fast import Variant
from objects import BusObject, CallError, failure, method

SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
DESCRIPTOR = "org.bluez.GattDescriptor1"

ATT_NEEDS_ENCRYPTION = (0x05, 0x0F)
ATT_ERRORS = {  # BlueZ, src/gatt-client.c: create_gatt_dbus_error
    0x02: ("NotPermitted", "Read not permitted"),
    0x03: ("NotPermitted", "Write not permitted"),
    0x05: ("NotPermitted", "Not paired"),
    0x06: ("NotSupported", "Operation is not supported"),
    0x07: ("InvalidOffset", "Invalid offset"),
    0x08: ("NotAuthorized", "Insufficient authorization"),
    0x0C: ("NotPermitted", "Not paired"),
    0x0D: ("InvalidValueLength", "Invalid Length"),
    0x0F: ("NotPermitted", "Not paired"),
}
FLAGS = {
    Characteristic.Properties.BROADCAST: "broadcast",
    Characteristic.Properties.READ: "read",
    Characteristic.Properties.WRITE_WITHOUT_RESPONSE: "write-without-response",
    Characteristic.Properties.WRITE: "write",
    Characteristic.Properties.NOTIFY: "notify",
    Characteristic.Properties.INDICATE: "indicate",
    Characteristic.Properties.AUTHENTICATED_SIGNED_WRITES: "authenticated-signed-writes",
    Characteristic.Properties.EXTENDED_PROPERTIES: "extended-properties",
}


def uuid_text(uuid):
    """All 128 bits in lower case, as BlueZ writes every UUID."""
    digits = uuid.to_bytes(force_128=True)[::-1].hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Service(BusObject):
    def __init__(self, device, service):
        properties = {
            "UUID": Variant("s", uuid_text(service.uuid)),
            "Device": Variant("o", device.path),
            "Primary": Variant("b", True),
            "Includes": Variant("ao", []),
        }
        super().__init__(device.tree, f"{device.path}/service{service.handle:04x}", {SERVICE: properties})


class Attribute(BusObject):
    """What has a value on the device."""

    def __init__(self, device, link, path, interface, properties, proxy):
        super().__init__(device.tree, path, {interface: properties})
        self.device = device
        self.link = link
        self.interface = interface
        self.proxy = proxy

    async def perform(self, operation):
        """An ATT operation. Where the device wants a safer link, BlueZ pairs by itself and asks again."""
        try:
            return await self.link.until_it_ends(operation())
        except ProtocolError as error:
            if error.error_code not in ATT_NEEDS_ENCRYPTION:
                raise att_failure(error) from error
        try:
            await self.device.secure(self.link)
            return await self.link.until_it_ends(operation())
        except ProtocolError as error:
            raise att_failure(error) from error
        except CallError as error:
            if error.name.endswith("AuthenticationFailed"):
                raise failure("NotPermitted", "Not paired") from error
            raise

    async def read(self):
        value = bytes(await self.perform(lambda: self.link.peer.gatt_client.read_value(self.proxy)))
        self.update(self.interface, Value=Variant("ay", value))
        return value

    async def write(self, value, kind):
        if kind == "command":
            await self.perform(lambda: self.link.peer.gatt_client.write_value(self.proxy, value))
        elif len(value) <= self.link.connection.att_mtu - 3:
            await self.perform(lambda: self.link.peer.gatt_client.write_value(self.proxy, value, with_response=True))
        else:
            await self.perform(lambda: self.write_long(value))

    async def write_long(self, value):
        """Prepare and execute, as BlueZ does with what does not fit one write request."""
        part = self.link.connection.att_mtu - 5
        handle = self.proxy.handle
        for offset in range(0, len(value), part):
            await self.request(
                att.ATT_Prepare_Write_Request(
                    attribute_handle=handle,
                    value_offset=offset,
                    part_attribute_value=value[offset : offset + part],
                )
            )
        await self.request(att.ATT_Execute_Write_Request(flags=1))

    async def request(self, pdu):
        answer = await self.link.peer.gatt_client.send_request(pdu)
        if answer.op_code == att.Opcode.ATT_ERROR_RESPONSE:
            raise att.ATT_Error(answer.error_code)


def att_failure(error):
    unnamed = ("Failed", f"Operation failed with ATT error: 0x{error.error_code:02x}")
    return failure(*ATT_ERRORS.get(error.error_code, unnamed))


class RemoteCharacteristic(Attribute):
    def __init__(self, device, link, service, proxy, mtu):
        properties = {
            "UUID": Variant("s", uuid_text(proxy.uuid)),
            "Service": Variant("o", service.path),
            "Value": Variant("ay", b""),
            "Notifying": Variant("b", False),
            "Flags": Variant("as", [name for flag, name in FLAGS.items() if proxy.properties & flag]),
            "MTU": Variant("q", mtu),
        }
        path = f"{service.path}/char{proxy.handle:04x}"
        super().__init__(device, link, path, CHARACTERISTIC, properties, proxy)
        self.listeners = set()

    @method(CHARACTERISTIC, "ay")
    async def ReadValue(self, call):
        return await self.read()

    @method(CHARACTERISTIC)
    async def WriteValue(self, call):
        value, options = call.body
        await self.write(bytes(value), options["type"].value if "type" in options else "request")

    @method(CHARACTERISTIC)
    async def StartNotify(self, call):
        if not self.listeners:
            await self.perform(lambda: self.link.peer.subscribe(self.proxy, self.notified))
        self.listeners.add(call.sender)
        self.update(CHARACTERISTIC, Notifying=Variant("b", True))

    @method(CHARACTERISTIC)
    async def StopNotify(self, call):
        await self.stop_notify(call.sender)

    async def stop_notify(self, client):
        self.listeners.discard(client)
        if not self.listeners and self.get(CHARACTERISTIC, "Notifying"):
            self.update(CHARACTERISTIC, Notifying=Variant("b", False))
            await self.perform(lambda: self.link.peer.unsubscribe(self.proxy, self.notified))

    def notified(self, value):
        self.update(CHARACTERISTIC, Value=Variant("ay", bytes(value)))

    def client_gone(self, client):
        if client in self.listeners:
            self.tree.spawn(self.leave_alone(client))

    async def leave_alone(self, client):
        with contextlib.suppress(CallError):
            await self.stop_notify(client)


class RemoteDescriptor(Attribute):
    def __init__(self, device, link, characteristic, proxy):
        properties = {
            "UUID": Variant("s", uuid_text(proxy.type)),
            "Characteristic": Variant("o", characteristic.path),
            "Value": Variant("ay", b""),
        }
        path = f"{characteristic.path}/desc{proxy.handle:04x}"
        super().__init__(device, link, path, DESCRIPTOR, properties, proxy)

    @method(DESCRIPTOR, "ay")
    async def ReadValue(self, call):
        return await self.read()

    @method(DESCRIPTOR)
    async def WriteValue(self, call):
        await self.write(bytes(call.body[0]), "request")
