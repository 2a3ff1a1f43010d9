//! Whatever a shell, a phone or a line may do: the card goes on, and comes to rest each time.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so when the card breaks"
)]

mod doubles;

use doubles::{Flash, deliver, token};
use gas_card::{Card, CardConfig, Event};
use gas_link::{Data, Hello};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Connected(u16),
    Mtu(u16),
    Encrypted,
    Disconnected,
    Hello,
    Deliver(u8),
    Written(Vec<u8>),
    Confirmed,
    Failed,
    Opened,
    Received(Vec<u8>),
    Closed,
    Wait(u16),
    Reboot,
}

fn act() -> impl Strategy<Value = Act> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..280);
    prop_oneof![
        1 => any::<u16>().prop_map(Act::Connected),
        1 => any::<u16>().prop_map(Act::Mtu),
        1 => Just(Act::Encrypted),
        1 => Just(Act::Disconnected),
        3 => Just(Act::Hello),
        3 => (0..4_u8).prop_map(Act::Deliver),
        1 => bytes().prop_map(Act::Written),
        4 => Just(Act::Confirmed),
        1 => Just(Act::Failed),
        2 => Just(Act::Opened),
        1 => bytes().prop_map(Act::Received),
        1 => Just(Act::Closed),
        4 => any::<u16>().prop_map(Act::Wait),
        1 => Just(Act::Reboot),
    ]
}

fn boot(flash: Flash, now: u64) -> Card<Flash> {
    let config = CardConfig {
        card: "0000000120260042".parse().unwrap(),
        firmware: [0, 1, 0],
        poll_interval_ms: 0,
    };
    Card::boot(flash, config, now).unwrap()
}

/// A whole DELIVER in one segment, as the first of a session.
fn delivery(number: u8) -> Vec<u8> {
    let request = deliver(number, &token("00110000123456", number.into()));
    let body = request.to_frame().to_message();
    let segment = Data {
        sequence: 0,
        acknowledged: None,
        message_len: u16::try_from(body.len()).ok(),
        last: true,
        payload: &body,
    };
    segment.to_value().unwrap().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]
    #[test]
    fn the_card_comes_to_rest(acts in prop::collection::vec(act(), 1..80)) {
        let mut now = 1_000_000;
        let mut card = boot(Flash::blank(), now);
        let hello = Hello { version_min: 1, version_max: 1, value_max: 244, window: 4, session: [1; 4] };
        for act in acts {
            let event = match &act {
                Act::Connected(att_mtu) => Event::LinkConnected { att_mtu: *att_mtu },
                Act::Mtu(att_mtu) => Event::LinkMtu { att_mtu: *att_mtu },
                Act::Encrypted => Event::LinkEncrypted,
                Act::Disconnected => Event::LinkDisconnected,
                Act::Hello => Event::Written(&hello.to_bytes()),
                Act::Deliver(number) => Event::Written(&delivery(*number)),
                Act::Written(value) => Event::Written(value),
                Act::Confirmed => Event::IndicationConfirmed,
                Act::Failed => Event::IndicationFailed,
                Act::Opened => Event::SerialOpened,
                Act::Received(bytes) => Event::SerialReceived(bytes),
                Act::Closed => Event::SerialClosed,
                Act::Wait(ms) => { now += u64::from(*ms); Event::Tick },
                Act::Reboot => { card = boot(card.into_flash(), now); Event::Tick },
            };
            card.handle(event, now);
            let mut effects = 0;
            while card.poll(now).is_some() {
                effects += 1;
                prop_assert!(effects < 10, "{act:?} has no end");
            }
            // Rest means rest: a deadline that is over would make the shell spin.
            card.handle(Event::Tick, now);
            prop_assert!(card.poll(now).is_none());
            prop_assert!(card.deadline().is_none_or(|at| at > now), "{act:?}: {:?}", card.deadline());
        }
    }
}
