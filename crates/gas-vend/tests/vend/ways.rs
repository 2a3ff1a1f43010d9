//! In which way payment is asked for: chosen once, then told in the same words.

use std::net::IpAddr;

use gas_api::pay::{PaymentRequest, Presentation, Way};
use gas_vend::{Event, Refused, Vend};

use crate::facts::{NOW, new_vend, over_limit, quote_hash, request};

fn h5(payer_ip: &str) -> Way {
    let payer_ip: IpAddr = payer_ip.parse().unwrap();
    Way::H5 { payer_ip }
}

fn asked(way: Way) -> Event {
    let quote_hash = quote_hash();
    Event::TenderAsked { quote_hash, way }
}

fn live(vend: &Vend, event: Event) -> Vend {
    vend.apply(event, NOW).unwrap().vend
}

#[test]
fn the_first_way_stays_and_so_does_the_payer() {
    let (first, elsewhere) = (h5("192.0.2.7"), h5("2001:db8::7"));
    let reserving = live(&new_vend(), asked(first));
    let requested = live(&reserving, Event::Reserved { attempt: 1 });
    for vend in [reserving, requested] {
        let again = vend.apply(asked(elsewhere), NOW).unwrap();
        assert_eq!((&again.vend, again.effects.len()), (&vend, 0));
        assert_eq!(again.vend.way(), first);
        let other = vend.apply(asked(Way::Native), NOW);
        assert_eq!(other, Err(Refused::PresentationDiffers));
    }
}

#[test]
fn after_a_refusal_it_is_chosen_anew() {
    let mut vend = live(&new_vend(), asked(Way::Native));
    let why = over_limit();
    vend = live(&vend, Event::ReservationRefused { attempt: 1, why });
    assert_eq!(
        vend.apply(asked(h5("192.0.2.7")), NOW),
        Err(Refused::PresentationDiffers)
    );
    vend = live(&vend, Event::NoTender { attempt: 1 });
    let way = h5("192.0.2.7");
    assert_eq!(live(&vend, asked(way)).way(), way);
}

#[test]
fn a_provider_need_not_offer_it() {
    let requested = [asked(h5("192.0.2.7")), Event::Reserved { attempt: 1 }];
    let code = request(20_000);
    assert_eq!(code.presentation, Presentation::Native);
    let opened = Event::TenderOpened { request: code };
    let vend = requested.into_iter().chain([opened]);
    let vend = vend.fold(new_vend(), |vend, event| live(&vend, event));
    for way in [Way::Native, h5("192.0.2.7")] {
        assert_eq!(
            live(&vend, asked(way)),
            vend,
            "as it is shown, or as it was asked for"
        );
    }
}

#[test]
fn what_was_saved_before_ways_were_told_apart_is_a_qr_code() {
    let mut saved = serde_json::to_value(new_vend()).unwrap();
    assert!(saved.as_object_mut().unwrap().remove("way").is_some());
    let read: Vend = serde_json::from_value(saved).unwrap();
    assert_eq!(read, new_vend());
    let request: PaymentRequest = serde_json::from_value(serde_json::json!({
        "provider": "wechat", "presentation": "native", "code_url": "weixin://a",
        "amount_fen": 1, "expires_at_ms": 1,
    }))
    .unwrap();
    assert_eq!(request.presentation, Way::default().presentation());
}
