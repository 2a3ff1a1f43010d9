"""Recharge data from docs/protocols/token.md alone: keys, tokens, receipts, statuses, records.

Nothing here comes from the product; `self_test` holds it to the published vectors before it judges anybody.
"""

import dataclasses
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

VERSION = 1
TOTAL, PRICES, KEY_CHANGE = 0x01, 0x10, 0x14
ASK, RECEIPT, STATUS, RECORD = 0x40, 0x81, 0xC0, 0xC1
APPLIED, DUPLICATE, INSUFFICIENT, OUT_OF_RANGE = range(4)
UNITS = {"fen": 1, "centi_cubic_metre": 2}
HEAD, TAG, RECORD_TAG = 10, 16, 8
PURPOSES = ("TOKEN", "RECPT", "STATE", "HISTY", "KWRAP")


class Refused(Exception):
    """A message of the meter that does not hold."""


def cipher(key, block):
    """One block of AES."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def cmac(key, data):
    tag = CMAC(algorithms.AES(key))
    tag.update(data)
    return tag.finalize()


@dataclasses.dataclass
class State:
    """What receipts and statuses say of the meter."""

    last_seq: int
    last_tag: bytes
    total: int
    keypad: int
    balance: int
    volume: int
    time: int
    flags: int


@dataclasses.dataclass
class Meter:
    """The utility's view of one meter of one key generation: seals for it, verifies what it says."""

    number: bytes
    generation: int
    unit: int
    key: bytes

    def __post_init__(self):
        self.keys = {x: cipher(self.key, b"PILOTLIGHT." + x.encode()) for x in PURPOSES}

    def head(self, kind):
        return bytes([VERSION, kind, self.generation]) + self.number

    def seal(self, body):
        return body + cmac(self.keys["TOKEN"], body)

    # -- for the meter

    def token(self, seq, total, amount, ref, tid_floor=6_781_470, tariff=1, issued=1_795_422_615, **other):
        """A total token."""
        body = self.head(TOTAL) + struct.pack(">IBIi", seq, other.get("unit", self.unit), total, amount)
        return self.seal(body + tid_floor.to_bytes(3) + struct.pack(">HI8s", tariff, issued, ref))

    def setting(self, kind, version, body):
        return self.seal(self.head(kind) + struct.pack(">HB", version, len(body)) + body)

    def key_change(self, version, generation, key):
        return self.setting(KEY_CHANGE, version, bytes([generation]) + aes_key_wrap(self.keys["KWRAP"], key))

    def ask(self, nonce):
        return self.head(ASK) + nonce

    # -- from the meter

    def opened(self, message, kind, size, purpose, tag_size=TAG, bound=b""):
        """The body of a message whose length, head and tag hold."""
        if len(message) != size or message[:HEAD] != self.head(kind):
            raise Refused(f"not a message {kind:02x} of {size} bytes for this meter: {message.hex()}")
        signed, tag = message[:-tag_size], message[-tag_size:]
        if cmac(self.keys[purpose], signed + bound)[:tag_size] != tag:
            raise Refused(f"wrong tag: {message.hex()}")
        return signed[HEAD:]

    def receipt(self, message, command):
        """A receipt's result, the type it answers and the state, if it answers this command."""
        body = self.opened(message, RECEIPT, 58, "RECPT", bound=command[-TAG:])
        return body[0], body[1], State(*struct.unpack(">I4sIIiIIH", body[2:]))

    def status(self, message):
        """A status' nonce, the state, the battery and the settings' versions."""
        body = self.opened(message, STATUS, 75, "STATE")
        battery, *settings = struct.unpack(">B5H", body[38:])
        return body[:8], State(*struct.unpack(">I4sIIiIIH", body[8:38])), battery, settings

    def record(self, message):
        """A record's number, time, volume, balance and flags."""
        return struct.unpack(">IIIiH", self.opened(message, RECORD, 36, "HISTY", RECORD_TAG))


def self_test(vectors, check):
    """Whether this module agrees with vectors/token.json and with RFC 4493."""
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    check("AES-CMAC of nothing is that of RFC 4493", cmac(key, b"").hex() == "bb1d6929e95937287fa37d129b756746")
    keys = vectors["keys"]
    number, generation = bytes.fromhex(keys["meter"]), keys["generation"]
    own = cipher(bytes.fromhex(keys["master_hex"]), number + bytes([generation]) + b"PLMETER1")
    check("K_meter is that of the vectors", own.hex() == keys["meter_key_hex"], own.hex())
    meter = Meter(number, generation, 1, own)
    derived = {x: meter.keys[x].hex() == keys[f"{x.lower()}_hex"] for x in PURPOSES}
    check("the keys for each purpose are those of the vectors", all(derived.values()), derived)
    for one in vectors["total"]:
        names = ("seq", "total", "amount", "tid_floor", "tariff", "issued", "unit")
        made = meter.token(ref=bytes.fromhex(one["ref_hex"]), **{name: one[name] for name in names})
        check(f"vector total: {one['name']}", made.hex() == one["hex"], made.hex())
    change = bytes.fromhex(vectors["setting"][1]["hex"])
    new_key = cipher(bytes(range(16, 32)), number + bytes([2]) + b"PLMETER1")
    made = meter.key_change(int.from_bytes(change[10:12]), 2, new_key)
    check("vector setting: key change", made == change, made.hex())
    ask = meter.ask(bytes.fromhex(vectors["ask"]["nonce_hex"]))
    check("vector ask", ask.hex() == vectors["ask"]["hex"], ask.hex())
    credit, debit = (bytes.fromhex(one["hex"]) for one in vectors["total"][:2])
    for one, command in zip(vectors["receipt"], (credit, credit, debit), strict=True):
        opens(check, f"vector receipt: {one['name']}", meter.receipt, bytes.fromhex(one["hex"]), command)
    for one in vectors["status"]:
        opens(check, f"vector status: {one['name']}", meter.status, bytes.fromhex(one["hex"]))
    for one in vectors["record"]:
        opens(check, f"vector record: {one['name']}", meter.record, bytes.fromhex(one["hex"]))


def opens(check, name, verify, message, *command):
    """It opens, and not with its last bit flipped."""
    try:
        verify(message, *command)
    except Refused as fault:
        check(name, False, fault)
        return
    try:
        verify(message[:-1] + bytes([message[-1] ^ 1]), *command)
    except Refused:
        check(name, True)
    else:
        check(f"{name}, a bit flipped", False, "it opened")
