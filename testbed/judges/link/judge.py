"""Judges the card and the meter with a phone that was written from docs/protocols/link.md and token.md alone.

Host and GATT client are bumble's, the cryptography is PyPI `cryptography`'s; nothing of the product is used. Starts
nothing itself: the radio (testbed/radio.py), the meter and the card run already, the meter's time at speed 0.

    python judge.py --hci PORT --faults PORT --provision FILE --meter-control SOCKET --meter-pid FILE

Prints a line per check and `N passed, M failed`; exits with 1 when a check failed or too few were made.
"""

import argparse
import asyncio
import json
import logging
import os
import pathlib
import sys

import cut_checks
import delivery_checks
import frame_checks
import recharge
import session_checks
from scene import Scene, Score

CHECKS_MIN = 300
GROUPS = (
    *session_checks.GROUPS,
    *delivery_checks.GROUPS,
    *cut_checks.GROUPS,
    *frame_checks.GROUPS,
    *delivery_checks.LAST_GROUPS,
)
VECTORS = pathlib.Path(__file__).resolve().parents[3] / "vectors/token.json"


async def judge(arguments, score):
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    recharge.self_test(vectors, score.check)
    scene = Scene(score, arguments, json.loads(pathlib.Path(arguments.provision).read_text(encoding="utf-8")))
    scene.prices = bytes.fromhex(vectors["setting"][0]["hex"])[13:-16]
    await scene.open()
    for name, checks in GROUPS:
        await scene.group(name, checks)
    await scene.phone.switch_off()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--hci", required=True, type=int, help="the radio's port for hosts, as in READY hci=PORT")
    arguments.add_argument("--faults", required=True, type=int, help="the radio's port for faults")
    arguments.add_argument("--provision", required=True, help="the file with the meter's key")
    arguments.add_argument("--meter-control", required=True, help="the meter's control socket")
    arguments.add_argument("--meter-pid", required=True, help="the file with the meter's process id")
    arguments = arguments.parse_args()
    score = Score()
    asyncio.run(judge(arguments, score))
    print(f"{score.passed} passed, {score.failed} failed")
    return 1 if score.failed or score.passed < CHECKS_MIN else 0


if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("JUDGE_LOG", "CRITICAL"))
    sys.exit(main())
