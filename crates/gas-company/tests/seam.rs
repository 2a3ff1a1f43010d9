//! The company asked without HTTP, as the simulator asks it: with a clock and chance of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use gas_api::Jws;
use gas_api::company::{
    NoncesWanted, QuoteWanted, ReceiptReported, ReservationWanted, SaleState, SaleWanted,
    StateReported,
};
use gas_company::{Company, KeyStore, Mark, NewMeter};
use gas_http::{Clock, Entropy};
use gas_statement::{Quote, Sha256Digest, Signed};
use gas_tariff::Tariff;
use gas_token_issue::MasterKey;
use gas_units::{Money, Unit, UnixMillis};
use rig::{Bench, METER, Meter, company_key, pay_key, vend};

const NOW_MS: i64 = 1_795_435_200_000;

fn company(bench: &Bench) -> Company {
    let keys = KeyStore::new(MasterKey::from_bytes([9; 16]));
    let pay_key = pay_key().verifying_key();
    let clock = Clock::new(|| UnixMillis::from_millis(NOW_MS));
    let sevens = Entropy::new(|bytes| {
        bytes.fill(7);
        Ok(())
    });
    Company::new(
        bench.store.clone(),
        Mark::in_memory(),
        keys,
        company_key(),
        pay_key,
        clock,
        sevens,
    )
}

#[tokio::test]
async fn a_vend_by_the_methods_alone() {
    let bench = Bench::new().await;
    let company = company(&bench);
    let number = METER.parse().unwrap();
    let wanted = NoncesWanted {
        meter: number,
        count: 1,
        ahead: false,
    };
    let nonces = company.nonces(wanted).await.unwrap();
    let mut meter = Meter::new(METER);
    let wanted = QuoteWanted {
        meter: number,
        status: Some(meter.status(&nonces.asks[0])),
        want: gas_api::Want::AmountFen(Money::from_fen(5_000)),
    };
    let made = company.quote(vend(1), wanted).await.unwrap();
    let wanted = ReservationWanted {
        quote_hash: made.quote_hash,
    };
    company.reserve(vend(1), wanted).await.unwrap();
    let quote = Signed::<Quote>::verify(&made.quote.0, &company_key().verifying_key()).unwrap();
    let payment = Signed::sign(&pay_key(), bench.payment(&quote)).unwrap();
    let wanted = SaleWanted {
        payment: Jws(payment.shared_compact()),
        quote: None,
    };
    let sale = company.sell(vend(1), wanted).await.unwrap();
    assert_eq!(company.sale(vend(1)).await.unwrap(), sale);
    let reported = ReceiptReported {
        receipt: meter.deliver(&sale.token),
    };
    let believed = company.receipt(vend(1), reported).await.unwrap();
    assert_eq!(believed.sale.state, SaleState::Settled);
    assert_eq!(meter.account.balance, 5_000);
    // Its own chance: the same nonce twice is refused by the books, and nothing is given out.
    let again = NoncesWanted {
        meter: number,
        count: 1,
        ahead: false,
    };
    assert!(company.nonces(again).await.is_err());
}

#[tokio::test]
async fn away_from_the_meter_a_quote_rests_on_its_newest_reading() {
    let bench = Bench::new().await;
    let company = company(&bench);
    let meter = METER.parse().unwrap();
    let amount = |fen| gas_api::Want::AmountFen(Money::from_fen(fen));
    let unread = |want| QuoteWanted {
        meter,
        status: None,
        want,
    };
    let unknown = company.quote(vend(1), unread(amount(5_000))).await;
    assert_eq!(
        unknown.unwrap_err().outside().code,
        "quote_stale",
        "no reading yet"
    );

    // Read where there was no internet, with an ask that was fetched days before.
    let wanted = NoncesWanted {
        meter,
        count: 1,
        ahead: true,
    };
    let nonces = company.nonces(wanted).await.unwrap();
    let days = (nonces.expires_at_ms.millis() - NOW_MS) / 86_400_000;
    assert_eq!(days, 35);
    let status = Meter::new(METER).status(&nonces.asks[0]);
    let reported = StateReported {
        meter,
        status: status.clone(),
    };
    company.report_state(reported).await.unwrap();

    // Who has kept it for weeks gets no quote for it.
    let kept = QuoteWanted {
        status: Some(status.clone()),
        ..unread(amount(5_000))
    };
    let refused = company.quote(vend(2), kept).await;
    assert_eq!(refused.unwrap_err().outside().code, "nonce_not_live");

    let made = company.quote(vend(1), unread(amount(5_000))).await.unwrap();
    let again = company.quote(vend(1), unread(amount(5_000))).await.unwrap();
    assert_eq!(again, made, "the same again");
    let other = company.quote(vend(1), unread(amount(5_001))).await;
    assert_eq!(other.unwrap_err().outside().code, "id_reused");
    let quote = Signed::<Quote>::verify(&made.quote.0, &company_key().verifying_key()).unwrap();
    let quote = quote.statement();
    assert_eq!(quote.status_sha256, Sha256Digest::of(&status.0));
    let reservation = ReservationWanted {
        quote_hash: made.quote_hash,
    };
    company.reserve(vend(1), reservation).await.unwrap();
}

#[tokio::test]
async fn a_meter_is_provisioned_with_its_own_key_and_again_with_the_same() {
    let bench = Bench::new().await;
    let company = company(&bench);
    let new = NewMeter {
        meter: "00110000999999".parse().unwrap(),
        unit: Unit::CentiCubicMetre,
        tariff: Tariff::default(),
        limit: 5_000,
        sale_limit: Money::from_fen(100_000),
        year_start_register: None,
    };
    let made = company.provision(new).await.unwrap();
    let expected = MasterKey::from_bytes([9; 16]).meter_key(new.meter, 1);
    assert_eq!(made.key.expose(), expected.expose());
    assert_eq!((made.meter, made.generation), (new.meter, 1));
    assert_eq!((made.unit, made.limit), (new.unit, new.limit));
    let again = company.provision(new).await.unwrap();
    assert_eq!(again.key.expose(), made.key.expose());
    let other = NewMeter {
        limit: 6_000,
        ..new
    };
    assert!(company.provision(other).await.is_err());
    let book = bench.store.meter(new.meter).await.unwrap().unwrap();
    assert_eq!((book.limit, book.epoch, book.debit), (5_000, 0, None));
}
