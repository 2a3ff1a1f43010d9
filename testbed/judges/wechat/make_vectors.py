"""Makes crates/gas-tender-wechat/vectors/wechat.json with the library `cryptography`.

The Rust code under test signs and verifies with another library, so both must agree on every
byte. Each run makes new keys and so a new file:

    python testbed/judges/wechat/make_vectors.py crates/gas-tender-wechat/vectors/wechat.json
"""

import base64
import json
import sys
from datetime import datetime, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

NOW = 1_764_000_000  # 2025-11-24T16:00:00Z
NONCE = bytes(range(16))
VEND = "019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01"
MCHID, APPID = "1900000109", "wxd678efh567hg6787"
REFUND = "019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f02"
NOTIFY_URL = "https://pay.example/v1/notifications/wechat"
APIV3_KEY = "0123456789abcdef0123456789ABCDEF"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000001092025112400000000000000"


def base32(uuid):
    value, out = int(uuid.replace("-", ""), 16), ""
    for _ in range(26):
        out = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[value & 31] + out
        value >>= 5
    return out


def certificate(key, name, serial, end):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2025, 1, 1, tzinfo=timezone.utc))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )


def pem(thing):
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def sign(key, message):
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def seal(text, aad, key=APIV3_KEY, nonce="5K8264ILTKCH"):
    sealed = AESGCM(key.encode()).encrypt(nonce.encode(), text.encode(), aad.encode())
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": nonce,
        "associated_data": aad,
        "ciphertext": base64.b64encode(sealed).decode(),
    }


def key():
    return rsa.generate_private_key(65537, 2048)


far, past = datetime(2045, 1, 1, tzinfo=timezone.utc), datetime(2025, 6, 1, tzinfo=timezone.utc)
merchant_key, platform_key, rotated_key, public_key = key(), key(), key(), key()
platform = certificate(platform_key, "platform", 0x5157F09EFDC096DE15EBE81A47057A7200000001, far)
rotated = certificate(rotated_key, "platform, next", 0x6157F09EFDC096DE15EBE81A47057A7200000002, far)
expired = certificate(platform_key, "platform, old", 0x4157F09EFDC096DE15EBE81A47057A7200000003, past)
order = base32(VEND) + "01"
SERIAL = "%X" % platform.serial_number


def message(name, body, status=200, signer=platform_key, serial=SERIAL):
    body = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    nonce = "EcZVkEdLdsYzYlCX5fHjJTXmTIlcNzNz"
    return {
        "name": name,
        "status": status,
        "timestamp": str(NOW),
        "nonce": nonce,
        "serial": serial,
        "signature": sign(signer, f"{NOW}\n{nonce}\n{body}\n".encode()),
        "body": body,
    }


def request(name, method, path, body=""):
    nonce = NONCE.hex().upper()
    signature = sign(merchant_key, f"{method}\n{path}\n{NOW}\n{nonce}\n{body}\n".encode())
    authorization = (
        f'WECHATPAY2-SHA256-RSA2048 mchid="{MCHID}",nonce_str="{nonce}",timestamp="{NOW}",'
        f'serial_no="5AC1F8D0A6B74D3B9D0A1C2B3D4E5F6071829304",signature="{signature}"'
    )
    return {"name": name, "method": method, "path": path, "body": body, "authorization": authorization}


def transaction(**changes):
    paid = {
        "appid": APPID,
        "mchid": MCHID,
        "out_trade_no": order,
        "transaction_id": "4200001234202511240000000001",
        "trade_type": "NATIVE",
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
        "bank_type": "OTHERS",
        "success_time": "2025-11-24T23:59:30+08:00",
        "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
        "amount": {"total": 20000, "payer_total": 20000, "currency": "CNY", "payer_currency": "CNY"},
    }
    paid.update(changes)
    return {field: value for field, value in paid.items() if value is not None}


def refund(**changes):
    told = {
        "refund_id": "50300001232025112400000000001",
        "out_refund_no": REFUND,
        "transaction_id": "4200001234202511240000000001",
        "out_trade_no": order,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": "2025-11-24T23:59:40+08:00",
        "success_time": "2025-11-24T23:59:45+08:00",
        "status": "SUCCESS",
        "amount": {"total": 20000, "refund": 20000, "payer_total": 20000, "payer_refund": 20000, "currency": "CNY"},
    }
    told.update(changes)
    return {field: value for field, value in told.items() if value is not None}


def notification(plain, event="TRANSACTION.SUCCESS", **sealing):
    kind = "refund" if event.startswith("REFUND.") else "transaction"
    return {
        "id": "EV-2018022511223320873",
        "create_time": "2025-11-25T00:00:00+08:00",
        "resource_type": "encrypt-resource",
        "event_type": event,
        "summary": "支付成功",
        "resource": {
            "original_type": kind,
            **seal(json.dumps(plain, ensure_ascii=False), kind, **sealing),
        },
    }


def refund_news(**changes):
    told = {
        "mchid": MCHID,
        "transaction_id": "4200001234202511240000000001",
        "out_trade_no": order,
        "refund_id": "50300001232025112400000000001",
        "out_refund_no": REFUND,
        "refund_status": "SUCCESS",
        "success_time": "2025-11-24T23:59:45+08:00",
        "user_received_account": "支付用户零钱",
        "amount": {"total": 20000, "refund": 20000, "payer_total": 20000, "payer_refund": 20000},
    }
    told.update(changes)
    return {field: value for field, value in told.items() if value is not None}


unpaid = transaction(
    trade_state="NOTPAY", transaction_id=None, success_time=None, payer=None, amount={"total": 20000}
)
dumps = lambda body: json.dumps(body, ensure_ascii=False, separators=(",", ":"))
native = dumps(
    {
        "appid": APPID,
        "mchid": MCHID,
        "description": "燃气充值 gas top-up",
        "out_trade_no": order,
        "time_expire": "2025-11-25T00:15:00+08:00",
        "notify_url": NOTIFY_URL,
        "amount": {"total": 20000, "currency": "CNY"},
    }
)
by_number = f"/v3/pay/transactions/out-trade-no/{order}"
vectors = {
    "now": NOW,
    "nonce": NONCE.hex(),
    "vend": VEND,
    "order_number": order,
    "refund_number": REFUND,
    "notify_url": NOTIFY_URL,
    "credentials": {
        "mchid": MCHID,
        "appid": APPID,
        "merchant_serial": "5AC1F8D0A6B74D3B9D0A1C2B3D4E5F6071829304",
        "merchant_private_key": merchant_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        "merchant_private_key_pkcs1": merchant_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ).decode(),
        "apiv3_key": APIV3_KEY,
        "platform_certificate": pem(platform),
        "platform_serial": SERIAL,
        "public_key_id": PUBLIC_KEY_ID,
        "public_key": public_key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    },
    "expired_certificate": pem(expired),
    "requests": [
        request("prepay", "POST", "/v3/pay/transactions/native", native),
        request("query", "GET", f"{by_number}?mchid={MCHID}"),
        request("close", "POST", f"{by_number}/close", dumps({"mchid": MCHID})),
        request(
            "refund",
            "POST",
            "/v3/refund/domestic/refunds",
            dumps(
                {
                    "out_trade_no": order,
                    "out_refund_no": REFUND,
                    "reason": "燃气退款",
                    "amount": {"refund": 20000, "total": 20000, "currency": "CNY"},
                }
            ),
        ),
        request("query refund", "GET", f"/v3/refund/domestic/refunds/{REFUND}"),
        request("certificates", "GET", "/v3/certificates"),
    ],
    "answers": [
        message("code", {"code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz"}),
        message("code by public key", {"code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz"},
                signer=public_key, serial=PUBLIC_KEY_ID),
        message("code that is no code", {"code_url": "https://evil.example/"}),
        message("paid", transaction()),
        message("paid, spaced and escaped", json.dumps(transaction(), indent=1)),
        message("unpaid", unpaid),
        message("closed", transaction(trade_state="CLOSED", transaction_id=None, success_time=None)),
        message("refunding", transaction(trade_state="REFUND")),
        message("strange state", transaction(trade_state="DREAMING")),
        message("wrong mchid", transaction(mchid="1900000110")),
        message("wrong appid", transaction(appid="wx0000000000000000")),
        message("wrong currency", transaction(amount={"total": 20000, "currency": "USD"})),
        message("no amount", transaction(amount=None)),
        message("amount of nothing", transaction(amount={"total": 0, "currency": "CNY"})),
        message("amount as text", transaction(amount={"total": "20000", "currency": "CNY"})),
        message("other attempt", transaction(out_trade_no=order[:-2] + "02")),
        message("refund done", refund()),
        message("refund under way", refund(status="PROCESSING", success_time=None)),
        message("refund closed", refund(status="CLOSED", success_time=None)),
        message("refund abnormal", refund(status="ABNORMAL", success_time=None)),
        message("refund dreaming", refund(status="DREAMING")),
        message("refund done, nobody knows when", refund(success_time=None)),
        message("refund of nothing", refund(amount={"refund": 0, "total": 20000, "currency": "CNY"})),
        message("other refund", refund(out_refund_no=REFUND + "-2")),
        message("refund of another order", refund(out_trade_no=order[:-2] + "02")),
        message("refund in another currency", refund(amount={"refund": 20000, "currency": "USD"})),
        message("closing", "", status=204),
        message("by an expired certificate", transaction(), serial="%X" % expired.serial_number),
        message(
            "certificates",
            {
                "data": [
                    {
                        "serial_no": "%X" % cert.serial_number,
                        "effective_time": "2025-01-01T08:00:00+08:00",
                        "expire_time": "2045-01-01T08:00:00+08:00",
                        "encrypt_certificate": seal(pem(cert), "certificate"),
                    }
                    for cert in (platform, rotated)
                ]
            },
        ),
        message("by the rotated certificate", transaction(), signer=rotated_key,
                serial="%X" % rotated.serial_number),
    ],
    "notifications": [
        message("paid", notification(transaction())),
        message("paid by public key", notification(transaction()), signer=public_key, serial=PUBLIC_KEY_ID),
        message("strange event", notification(transaction(), event="TRANSACTION.DREAMING")),
        message("refund done", notification(refund_news(), event="REFUND.SUCCESS")),
        message(
            "refund closed",
            notification(refund_news(refund_status="CLOSED", success_time=None), event="REFUND.CLOSED"),
        ),
        message(
            "refund abnormal",
            notification(refund_news(refund_status="ABNORMAL", success_time=None), event="REFUND.ABNORMAL"),
        ),
        message("a payment called a refund", notification(transaction(), event="REFUND.SUCCESS")),
        message(
            "refund of another merchant",
            notification(refund_news(mchid="1900000110"), event="REFUND.SUCCESS"),
        ),
        message(
            "refund of another system's order",
            notification(refund_news(out_trade_no="1217752501201407033233368018"), event="REFUND.SUCCESS"),
        ),
        message(
            "refund of a strange number",
            notification(refund_news(out_refund_no="refund no. 1"), event="REFUND.SUCCESS"),
        ),
        message("other apiv3 key", notification(transaction(), key="f" * 32)),
        message("short nonce", notification(transaction(), nonce="5K8264IL")),
        message("wrong mchid", notification(transaction(mchid="1900000110"))),
        message("wrong appid", notification(transaction(appid="wx0000000000000000"))),
        message("order of another system", notification(transaction(out_trade_no="1217752501201407033233368018"))),
        message("not json", "{"),
    ],
}
with open(sys.argv[1], "w", encoding="utf-8") as out:
    json.dump(vectors, out, ensure_ascii=False, indent=1)
    out.write("\n")
