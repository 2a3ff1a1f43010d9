//! The bytes of "Worked example" in `docs/protocols/link.md`: code and page must agree.

#![expect(clippy::panic, reason = "a test says so when the link breaks")]

use gas_link::{
    CentralOffer, Operation, Output, PeripheralOffer, Request, RequestId, Response, Session, Status,
};

const TOKEN: &str = "0101010011000012345600000008010001c13800004e20677a1e00036b03f9978f3a5b6c7d8e9f01\
                     c36b41a75a08f7795976b3a955295108";
const RECEIPT: &str = "01810100110000123456000100000008c36b41a70001c1380000000000007e590001e2406b03f9ec\
                       00004f4504876975efeebb32ac0d3ccf0de4";

/// `>` from phone to card, `<` from card to phone, in order, each confirmed before the next of its
/// direction. The phone offers values of 20 bytes and a window of 4; the card 244 and 4.
const WIRE: &[&str] = &[
    // hello
    "> 80010100140400000001",
    "< 8001001404000400000001",
    // CARD
    "> 0b00000f01010102030405060708009af10286",
    "< 0400",
    // DELIVER
    "> 0901004701031122334455667788000101010011",
    "> 0802000012345600000008010001c13800004e20",
    "< 0402",
    "> 0803677a1e00036b03f9978f3a5b6c7d8e9f01c3",
    "> 08046b41a75a08f7795976b3a95529510888e1d3",
    "< 0404",
    "> 0a058d",
    "< 0405",
    // its response
    "< 0900004902031122334455667788000181010011",
    "< 08010000123456000100000008c36b41a70001c1",
    "> 0401",
    "< 0802380000000000007e590001e2406b03f9ec00",
    "< 0803004f4504876975efeebb32ac0d3ccf0de43c",
    "> 0403",
    "< 0a04687cfe",
    "> 0404",
];

fn value_of(output: Option<Output>) -> Option<gas_link::Value> {
    match output {
        Some(Output::Transmit(value)) => Some(value),
        Some(Output::Ready { .. } | Output::Message(_) | Output::Reset(_) | Output::Fault(_))
        | None => None,
    }
}

/// Lets both sides talk until neither has anything to say; what was sent, as lines, and the messages.
fn talk(phone: &mut Session, card: &mut Session) -> (Vec<String>, Vec<gas_link::Frame>) {
    let (mut lines, mut messages) = (Vec::new(), Vec::new());
    loop {
        let mut quiet = true;
        for (sign, from, to) in [(">", 0, 1), ("<", 1, 0)] {
            let sides = [&mut *phone, &mut *card];
            while let Some(output) = sides[from].poll(0) {
                quiet = false;
                match output {
                    Output::Message(frame) => messages.push(frame),
                    other @ (Output::Ready { .. } | Output::Transmit(_)) => {
                        let Some(value) = value_of(Some(other)) else {
                            continue;
                        };
                        lines.push(format!("{sign} {}", hex::encode(&value)));
                        sides[to].handle_value(&value, 0);
                        sides[from].handle_sent(0);
                        // Each value is answered at once where there is something to answer.
                        break;
                    }
                    Output::Reset(reason) => panic!("{reason}"),
                    Output::Fault(fault) => panic!("{fault}"),
                }
            }
        }
        if quiet {
            return (lines, messages);
        }
    }
}

#[test]
fn code_and_page_agree() {
    let mut phone = Session::central(CentralOffer {
        value_max: 20,
        window: 4,
    });
    let mut card = Session::peripheral(PeripheralOffer {
        value_max: 244,
        window: 4,
    });
    phone.hello([0, 0, 0, 1], 0);
    let (mut wire, _) = talk(&mut phone, &mut card);
    let id = RequestId([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
    let ask_card = Request {
        id: RequestId([1, 2, 3, 4, 5, 6, 7, 8]),
        operation: Operation::Card,
    };
    phone.send(&ask_card.to_frame(), 0).unwrap();
    let (lines, messages) = talk(&mut phone, &mut card);
    assert_eq!(Request::parse(&messages[0]), Ok(ask_card));
    wire.extend(lines);
    let deliver = Request {
        id,
        operation: Operation::Deliver(hex::decode(TOKEN).unwrap().into_iter().collect()),
    };
    phone.send(&deliver.to_frame(), 0).unwrap();
    let (lines, messages) = talk(&mut phone, &mut card);
    assert_eq!(Request::parse(&messages[0]), Ok(deliver));
    wire.extend(lines);
    let accepted = Response {
        id,
        operation: 3,
        status: Status::Ok,
        body: hex::decode(RECEIPT).unwrap().into_iter().collect(),
    };
    card.send(&accepted.to_frame(), 0).unwrap();
    let (lines, messages) = talk(&mut phone, &mut card);
    assert_eq!(Response::parse(&messages[0]), Ok(accepted));
    wire.extend(lines);
    assert_eq!(wire, WIRE);
    let page = include_str!("../../../docs/protocols/link.md");
    for line in WIRE {
        assert!(page.contains(line), "link.md lacks {line}");
    }
}
