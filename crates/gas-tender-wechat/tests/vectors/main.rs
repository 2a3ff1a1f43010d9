//! Signing, verifying and opening against bytes made by another library
//! (`vectors/wechat.json`, written by `testbed/judges/wechat/make_vectors.py`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod h5;
mod refunds;

use gas_tender_wechat::{
    Answer, Class, CloseOutcome, Credentials, Doubt, ErrorCode, KeyError, Merchant, News,
    NotificationError, NotifyUrl, NotifyUrlError, OpenError, Order, OrderError, OrderNumber,
    OrderNumberError, Payment, PlatformKeys, ProviderError, Refund, RefundNews, RefundNumber,
    RefundOrder, RefundOrderError, SignatureError, SignatureHeaders, TradeState, Transaction,
};
use gas_units::{Money, UnixMillis};
use serde_json::Value;

struct Vectors(Value);

/// One signed message of the vectors, to be changed at will.
#[derive(Clone)]
struct Message {
    status: u16,
    timestamp: String,
    nonce: String,
    serial: String,
    signature: String,
    body: String,
}

impl Message {
    fn headers(&self) -> SignatureHeaders<'_> {
        SignatureHeaders {
            timestamp: Some(&self.timestamp),
            nonce: Some(&self.nonce),
            signature: Some(&self.signature),
            serial: Some(&self.serial),
            signature_type: Some("WECHATPAY2-SHA256-RSA2048"),
        }
    }

    fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            headers: self.headers(),
            body: self.body.as_bytes(),
        }
    }
}

impl Vectors {
    fn load() -> Self {
        Self(serde_json::from_str(include_str!("../../vectors/wechat.json")).unwrap())
    }

    fn now(&self) -> UnixMillis {
        UnixMillis::from_millis(self.0["now"].as_i64().unwrap() * 1000)
    }

    fn text(&self, pointer: &str) -> String {
        self.0
            .pointer(pointer)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn credentials(&self) -> Credentials {
        serde_json::from_value(self.0["credentials"].clone()).unwrap()
    }

    fn merchant(&self) -> Merchant {
        Merchant::new(&self.credentials()).unwrap()
    }

    fn number(&self) -> OrderNumber {
        OrderNumber::new(self.text("/vend").parse().unwrap(), 1).unwrap()
    }

    fn nonce(&self) -> [u8; 16] {
        hex::decode(self.text("/nonce"))
            .unwrap()
            .try_into()
            .unwrap()
    }

    fn entry(&self, list: &str, name: &str) -> &Value {
        let entries = self.0[list].as_array().unwrap();
        entries.iter().find(|entry| entry["name"] == name).unwrap()
    }

    fn message(&self, list: &str, name: &str) -> Message {
        let entry = self.entry(list, name);
        let text = |field: &str| entry[field].as_str().unwrap().to_owned();
        Message {
            status: entry["status"].as_u64().unwrap().try_into().unwrap(),
            timestamp: text("timestamp"),
            nonce: text("nonce"),
            serial: text("serial"),
            signature: text("signature"),
            body: text("body"),
        }
    }

    fn query(&self, name: &str) -> Result<Option<Transaction>, ProviderError> {
        let message = self.message("answers", name);
        self.merchant()
            .read_query_answer(self.number(), &message.answer(), self.now())
    }

    fn refund_number(&self) -> RefundNumber {
        self.text("/refund_number").parse().unwrap()
    }

    fn refund(&self, name: &str) -> Result<Option<Refund>, ProviderError> {
        let message = self.message("answers", name);
        let (number, order, now) = (self.refund_number(), self.number(), self.now());
        self.merchant()
            .read_refund_answer(&number, order, &message.answer(), now)
    }

    fn payment(&self) -> Payment {
        Payment {
            transaction_id: "4200001234202511240000000001".to_owned(),
            amount: Money::from_fen(20_000),
            paid_at: UnixMillis::from_millis(self.now().millis() - 30_000),
        }
    }
}

fn order(vectors: &Vectors) -> Order {
    let expires = vectors.now().plus_millis(15 * 60 * 1000);
    Order::new(
        vectors.number(),
        "燃气充值 gas top-up".to_owned(),
        Money::from_fen(20_000),
        expires,
        vectors.text("/notify_url").parse().unwrap(),
    )
    .unwrap()
}

fn refund_order(
    vectors: &Vectors,
    fen: i64,
    reason: &str,
) -> Result<RefundOrder, RefundOrderError> {
    RefundOrder::new(
        vectors.refund_number(),
        vectors.number(),
        Money::from_fen(fen),
        Money::from_fen(20_000),
        reason.to_owned(),
    )
}

#[test]
fn requests_are_signed_byte_for_byte() {
    let vectors = Vectors::load();
    let mut credentials = vectors.credentials();
    // The same key in the other spelling makes the same signatures.
    let pkcs1 = vectors.text("/credentials/merchant_private_key_pkcs1");
    for pem in [credentials.merchant_private_key.clone(), pkcs1] {
        credentials.merchant_private_key = pem;
        let merchant = Merchant::new(&credentials).unwrap();
        let (nonce, now) = (vectors.nonce(), vectors.now());
        for (name, request) in [
            (
                "prepay",
                merchant.native_prepay(&order(&vectors), nonce, now),
            ),
            ("query", merchant.query(vectors.number(), nonce, now)),
            ("close", merchant.close(vectors.number(), nonce, now)),
            ("certificates", merchant.certificates(nonce, now)),
            (
                "refund",
                merchant.refund(
                    &refund_order(&vectors, 20_000, "燃气退款").unwrap(),
                    nonce,
                    now,
                ),
            ),
            (
                "query refund",
                merchant.query_refund(&vectors.refund_number(), nonce, now),
            ),
        ] {
            let request = request.unwrap();
            let expected = vectors.entry("requests", name);
            assert_eq!(expected["method"], request.method.name(), "{name}");
            assert_eq!(expected["path"], request.path, "{name}");
            assert_eq!(
                expected["body"],
                String::from_utf8(request.body).unwrap(),
                "{name}"
            );
            let header = |wanted: &str| {
                request
                    .headers
                    .iter()
                    .find(|(name, _)| *name == wanted)
                    .map(|(_, value)| value)
            };
            assert_eq!(
                expected["authorization"],
                *header("Authorization").unwrap(),
                "{name}"
            );
            // Public-key mode says so in every request.
            assert_eq!(
                header("Wechatpay-Serial").unwrap(),
                &vectors.text("/credentials/public_key_id")
            );
        }
    }
}

#[test]
fn without_a_public_key_no_serial_is_asked_for() {
    let vectors = Vectors::load();
    let mut credentials = vectors.credentials();
    credentials.public_key = None;
    credentials.public_key_id = None;
    let merchant = Merchant::new(&credentials).unwrap();
    let request = merchant
        .certificates(vectors.nonce(), vectors.now())
        .unwrap();
    assert!(
        request
            .headers
            .iter()
            .all(|(name, _)| *name != "Wechatpay-Serial")
    );
    assert_eq!(merchant.platform_keys().serials().count(), 1);
}

#[test]
fn a_code_comes_with_either_kind_of_key() {
    let vectors = Vectors::load();
    for name in ["code", "code by public key"] {
        let message = vectors.message("answers", name);
        let code = vectors
            .merchant()
            .read_prepay_answer(&message.answer(), vectors.now())
            .unwrap();
        assert_eq!(
            code.as_str(),
            "weixin://wxpay/bizpayurl?pr=p4lpSuKzz",
            "{name}"
        );
    }
    let message = vectors.message("answers", "code that is no code");
    let fault = vectors
        .merchant()
        .read_prepay_answer(&message.answer(), vectors.now());
    assert!(
        matches!(fault, Err(ProviderError::Unknown(Doubt::Body(_)))),
        "{fault:?}"
    );
}

#[test]
fn every_trade_state_is_read() {
    let vectors = Vectors::load();
    for (name, state) in [
        ("paid", TradeState::Paid(vectors.payment())),
        (
            "paid, spaced and escaped",
            TradeState::Paid(vectors.payment()),
        ),
        ("unpaid", TradeState::NotPaid),
        ("closed", TradeState::Closed),
        ("refunding", TradeState::Refunding(vectors.payment())),
    ] {
        let expected = Transaction {
            number: vectors.number(),
            state,
        };
        assert_eq!(vectors.query(name), Ok(Some(expected)), "{name}");
    }
}

#[test]
fn a_signed_answer_about_something_else_is_not_believed() {
    let vectors = Vectors::load();
    for (name, field) in [
        ("wrong mchid", "mchid"),
        ("wrong appid", "appid"),
        ("wrong currency", "amount.currency"),
        ("other attempt", "out_trade_no"),
    ] {
        let fault = ProviderError::Unknown(Doubt::Mismatch(field));
        assert_eq!(vectors.query(name), Err(fault), "{name}");
    }
    for name in [
        "strange state",
        "no amount",
        "amount of nothing",
        "amount as text",
    ] {
        let fault = vectors.query(name);
        assert!(
            matches!(fault, Err(ProviderError::Unknown(Doubt::Body(_)))),
            "{name}: {fault:?}"
        );
    }
}

#[test]
fn a_message_that_is_not_signed_right_is_refused() {
    let vectors = Vectors::load();
    let good = vectors.message("answers", "paid");
    let change = |change: fn(&mut Message)| {
        let mut message = good.clone();
        change(&mut message);
        message
    };
    for (message, fault) in [
        (
            change(|m| m.signature = format!("WECHATPAY/SIGNTEST/{}", &m.signature[19..])),
            SignatureError::Probe,
        ),
        (
            change(|m| m.signature.replace_range(0..1, "!")),
            SignatureError::Encoding,
        ),
        (change(|m| m.signature.truncate(340)), SignatureError::Wrong),
        (
            change(|m| m.body = m.body.replace("20000", "20001")),
            SignatureError::Wrong,
        ),
        (change(|m| m.body.push('\n')), SignatureError::Wrong),
        (change(|m| m.nonce.push('0')), SignatureError::Wrong),
        (
            change(|m| m.timestamp = "soon".to_owned()),
            SignatureError::Timestamp,
        ),
        (
            change(|m| m.serial = "1234".to_owned()),
            SignatureError::UnknownSerial("1234".to_owned()),
        ),
        (
            change(|m| m.serial = "PUB_KEY_ID_01".to_owned()),
            SignatureError::UnknownSerial("PUB_KEY_ID_01".to_owned()),
        ),
        // The other key, though known, is not the one that signed.
        (
            change(|m| m.serial = "PUB_KEY_ID_0119000001092025112400000000000000".to_owned()),
            SignatureError::Wrong,
        ),
    ] {
        let read = vectors.merchant().read_query_answer(
            vectors.number(),
            &message.answer(),
            vectors.now(),
        );
        assert_eq!(read, Err(ProviderError::Unknown(Doubt::Signature(fault))));
    }
}

#[test]
fn every_header_is_needed() {
    let vectors = Vectors::load();
    let message = vectors.message("notifications", "paid");
    let headers = message.headers();
    for (headers, name) in [
        (
            SignatureHeaders {
                timestamp: None,
                ..headers
            },
            "Wechatpay-Timestamp",
        ),
        (
            SignatureHeaders {
                nonce: None,
                ..headers
            },
            "Wechatpay-Nonce",
        ),
        (
            SignatureHeaders {
                signature: None,
                ..headers
            },
            "Wechatpay-Signature",
        ),
        (
            SignatureHeaders {
                serial: None,
                ..headers
            },
            "Wechatpay-Serial",
        ),
    ] {
        let read =
            vectors
                .merchant()
                .read_notification(&headers, message.body.as_bytes(), vectors.now());
        assert_eq!(read, Err(SignatureError::Missing(name).into()));
    }
    let other = SignatureHeaders {
        signature_type: Some("WECHATPAY2-SM2-WITH-SM3"),
        ..headers
    };
    let read = vectors
        .merchant()
        .read_notification(&other, message.body.as_bytes(), vectors.now());
    let fault = SignatureError::Type("WECHATPAY2-SM2-WITH-SM3".to_owned());
    assert_eq!(read, Err(NotificationError::Signature(fault)));
}

#[test]
fn a_message_lives_for_less_than_five_minutes_either_way() {
    let vectors = Vectors::load();
    let message = vectors.message("notifications", "paid");
    let read = |seconds: i64| {
        let now = vectors.now().plus_millis(seconds * 1000);
        vectors
            .merchant()
            .read_notification(&message.headers(), message.body.as_bytes(), now)
    };
    for seconds in [-299, 0, 299] {
        assert_eq!(
            read(seconds).unwrap().event_id,
            "EV-2018022511223320873",
            "{seconds}"
        );
    }
    for seconds in [-300, 300] {
        assert_eq!(
            read(seconds),
            Err(SignatureError::Stale(300).into()),
            "{seconds}"
        );
    }
    let mut far = message.clone();
    far.timestamp = i64::MIN.to_string();
    let read =
        vectors
            .merchant()
            .read_notification(&far.headers(), far.body.as_bytes(), vectors.now());
    assert!(
        matches!(
            read,
            Err(NotificationError::Signature(SignatureError::Stale(_)))
        ),
        "{read:?}"
    );
}

#[test]
fn a_certificate_past_its_end_signs_nothing() {
    let vectors = Vectors::load();
    let mut credentials = vectors.credentials();
    credentials.platform_certificate = Some(vectors.text("/expired_certificate"));
    let merchant = Merchant::new(&credentials).unwrap();
    let message = vectors.message("answers", "by an expired certificate");
    let read = merchant.read_query_answer(vectors.number(), &message.answer(), vectors.now());
    let fault = SignatureError::KeyExpired(message.serial);
    assert_eq!(read, Err(ProviderError::Unknown(Doubt::Signature(fault))));
}

#[test]
fn notifications_are_opened_and_compared() {
    let vectors = Vectors::load();
    let read = |name: &str| {
        let message = vectors.message("notifications", name);
        vectors.merchant().read_notification(
            &message.headers(),
            message.body.as_bytes(),
            vectors.now(),
        )
    };
    for name in ["paid", "paid by public key"] {
        let notification = read(name).unwrap();
        assert_eq!(notification.event_id, "EV-2018022511223320873");
        let News::Order(transaction) = notification.news else {
            panic!("{name} is about an order");
        };
        assert_eq!(transaction.number, vectors.number());
        assert_eq!(transaction.state, TradeState::Paid(vectors.payment()));
    }
    for name in ["refund done", "refund closed", "refund abnormal"] {
        let news = News::Refund(RefundNews {
            number: vectors.refund_number(),
            order: vectors.number(),
        });
        assert_eq!(read(name).unwrap().news, news, "{name}");
    }
    for (name, fault) in [
        (
            "strange event",
            NotificationError::EventType("TRANSACTION.DREAMING".to_owned()),
        ),
        (
            "refund of another merchant",
            NotificationError::Mismatch("mchid"),
        ),
        (
            "refund of another system's order",
            NotificationError::Mismatch("out_trade_no"),
        ),
        (
            "refund of a strange number",
            NotificationError::Mismatch("out_refund_no"),
        ),
        (
            "other apiv3 key",
            NotificationError::Sealed(OpenError::Refused),
        ),
        (
            "short nonce",
            NotificationError::Sealed(OpenError::Malformed),
        ),
        ("wrong mchid", NotificationError::Mismatch("mchid")),
        ("wrong appid", NotificationError::Mismatch("appid")),
        (
            "order of another system",
            NotificationError::Mismatch("out_trade_no"),
        ),
    ] {
        assert_eq!(read(name), Err(fault), "{name}");
    }
    for name in ["not json", "a payment called a refund"] {
        assert!(
            matches!(read(name), Err(NotificationError::Body(_))),
            "{name}"
        );
    }
}

#[test]
fn an_error_answer_is_sorted_by_what_to_do_next() {
    let vectors = Vectors::load();
    let merchant = vectors.merchant();
    let read = |status: u16, body: &str| {
        let answer = Answer {
            status,
            headers: SignatureHeaders::default(),
            body: body.as_bytes(),
        };
        (
            merchant
                .read_prepay_answer(&answer, vectors.now())
                .unwrap_err(),
            merchant.read_query_answer(vectors.number(), &answer, vectors.now()),
            merchant.read_close_answer(&answer, vectors.now()),
        )
    };
    // Both spellings; the query's None and the close's outcomes come from refusals.
    for code in ["ORDER_NOT_EXIST", "ORDERNOTEXIST"] {
        let (prepay, query, close) = read(404, &format!(r#"{{"code":"{code}","message":"m"}}"#));
        assert_eq!(prepay.code(), Some(&ErrorCode::OrderNotExist));
        assert_eq!(query, Ok(None));
        assert_eq!(close, Ok(CloseOutcome::NeverCreated));
    }
    for code in ["ORDERPAID", "ORDER_PAID"] {
        let (prepay, query, close) = read(400, &format!(r#"{{"code":"{code}","message":"m"}}"#));
        assert_eq!(prepay.code(), Some(&ErrorCode::OrderPaid));
        assert_eq!(prepay.class(), Class::Definite);
        assert_eq!(query.unwrap_err().class(), Class::Definite);
        assert_eq!(close, Ok(CloseOutcome::AlreadyPaid));
    }
    let slow = r#"{"code":"FREQUENCY_LIMITED","message":"m"}"#;
    for (status, body, class) in [
        (
            401,
            r#"{"code":"SIGN_ERROR","message":"m"}"#,
            Class::Definite,
        ),
        (429, slow, Class::Retryable),
        (429, "<html>", Class::Retryable),
        (
            500,
            r#"{"code":"SYSTEM_ERROR","message":"m"}"#,
            Class::Unknown,
        ),
        (502, "<html>", Class::Unknown),
        (202, "", Class::Unknown),
        (302, "", Class::Unknown),
        // Somebody on the way said no, not the provider.
        (404, "<html>", Class::Unknown),
        // A success nobody signed.
        (200, r#"{"code_url":"weixin://EVIL"}"#, Class::Unknown),
        (204, "", Class::Unknown),
    ] {
        let (prepay, query, close) = read(status, body);
        assert_eq!(prepay.class(), class, "{status} {body}");
        assert_eq!(query.unwrap_err().class(), class, "{status} {body}");
        assert_eq!(close.unwrap_err().class(), class, "{status} {body}");
    }
    assert_eq!(
        ErrorCode::parse("NEW_ONE"),
        ErrorCode::Other("NEW_ONE".to_owned())
    );
}

#[test]
fn closing_is_believed_when_signed() {
    let vectors = Vectors::load();
    let mut message = vectors.message("answers", "closing");
    let merchant = vectors.merchant();
    assert_eq!(
        merchant.read_close_answer(&message.answer(), vectors.now()),
        Ok(CloseOutcome::Closed)
    );
    message.body.push(' ');
    let fault = ProviderError::Unknown(Doubt::Signature(SignatureError::Wrong));
    assert_eq!(
        merchant.read_close_answer(&message.answer(), vectors.now()),
        Err(fault)
    );
}

#[test]
fn certificates_are_learned_from_nothing_but_the_api_v3_key() {
    let vectors = Vectors::load();
    let mut credentials = vectors.credentials();
    credentials.platform_certificate = None;
    let mut merchant = Merchant::new(&credentials).unwrap();
    let rotated = vectors.message("answers", "by the rotated certificate");
    let unknown = merchant.read_query_answer(vectors.number(), &rotated.answer(), vectors.now());
    let fault = SignatureError::UnknownSerial(rotated.serial.clone());
    assert_eq!(
        unknown,
        Err(ProviderError::Unknown(Doubt::Signature(fault)))
    );

    let answer = vectors.message("answers", "certificates");
    let learned = merchant
        .read_certificates_answer(&answer.answer(), vectors.now())
        .unwrap();
    assert_eq!(learned.len(), 2);
    assert_eq!(
        learned[0].serial,
        vectors.text("/credentials/platform_serial")
    );
    assert_eq!(
        learned[0].pem,
        vectors.text("/credentials/platform_certificate")
    );
    let read = merchant.read_query_answer(vectors.number(), &rotated.answer(), vectors.now());
    assert_eq!(
        read.unwrap().unwrap().state,
        TradeState::Paid(vectors.payment())
    );
    assert_eq!(merchant.platform_keys().serials().count(), 3);
}

#[test]
fn certificates_that_do_not_open_or_are_not_signed_teach_nothing() {
    let vectors = Vectors::load();
    let mut credentials = vectors.credentials();
    credentials.platform_certificate = None;
    let mut answer = vectors.message("answers", "certificates");

    credentials.apiv3_key = "f".repeat(32);
    let mut merchant = Merchant::new(&credentials).unwrap();
    let read = merchant.read_certificates_answer(&answer.answer(), vectors.now());
    assert_eq!(
        read,
        Err(ProviderError::Unknown(Doubt::Sealed(OpenError::Refused)))
    );

    let mut merchant = vectors.merchant();
    answer.body.push('\n');
    let read = merchant.read_certificates_answer(&answer.answer(), vectors.now());
    let fault = ProviderError::Unknown(Doubt::Signature(SignatureError::Wrong));
    assert_eq!(read, Err(fault));
    assert_eq!(merchant.platform_keys().serials().count(), 2);
}

#[test]
fn unusable_credentials_are_named() {
    let vectors = Vectors::load();
    let fault = |change: fn(&mut Credentials)| {
        let mut credentials = vectors.credentials();
        change(&mut credentials);
        Merchant::new(&credentials).err()
    };
    assert_eq!(fault(|_| {}), None);
    assert_eq!(fault(|c| c.apiv3_key.push('x')), Some(KeyError::ApiV3Key));
    assert_eq!(
        fault(|c| c.mchid = "19\"00".to_owned()),
        Some(KeyError::Identity("merchant number"))
    );
    assert_eq!(
        fault(|c| c.appid.clear()),
        Some(KeyError::Identity("app id"))
    );
    assert_eq!(fault(|c| c.public_key = None), Some(KeyError::PublicKeyId));
    assert_eq!(
        fault(|c| c.merchant_private_key = "secret".to_owned()),
        Some(KeyError::Pem("private key"))
    );
    assert_eq!(
        fault(|c| c.merchant_private_key = c.platform_certificate.clone().unwrap()),
        Some(KeyError::Pem("private key"))
    );
    let mut keys = PlatformKeys::new();
    let pem = vectors.text("/credentials/public_key");
    assert_eq!(keys.add_public_key("01", &pem), Err(KeyError::PublicKeyId));
    assert_eq!(
        keys.add_certificate(&pem),
        Err(KeyError::Pem("certificate"))
    );
}

#[test]
fn an_address_that_the_provider_would_not_post_to_is_refused() {
    let url = |length: usize| format!("http://{}", "a".repeat(length - 7));
    for good in [Vectors::load().text("/notify_url"), url(255)] {
        assert_eq!(good.parse::<NotifyUrl>().unwrap().as_str(), good);
    }
    let long = url(256);
    for url in [
        "ftp://pay.example/",
        "https://pay.example/n?a=1",
        "https://pay.example/n#a",
        "pay.example",
        "",
        &long,
    ] {
        assert_eq!(url.parse::<NotifyUrl>(), Err(NotifyUrlError), "{url}");
    }
}

#[test]
fn an_order_the_provider_would_refuse_is_not_made() {
    let vectors = Vectors::load();
    let make = |fen: i64, description: &str, expires: i64| {
        Order::new(
            vectors.number(),
            description.to_owned(),
            Money::from_fen(fen),
            UnixMillis::from_millis(expires),
            vectors.text("/notify_url").parse().unwrap(),
        )
        .err()
    };
    assert_eq!(make(1, &"燃".repeat(127), 0), None);
    assert_eq!(make(0, "gas", 0), Some(OrderError::Amount));
    assert_eq!(make(-1, "gas", 0), Some(OrderError::Amount));
    assert_eq!(make(1, "", 0), Some(OrderError::Description));
    assert_eq!(make(1, &"a".repeat(128), 0), Some(OrderError::Description));
    assert_eq!(make(1, "gas", i64::MAX), Some(OrderError::Expires));
}

#[test]
fn an_order_number_has_one_spelling() {
    let vectors = Vectors::load();
    let number = vectors.number();
    assert_eq!(number.to_string(), vectors.text("/order_number"));
    assert_eq!(number.to_string().parse(), Ok(number));
    assert_eq!(
        (number.vend().to_string(), number.attempt()),
        (vectors.text("/vend"), 1)
    );
    for attempt in [0, 100] {
        assert_eq!(
            OrderNumber::new(number.vend(), attempt),
            Err(OrderNumberError::Attempt)
        );
    }
    let text = number.to_string();
    for length in 0..28 {
        let cut = text[..length].parse::<OrderNumber>();
        assert_eq!(cut, Err(OrderNumberError::Format), "{length}");
    }
    let vend = &text[..26];
    for (text, fault) in [
        (format!("{vend}00"), OrderNumberError::Attempt),
        (format!("{vend}011"), OrderNumberError::Format),
        (format!("{vend}+1"), OrderNumberError::Format),
        (format!("{vend}é"), OrderNumberError::Format),
    ] {
        assert_eq!(text.parse::<OrderNumber>(), Err(fault), "{text}");
    }
    assert!(matches!(
        format!("{}01", "Z".repeat(26)).parse::<OrderNumber>(),
        Err(OrderNumberError::Vend(_))
    ));
}
