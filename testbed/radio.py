"""A virtual Bluetooth LE radio: every TCP client is a host with a controller of its own (HCI H4), all on one air.

    python testbed/radio.py [--hci PORT] [--faults PORT]

Port 0 (the default) takes a free one. Prints `READY hci=PORT faults=PORT` once both are open; ends on SIGTERM.

The fault port takes one JSON object per line and answers each with one:

    {"op": "set", "interval_ms": 30, "per_event": 6}   pace: a PDU waits for the next connection event, which carries
                                                        at most per_event data PDUs a direction (0: unpaced)
    {"op": "set", "drop_after": 5}                      cut the link instead of carrying the 6th ACL PDU from now
    {"op": "set", "blackhole": true}                    carry nothing; links end after their supervision timeout
    {"op": "set", "supervision_ms": 1000}               supervision timeout for blackhole and dead hosts; 0: as negotiated
    {"op": "cut_on", "att": 18, "skip": 0, "deliver": false}   cut at the (skip+1)-th ATT PDU with this opcode
                                                        (0x12 write request, 0x13 write response, 0x1d indication), before
                                                        or after it is carried
    {"op": "kill", "reason": 8}                         end every link now; both ends see the reason
    {"op": "stat"}, {"op": "reset"}

The controllers are bumble's. What is changed here makes them behave as real ones do: fragmentation of ACL data,
advertising intervals, scan responses, link parameters, supervision timeouts, and an answer to every command (an
unanswered one hangs a host stack).
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket

from bumble import hci, ll
from bumble.controller import Controller, LegacyAdvertiser
from bumble.core import PhysicalTransport
from bumble.link import LocalLink
from bumble.transport.common import PacketParser

CONNECTION_TIMEOUT = 0x08  # Bluetooth Core, Vol 1 Part F, 2.7
ACL_BYTES_MAX = 251
ADVERTISING_UNIT_S = 0.000625
ADVERTISING_MIN_S = 0.02
ADV_IND_REPORT, SCAN_RSP_REPORT = 0, 4
EXTENDED_ADV_IND, EXTENDED_SCAN_RSP = 0x13, 0x1B
ATT_CHANNEL = b"\4\0"


def loop():
    return asyncio.get_running_loop()


class Air(LocalLink):
    """What all controllers share. Carries, paces, cuts."""

    SETTINGS = ("interval_ms", "per_event", "drop_after", "blackhole", "supervision_ms")

    def __init__(self):
        super().__init__()
        self.carried = 0
        self.waiting = {}
        self.reset()

    def reset(self):
        self.interval_ms = 0
        self.per_event = 6
        self.drop_after = None
        self.blackhole = False
        self.supervision_ms = 1000
        self.cut = None

    # -- data

    def send_acl_data(self, sender, dest, transport, data):
        self.carried += 1
        if self.blackhole or self.is_dropped() or self.is_cut(sender, dest, data):
            return
        if not self.interval_ms:
            self.carry(sender, dest, data)
            return
        self.wait(sender, self.carry, sender, dest, data)

    def wait(self, sender, carry, *what):
        waiting = self.waiting.setdefault(sender, [])
        waiting.append((carry, what))
        if len(waiting) == 1:
            self.at_next_event(sender)

    def at_next_event(self, sender):
        # One clock for all: what is sent upon what an event has brought waits a whole interval.
        now, interval = loop().time(), self.interval_ms / 1000
        loop().call_at((now // interval + 1) * interval if interval else now, self.connection_event, sender)

    def is_dropped(self):
        if self.drop_after is None:
            return False
        self.drop_after -= 1
        if self.drop_after >= 0:
            return False
        self.drop_after = None
        self.kill(CONNECTION_TIMEOUT)
        return True

    def is_cut(self, sender, dest, data):
        """Cuts at the PDU that `cut_on` named. The first ACL fragment of a PDU holds its opcode."""
        if not self.cut or len(data) <= 4 or data[2:4] != ATT_CHANNEL or data[4] != self.cut["att"]:
            return False
        if self.cut["skip"] > 0:
            self.cut["skip"] -= 1
            return False
        deliver, self.cut = self.cut["deliver"], None
        if deliver:
            self.carry(sender, dest, data)
        loop().call_soon(self.kill, CONNECTION_TIMEOUT)
        return True

    def carry(self, sender, dest, data):
        # From the address of THIS connection: the host's own random address may have changed since.
        connection, receiver = sender.le_connections.get(dest), self.find_le_controller(dest)
        if connection and receiver:
            loop().call_soon(receiver.on_link_acl_data, connection.self_address, PhysicalTransport.LE, data)

    def connection_event(self, sender):
        waiting = self.waiting.get(sender, [])
        for _ in range(min(self.per_event, len(waiting))):
            carry, what = waiting.pop(0)
            carry(*what)
        if waiting:
            self.at_next_event(sender)

    def send_ll_control_pdu(self, sender_address, receiver_address, packet):
        if self.blackhole:
            return
        sender = self.find_le_controller(sender_address)
        if self.interval_ms and sender:
            self.wait(sender, self.carry_control, sender_address, receiver_address, packet)
        else:
            self.carry_control(sender_address, receiver_address, packet)

    def carry_control(self, sender_address, receiver_address, packet):
        try:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)
        except Exception as error:  # the peer has gone: as on air, nobody hears it
            logging.info("control PDU lost: %s", error)

    def send_advertising_pdu(self, sender, packet):
        if not self.blackhole:
            super().send_advertising_pdu(sender, packet)

    # -- ends of links

    def kill(self, reason):
        ended = 0
        for controller in list(self.controllers):
            for connection in list(controller.le_connections.values()):
                controller.on_le_disconnected(connection, reason)
                ended += 1
        self.waiting.clear()
        return ended

    def supervision_s(self, connection):
        return (self.supervision_ms or getattr(connection, "supervision", 100) * 10) / 1000

    def start_blackhole(self):
        for controller in list(self.controllers):
            for connection in list(controller.le_connections.values()):
                loop().call_later(self.supervision_s(connection), self.end_in_blackhole, controller, connection)

    def end_in_blackhole(self, controller, connection):
        if self.blackhole:
            controller.on_le_disconnected(connection, CONNECTION_TIMEOUT)

    def host_gone(self, controller):
        """The host's process died: its radio falls silent, the peers find out by supervision timeout."""
        for connection in list(controller.le_connections.values()):
            for other in self.controllers:
                peer = other.le_connections.get(connection.self_address) if other is not controller else None
                if peer:
                    loop().call_later(self.supervision_s(peer), other.on_le_disconnected, peer, CONNECTION_TIMEOUT)
        self.controllers.discard(controller)


class Advertiser(LegacyAdvertiser):
    """Legacy advertising with the interval in its own unit, and with a scan response."""

    def _on_timer_fired(self):
        self.send_advertising_data()
        interval = max(self.advertising_interval_min * ADVERTISING_UNIT_S, ADVERTISING_MIN_S)
        self.timer_handle = loop().call_later(interval, self._on_timer_fired)

    def send_advertising_data(self):
        kinds = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType
        if self.enabled and self.advertising_type in (kinds.ADV_IND, kinds.ADV_SCAN_IND):
            pdu = ll.AdvInd(advertiser_address=self.address, data=self.advertising_data)
            pdu.scan_response = bytes(self.scan_response_data)  # a passive scanner ignores it
            self.controller.send_advertising_pdu(pdu)
        else:
            super().send_advertising_data()


class RadioController(Controller):
    le_acl_data_packet_length = ACL_BYTES_MAX
    total_num_le_acl_data_packets = 8
    supported_max_tx_octets = supported_max_rx_octets = suggested_max_tx_octets = ACL_BYTES_MAX
    connect_ind = None
    le_scan_type = 1
    scans_with_legacy_commands = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.le_legacy_advertiser = Advertiser(self)

    # -- link parameters: those asked for, on both sides

    def on_le_connect_ind(self, packet):
        self.connect_ind = packet
        super().on_le_connect_ind(packet)
        if connection := self.le_connections.get(packet.initiator_address):
            connection.supervision = packet.timeout

    def create_le_connection(self, peer_address):
        pending = self.pending_le_connection
        super().create_le_connection(peer_address)
        if connection := self.le_connections.get(peer_address):
            several = getattr(pending, "supervision_timeouts", None)
            connection.supervision = several[0] if several else pending.supervision_timeout

    def send_hci_packet(self, packet):
        asked = self.connect_ind
        if isinstance(packet, hci.HCI_LE_Connection_Complete_Event) and packet.role == hci.Role.PERIPHERAL and asked:
            packet = hci.HCI_LE_Connection_Complete_Event(
                status=packet.status,
                connection_handle=packet.connection_handle,
                role=packet.role,
                peer_address_type=packet.peer_address_type,
                peer_address=packet.peer_address,
                connection_interval=asked.interval,
                peripheral_latency=asked.latency,
                supervision_timeout=asked.timeout,
                central_clock_accuracy=0,
            )
        super().send_hci_packet(packet)

    def on_le_disconnected(self, connection, reason):
        # Late timers and double ends are harmless.
        if self.le_connections.get(connection.peer_address) is connection:
            super().on_le_disconnected(connection, reason)

    def on_hci_le_create_connection_cancel_command(self, command):
        """Cancels for real: the host learns that its attempt has ended (Vol 4 Part E, 7.8.13)."""
        if not self.pending_le_connection:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        cancelled, self.pending_le_connection = self.pending_le_connection, None
        loop().call_soon(
            self.send_hci_packet,
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=cancelled.peer_address_type,
                peer_address=cancelled.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            ),
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    # -- data to the host in pieces, as a real controller gives them

    def on_link_acl_data(self, sender_address, transport, data):
        if connection := self.le_connections.get(sender_address):
            for start in range(0, len(data), ACL_BYTES_MAX):
                piece = data[start : start + ACL_BYTES_MAX]
                boundary = 1 if start else 2
                self.send_hci_packet(hci.HCI_AclDataPacket(connection.handle, boundary, 0, len(piece), piece))

    # -- commands: every one is answered

    def on_hci_le_remove_device_from_resolving_list_command(self, _command):
        return hci.HCI_StatusReturnParameters(status=hci.HCI_ErrorCode.SUCCESS)

    def on_hci_command_packet(self, command):
        if isinstance(command, hci.HCI_SyncCommand):
            super().on_hci_command_packet(command)
            return
        answer = getattr(self, f"on_{command.name.lower()}", self.on_hci_command)(command)
        if answer is not None:
            self.send_hci_packet(
                hci.HCI_Command_Complete_Event(
                    num_hci_command_packets=1, command_opcode=command.op_code, return_parameters=answer
                )
            )

    # -- scanning: legacy reports for hosts that scan with legacy commands; scan responses only when active

    def on_hci_le_set_scan_enable_command(self, command):
        self.scans_with_legacy_commands = True
        return super().on_hci_le_set_scan_enable_command(command)

    def on_hci_le_set_extended_scan_parameters_command(self, command):
        self.le_scan_type = command.scan_types[0]
        return super().on_hci_le_set_extended_scan_parameters_command(command)

    def on_hci_le_set_extended_scan_enable_command(self, command):
        self.scans_with_legacy_commands = False
        return super().on_hci_le_set_extended_scan_enable_command(command)

    def on_advertising_pdu(self, pdu):
        scan_response = getattr(pdu, "scan_response", None)
        if scan_response is None:
            super().on_advertising_pdu(pdu)
            return
        if self.le_scan_enable:
            self.report(pdu.advertiser_address, ADV_IND_REPORT, pdu.data)
            if self.le_scan_type == 1:
                self.report(pdu.advertiser_address, SCAN_RSP_REPORT, scan_response)
        pending = self.pending_le_connection
        if pending and pending.peer_address == pdu.advertiser_address:
            self.create_le_connection(pdu.advertiser_address)

    def report(self, address, kind, data):
        if self.scans_with_legacy_commands:
            report = hci.HCI_LE_Advertising_Report_Event.Report(
                event_type=kind, address_type=address.address_type, address=address, data=data, rssi=-50
            )
            self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))
            return
        report = hci.HCI_LE_Extended_Advertising_Report_Event.Report(
            event_type=EXTENDED_SCAN_RSP if kind == SCAN_RSP_REPORT else EXTENDED_ADV_IND,
            address_type=address.address_type,
            address=address,
            primary_phy=1,
            secondary_phy=0,
            advertising_sid=0xFF,
            tx_power=0x7F,
            rssi=-50,
            periodic_advertising_interval=0,
            direct_address_type=0,
            direct_address=hci.Address.ANY,
            data=data,
        )
        self.send_hci_packet(hci.HCI_LE_Extended_Advertising_Report_Event([report]))


class HostSink:
    """Where a controller's packets for its host go."""

    def __init__(self, writer):
        self.writer = writer

    def on_packet(self, packet):
        if not self.writer.is_closing():
            self.writer.write(packet)


class Radio:
    def __init__(self):
        self.air = Air()
        self.hosts = 0

    async def serve_host(self, reader, writer):
        self.hosts += 1
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = f"00:16:A4:00:{self.hosts >> 8 & 0xFF:02X}:{self.hosts & 0xFF:02X}"
        controller = RadioController(
            f"C{self.hosts}", host_sink=HostSink(writer), link=self.air, public_address=address
        )
        parser = PacketParser(controller)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                parser.feed_data(data)
        controller.le_legacy_advertiser.stop()
        for advertising_set in controller.advertising_sets.values():
            advertising_set.stop()
        self.air.host_gone(controller)
        writer.close()

    async def serve_faults(self, reader, writer):
        while line := await reader.readline():
            try:
                answer = {"ok": True, **self.fault(json.loads(line))}
            except Exception as error:
                answer = {"ok": False, "error": repr(error)}
            writer.write((json.dumps(answer) + "\n").encode())
        writer.close()

    def fault(self, request):
        operation = request.pop("op")
        if operation == "kill":
            return {"killed": self.air.kill(request.get("reason", CONNECTION_TIMEOUT))}
        if operation == "set":
            unknown = [name for name in request if name not in Air.SETTINGS]
            if unknown:
                raise ValueError(f"no such setting: {unknown}")
            for name, value in request.items():
                setattr(self.air, name, value)
            if request.get("blackhole"):
                self.air.start_blackhole()
            return {}
        if operation == "cut_on":
            self.air.cut = {
                "att": request["att"],
                "skip": request.get("skip", 0),
                "deliver": request.get("deliver", False),
            }
            return {}
        if operation == "reset":
            self.air.reset()
            return {}
        if operation == "stat":
            links = sum(len(controller.le_connections) for controller in self.air.controllers)
            return {
                "carried": self.air.carried,
                "controllers": len(self.air.controllers),
                "links": links,
                "cut": self.air.cut,
                "drop_after": self.air.drop_after,
            }
        raise ValueError(f"no such operation: {operation}")


async def main():
    arguments = argparse.ArgumentParser(description="A virtual Bluetooth LE radio.")
    arguments.add_argument("--hci", type=int, default=0, help="port for hosts (HCI H4), 0: a free one")
    arguments.add_argument("--faults", type=int, default=0, help="port for faults (JSON lines), 0: a free one")
    chosen = arguments.parse_args()
    radio = Radio()
    hosts = await asyncio.start_server(radio.serve_host, "127.0.0.1", chosen.hci)
    faults = await asyncio.start_server(radio.serve_faults, "127.0.0.1", chosen.faults)
    hci_port, fault_port = (server.sockets[0].getsockname()[1] for server in (hosts, faults))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop().add_signal_handler(number, stop.set)
    print(f"READY hci={hci_port} faults={fault_port}", flush=True)
    await stop.wait()
    os._exit(0)  # links and timers need no farewell


if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("RADIO_LOG", "ERROR"))
    asyncio.run(main())
