"""Makes h5.json beside wechat.json with the library `cryptography`: H5 payment's request and answers.

The request is signed with wechat.json's merchant key; the answers with a new key, whose public half goes
into the file:

    python crates/gas-tender-wechat/vectors/make_h5.py
"""

import base64
import json
import pathlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

FOLDER = pathlib.Path(__file__).parent
WECHAT = json.loads((FOLDER / "wechat.json").read_text())
PATH = "/v3/pay/transactions/h5"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000001092025112400000000000001"
ANSWERS = {
    "link": "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx2016121516420242444321ca0631331346&package=1405458241",
    "link of a sandbox": "http://127.0.0.1:8004/cashier/0123?type=h5",
    "script": "javascript:alert(1)?",
    "no address": "weixin://wap/pay?prepayid=1",
    "no query": "https://wx.tenpay.com/",
    "line feed": "https://wx.tenpay.com/?a\nb",
    "empty": "",
}


def sign(key, message):
    return base64.b64encode(key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def main():
    merchant = WECHAT["credentials"]
    key = serialization.load_pem_private_key(merchant["merchant_private_key"].encode(), None)
    now, nonce = WECHAT["now"], bytes(range(16)).hex().upper()
    prepay = next(one for one in WECHAT["requests"] if one["name"] == "prepay")
    # The same order as the QR code's, and who pays.
    body = json.loads(prepay["body"])
    body["scene_info"] = {"payer_client_ip": "192.0.2.7", "h5_info": {"type": "Wap"}}
    body = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    signature = sign(key, f"POST\n{PATH}\n{now}\n{nonce}\n{body}\n")
    authorization = (
        f'WECHATPAY2-SHA256-RSA2048 mchid="{merchant["mchid"]}",nonce_str="{nonce}",timestamp="{now}",'
        f'serial_no="{merchant["merchant_serial"]}",signature="{signature}"'
    )
    platform = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    answers = []
    for name, url in ANSWERS.items():
        answer = json.dumps({"h5_url": url})
        signed = sign(platform, f"{now}\nEcZVkEdLdsYzYlCX\n{answer}\n")
        answers.append({"name": name, "body": answer, "signature": signed})
    public = platform.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    file = {
        "request": {"path": PATH, "body": body, "authorization": authorization},
        "public_key_id": PUBLIC_KEY_ID,
        "public_key": public.decode(),
        "answer_nonce": "EcZVkEdLdsYzYlCX",
        "answers": answers,
    }
    (FOLDER / "h5.json").write_text(json.dumps(file, indent=1, ensure_ascii=False) + "\n")


main()
