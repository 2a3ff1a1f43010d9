"""BlueZ for a browser, without radio hardware: the service org.bluez on a D-Bus bus, its radio a host of radio.py.

    python testbed/bluez --hci HOST:PORT --bus unix:path=SOCKET [--bonds FILE] [--att-mtu 517]

A browser's own Bluetooth stack finds here what it uses of BlueZ, and below is bumble's host stack: real GAP, SMP,
ATT and GATT over HCI H4. Prints `READY bus=ADDRESS`; ends on SIGTERM, and fails when its radio or its bus ends.

SIGUSR1 switches the adapter off, as a person does in the settings; SIGUSR2 switches it on again. Bonds are kept in
FILE. Pairing is Just Works: the card has neither display nor keys, so nobody is asked.

What a browser can tell apart from BlueZ is the same: names of errors, and the order of what happens when a link
ends (see `RemoteDevice.link_ended`). A device that falls silent is forgotten after 30 s, unless it is bonded or
somebody connected to it.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys

from adapter import Adapter, Root
from bumble.device import Device
from bumble.hci import Address
from bumble.keys import JsonKeyStore, MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from dbus_fast.aio import MessageBus
from objects import ObjectTree

SERVICE_NAME = "org.bluez"
ADDRESS = "F0:F1:F2:F3:F4:F5"
ATT_MTU_MAX = 517  # Bluetooth Core, Vol 3 Part F, 3.2.9: values of 512 bytes, and what BlueZ asks for


def pairing_config(_connection):
    return PairingConfig(
        sc=True,
        mitm=False,
        bonding=True,
        delegate=PairingDelegate(PairingDelegate.IoCapability.NO_OUTPUT_NO_INPUT),
        identity_address_type=PairingConfig.AddressType.RANDOM,
    )


async def switch_on(transport, bonds):
    host = Device.with_hci("testbed", Address(ADDRESS), transport.source, transport.sink)
    host.classic_enabled = False
    await host.power_on()
    host.keystore = JsonKeyStore("testbed", bonds) if bonds else MemoryKeyStore()
    host.pairing_config_factory = pairing_config
    return host


async def main():
    arguments = argparse.ArgumentParser(description="BlueZ for a browser, on the virtual radio.")
    arguments.add_argument("--hci", required=True, help="HOST:PORT of the radio for hosts")
    arguments.add_argument("--bus", required=True, help="address of the D-Bus bus, unix:path=SOCKET")
    arguments.add_argument("--bonds", help="file in which bonds are kept; without it they end with the program")
    arguments.add_argument("--att-mtu", type=int, default=ATT_MTU_MAX, help="what is asked of a device")
    chosen = arguments.parse_args()

    transport = await open_transport(f"tcp-client:{chosen.hci}")
    host = await switch_on(transport, chosen.bonds)
    bus = await MessageBus(bus_address=chosen.bus).connect()
    tree = ObjectTree(bus)
    await tree.start()
    adapter = Adapter(tree, host, chosen.att_mtu)
    tree.add(Root(tree))
    tree.add(adapter)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)  # links need no farewell: they end as if out of reach
    loop.add_signal_handler(signal.SIGUSR1, lambda: tree.spawn(adapter.power(False)))
    loop.add_signal_handler(signal.SIGUSR2, lambda: tree.spawn(adapter.power(True)))
    await bus.request_name(SERVICE_NAME)
    print(f"READY bus={chosen.bus}", flush=True)

    bus_ended = asyncio.ensure_future(bus.wait_for_disconnect())
    await asyncio.wait({bus_ended, transport.source.terminated}, return_when=asyncio.FIRST_COMPLETED)
    print("the bus ended" if bus_ended.done() else "the radio ended", file=sys.stderr, flush=True)
    os._exit(1)


if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("BLUEZ_LOG", "WARNING"), format="%(message)s")
    asyncio.run(main())
