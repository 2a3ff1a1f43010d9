"""Judges the provider sandbox with a client that somebody else wrote: PyPI `wechatpayv3`.

Runs every call of one payment in certificate mode and in public-key mode, and the refusals
around it. Starts nothing but a loopback server of its own for notifications:

    python judge.py --sandbox http://127.0.0.1:PORT --merchant DIR/merchant.json

Prints a line per check and `N passed, M failed`; exits with 1 when a check failed.
The client has no setting for the provider's address, so `Redirected` replaces it.
"""

import argparse
import http.server
import json
import os
import queue
import re
import secrets
import sys
import threading
import traceback
import urllib.parse

import requests
import wechatpayv3.core as core
from wechatpayv3 import WeChatPay, WeChatPayType

DEADLINE_S = 20
# The sandbox is on loopback, whatever proxy the machine has.
os.environ["NO_PROXY"] = "127.0.0.1,localhost"
web = requests.Session()


class Redirected:
    """Stands in for the client's hard-coded address, which its constructor tries to set."""

    def __init__(self, base):
        self.base = base

    def __get__(self, instance, owner=None):
        return self.base

    def __set__(self, instance, value):
        pass


class Notifications:
    """A loopback server that reads notifications with the client and keeps what came of them."""

    def __init__(self):
        self.client = None
        self.received = queue.Queue()
        outer = self

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    read = outer.client.callback(self.headers, body)
                except Exception as fault:
                    read = fault
                taken = isinstance(read, dict)
                self.send_response(204 if taken else 401)
                self.end_headers()
                outer.received.put(read if taken else None)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self.url = f"http://127.0.0.1:{self.server.server_port}/notify"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        """The next notification, decrypted, or None for one the client refused."""
        return self.received.get(timeout=DEADLINE_S)


class Score:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, holds, seen=""):
        if holds:
            self.passed += 1
            print(f"ok    {name}")
        else:
            self.failed += 1
            print(f"FAIL  {name}: {seen}")


class Judge:
    def __init__(self, score, sandbox, merchant, notifications, mode):
        self.score, self.sandbox, self.mode = score, sandbox, mode
        self.merchant, self.notifications = merchant, notifications
        keys = {}
        if mode == "public key":
            keys = {"public_key": merchant["public_key"], "public_key_id": merchant["public_key_id"]}
        # In certificate mode the constructor fetches and opens the certificates.
        self.client = WeChatPay(
            wechatpay_type=WeChatPayType.NATIVE,
            mchid=merchant["mchid"],
            private_key=merchant["merchant_private_key"],
            cert_serial_no=merchant["merchant_serial"],
            apiv3_key=merchant["apiv3_key"],
            appid=merchant["appid"],
            notify_url=notifications.url,
            timeout=DEADLINE_S,
            **keys,
        )
        notifications.client = self.client

    def check(self, name, holds, seen=""):
        self.score.check(f"[{self.mode}] {name}", holds, seen)

    def answer(self, name, got, status, code=None):
        """Checks the status (and the refusal's code); gives the body."""
        seen, body = got
        body = json.loads(body) if body else {}
        holds = seen == status and (code is None or body.get("code") == code)
        self.check(f"{name}: {status} {code or ''}".rstrip(), holds, got)
        return body

    def faults(self, **faults):
        web.put(f"{self.sandbox}/sandbox/faults", json=faults, timeout=DEADLINE_S).raise_for_status()

    def send_again(self, number):
        url = f"{self.sandbox}/sandbox/orders/{number}/notification"
        web.post(url, timeout=DEADLINE_S).raise_for_status()

    def pay_at_the_cashier(self, code_url):
        """From the QR code's content to the page, and through its form."""
        where = f"{self.sandbox}/sandbox/cashier?" + urllib.parse.urlencode({"code_url": code_url})
        page = web.get(where, headers={"Accept-Language": "en"}, timeout=DEADLINE_S)
        form = re.search(r'<form method=post action="([^"]+)"', page.text)
        self.check("the cashier shows a form", page.status_code == 200 and form, page.text)
        self.check("the cashier shows the amount", "30.50" in page.text, page.text)
        if not form:
            raise RuntimeError("without the cashier's form nobody can pay")
        form_url = urllib.parse.urljoin(page.url, form[1])
        paid = web.post(form_url, timeout=DEADLINE_S)
        self.check("the cashier says paid", paid.status_code == 200 and ">Paid<" in paid.text, paid.text)
        again = web.post(form_url, timeout=DEADLINE_S)
        self.check("paying again changes nothing", again.status_code == 200 and ">Paid<" in again.text, again.text)

    def run(self):
        client, notifications = self.client, self.notifications
        number = "JUDGE" + secrets.token_hex(10)
        order = {"description": "燃气充值 gas 10 m³", "out_trade_no": number, "amount": {"total": 3050}}
        first = self.answer("prepay", client.pay(**order), 200)
        again = self.answer("same prepay again", client.pay(**order), 200)
        prefix = "weixin://wxpay/bizpayurl?pr="
        urls = first.get("code_url", ""), again.get("code_url", "")
        self.check("codes are WeChat codes", all(url.startswith(prefix) for url in urls), urls)
        self.check("the second code is a new one", urls[0] != urls[1], urls)
        old = web.get(f"{self.sandbox}/cashier/{urls[0][len(prefix):]}", timeout=DEADLINE_S)
        self.check("the first code is invalid now", old.status_code == 404, old.status_code)
        self.answer("changed amount", client.pay(**{**order, "amount": {"total": 1}}), 400, "INVALID_REQUEST")
        zero = {**order, "out_trade_no": number + "z", "amount": {"total": 0}}
        self.answer("amount of 0", client.pay(**zero), 400, "PARAM_ERROR")
        self.answer("order of the refused amount", client.query(out_trade_no=number + "z"), 404, "ORDER_NOT_EXIST")
        body = self.answer("query before paying", client.query(out_trade_no=number), 200)
        self.check("it is not paid", body.get("trade_state") == "NOTPAY", body)

        # The first attempt is the provider's probe; the client must refuse it.
        self.faults(notification={"signature": "probe"})
        self.pay_at_the_cashier(urls[1])
        self.check("the probe is refused", notifications.next() is None)
        self.faults(notification={"extra_copies": 1})
        self.send_again(number)
        told = [notifications.next(), notifications.next()]
        self.check("two copies verify and open", all(told), told)
        self.check("both copies are one event", told[0] and told[1] and told[0]["id"] == told[1]["id"], told)
        resource = (told[0] or {}).get("resource", {})
        self.check("the notification says paid", resource.get("trade_state") == "SUCCESS", resource)
        self.check("the notification names the order", resource.get("out_trade_no") == number, resource)
        self.check("the notification names the amount", resource.get("amount", {}).get("total") == 3050, resource)
        self.check("the notification names the merchant", resource.get("mchid") == self.merchant["mchid"], resource)

        self.faults(notification={"signature": "wrong"})
        self.send_again(number)
        self.check("a wrong signature is refused", notifications.next() is None)
        self.faults(notification={"signature": "missing"})
        self.send_again(number)
        self.check("an unsigned notification is refused", notifications.next() is None)
        self.faults()

        body = self.answer("query after paying", client.query(out_trade_no=number), 200)
        self.check("it is paid", body.get("trade_state") == "SUCCESS", body)
        same = self.answer("query by transaction", client.query(transaction_id=body.get("transaction_id")), 200)
        self.check("both queries say the same", same == body, same)
        self.answer("prepay after paying", client.pay(**order), 400, "ORDERPAID")
        self.answer("close after paying", client.close(out_trade_no=number), 400, "ORDERPAID")

        self.refunds(number, body.get("transaction_id"))

        other = {**order, "out_trade_no": number + "c"}
        code = self.answer("prepay of another order", client.pay(**other), 200).get("code_url", "")
        for name in ("close", "close again"):
            status, body = client.close(out_trade_no=number + "c")
            self.check(f"{name}: 204 without a body", status == 204 and not body, (status, body))
        self.answer("prepay after closing", client.pay(**other), 400, "ORDER_CLOSED")
        body = self.answer("query after closing", client.query(out_trade_no=number + "c"), 200)
        self.check("it is closed", body.get("trade_state") == "CLOSED", body)
        late = web.post(f"{self.sandbox}/cashier/{code[len(prefix):]}/pay", timeout=DEADLINE_S)
        self.check("a closed order cannot be paid", late.status_code == 409, late.status_code)
        self.answer("close of no order", client.close(out_trade_no=number + "n"), 404, "ORDER_NOT_EXIST")

        # The client believes no success that is not signed right.
        for kind in ("missing", "wrong", "probe"):
            self.faults(answer={"signature": kind})
            try:
                seen = client.query(out_trade_no=number)
            except Exception:
                seen = None
            self.check(f"an answer signed {kind} is refused", seen is None, seen)
        self.faults()
        stranger = WeChatPay(
            wechatpay_type=WeChatPayType.NATIVE,
            mchid=self.merchant["mchid"],
            private_key=self.merchant["merchant_private_key"],
            cert_serial_no="5F00000000000000000000000000000000000000",
            apiv3_key=self.merchant["apiv3_key"],
            appid=self.merchant["appid"],
            public_key=self.merchant["public_key"],
            public_key_id=self.merchant["public_key_id"],
        )
        self.answer("unknown merchant certificate", stranger.query(out_trade_no=number), 401, "SIGN_ERROR")


    def refunds(self, number, transaction_id):
        """All of the order's money goes back, in two parts."""
        client = self.client
        part = {"out_refund_no": number + "r", "out_trade_no": number, "reason": "测试 refund",
                "amount": {"refund": 3000, "total": 3050, "currency": "CNY"}}
        self.answer("query of no refund", client.query_refund(number + "r"), 404, "RESOURCE_NOT_EXISTS")
        self.faults(refund={"refuse_next": 1})
        self.answer("refund without money in the account", client.refund(**part), 403, "NOT_ENOUGH")
        self.faults(refund={"outcome": "PROCESSING"})
        first = self.answer("refund", client.refund(**part), 200)
        again = self.answer("same refund again", client.refund(**part), 200)
        self.check("it is one refund", first.get("refund_id") and first == again, (first, again))
        changed = {**part, "amount": {**part["amount"], "refund": 1}}
        self.answer("refund with a changed amount", client.refund(**changed), 400, "INVALID_REQUEST")
        rest = {**part, "out_refund_no": number + "s", "transaction_id": transaction_id}
        self.answer("refund of more than is left", client.refund(**rest), 400, "INVALID_REQUEST")
        body = self.answer("query of the refund", client.query_refund(number + "r"), 200)
        self.check("it is under way", body.get("status") == "PROCESSING", body)
        self.faults()
        body = self.answer("query of the refund later", client.query_refund(number + "r"), 200)
        self.check("it is done", body.get("status") == "SUCCESS" and body.get("success_time"), body)
        self.check("it names order and amount", body.get("out_trade_no") == number
                   and body.get("transaction_id") == transaction_id
                   and body.get("amount", {}).get("refund") == 3000, body)
        rest["amount"] = {**rest["amount"], "refund": 50}
        self.answer("refund of the rest, by transaction", client.refund(**rest), 200)
        body = self.answer("query after the refund", client.query(out_trade_no=number), 200)
        self.check("the order is in refund", body.get("trade_state") == "REFUND", body)
        no_order = {**part, "out_trade_no": number + "n", "out_refund_no": number + "n"}
        self.answer("refund of no order", client.refund(**no_order), 404, "RESOURCE_NOT_EXISTS")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sandbox", required=True, help="the sandbox's address, as in READY http=...")
    arguments.add_argument("--merchant", required=True, help="path of the sandbox's merchant.json")
    arguments = arguments.parse_args()
    base = arguments.sandbox.rstrip("/")
    base = base if "://" in base else f"http://{base}"
    with open(arguments.merchant, encoding="utf-8") as file:
        merchant = json.load(file)
    core.Core._gate_way = Redirected(base)
    score, notifications = Score(), Notifications()
    for mode in ("certificate", "public key"):
        try:
            Judge(score, base, merchant, notifications, mode).run()
        except Exception as fault:
            traceback.print_exc()
            score.check(f"[{mode}] ran to its end", False, repr(fault))
        else:
            score.check(f"[{mode}] ran to its end", True)
        finally:
            web.delete(f"{base}/sandbox/faults", timeout=DEADLINE_S)
    print(f"{score.passed} passed, {score.failed} failed")
    return 1 if score.failed or not score.passed else 0


if __name__ == "__main__":
    sys.exit(main())
