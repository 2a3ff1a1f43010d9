//! What customers are asked to pay, by worked examples and by properties.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use gas_tariff::{CheckError, Explanation, LineKind, QuoteBasis, QuoteError, Tariff, Want};
use gas_units::{Money, Unit, Volume};
use proptest::prelude::*;

const LIMIT: Money = Money::from_fen(500_000);

fn m3(hundredths: u32) -> Volume {
    Volume::from_centi_m3(hundredths)
}

fn amount(fen: i64) -> Want {
    Want::Amount(Money::from_fen(fen))
}

fn basis(unit: Unit, used: u32) -> QuoteBasis {
    QuoteBasis {
        unit,
        register_centi_m3: m3(1_000_000 + used),
        year_start_register_centi_m3: m3(1_000_000),
        purchased_this_year_centi_m3: Volume::ZERO,
        used_before_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: 0,
    }
}

fn quote(basis: QuoteBasis, want: Want) -> Explanation {
    let explanation = Tariff::default().quote(basis, want, LIMIT).unwrap();
    explanation.check().unwrap();
    explanation
}

/// `(kind, from, to, price, amount)` of every line.
fn lines(explanation: &Explanation) -> Vec<(LineKind, u32, u32, u32, u64)> {
    explanation
        .lines
        .iter()
        .map(|line| {
            (
                line.kind,
                line.from_centi_m3.centi_m3(),
                line.to_centi_m3.centi_m3(),
                line.price_fen_per_m3,
                line.amount_centi_fen,
            )
        })
        .collect()
}

#[test]
fn a_money_meter_is_credited_what_is_paid() {
    // 50 CNY with 10 m³ used and 26.10 CNY (10 m³) still there: begins at 20 m³.
    let mut basis = basis(Unit::Fen, 1_000);
    basis.balance = 2_610;
    let quote = quote(basis, amount(5_000));
    assert_eq!(quote.position_centi_m3, m3(2_000));
    assert_eq!(quote.payable_fen, Money::from_fen(5_000));
    assert_eq!(quote.credit, 5_000);
    // 500,000 / 261 = 1915 and 185 over.
    assert_eq!(
        lines(&quote),
        [
            (LineKind::Tier(1), 2_000, 3_915, 261, 499_815),
            (LineKind::Rounding, 3_915, 3_915, 0, 185),
        ]
    );
}

#[test]
fn a_sale_across_both_borders_says_which_gas_costs_what() {
    let mut basis = basis(Unit::CentiCubicMetre, 100);
    basis.purchased_this_year_centi_m3 = m3(34_000);
    let quote = quote(basis, Want::Volume(m3(20_000)));
    assert_eq!(
        lines(&quote),
        [
            (LineKind::Tier(1), 34_000, 35_000, 261, 261_000),
            (LineKind::Tier(2), 35_000, 50_000, 283, 4_245_000),
            (LineKind::Tier(3), 50_000, 54_000, 423, 1_692_000),
        ]
    );
    assert_eq!(quote.payable_fen, Money::from_fen(61_980));
    assert_eq!(quote.credit, 20_000);
    assert_eq!(quote.new_gas(), m3(20_000));
}

#[test]
fn the_place_in_the_year_is_the_households_and_comes_with_it_to_another_meter() {
    for unit in [Unit::Fen, Unit::CentiCubicMetre] {
        let moved = QuoteBasis {
            used_before_centi_m3: m3(34_000),
            ..basis(unit, 900)
        };
        let stayed = quote(basis(unit, 34_900), amount(10_000));
        let bought = quote(moved, amount(10_000));
        assert_eq!(bought.position_centi_m3, stayed.position_centi_m3);
        assert_eq!(bought.lines, stayed.lines);
    }
    // Who never changed a meter has the words of before.
    let json = serde_json::to_string(&basis(Unit::Fen, 1)).unwrap();
    assert!(!json.contains("used_before"), "{json}");
}

#[test]
fn people_can_read_it() {
    let mut basis = basis(Unit::Fen, 34_900);
    basis.balance = -150;
    let text = quote(basis, amount(10_000)).to_string();
    assert_eq!(
        text,
        "Reading 10349.00 m³; the sale begins at m³ 349.00 of this year (tariff version 1)\n\
         Arrears: 1.5000 CNY\n\
         Tier 1: m³ 349.00 to 350.00 of this year, 1.00 m³ at 2.61 CNY: 2.6100 CNY\n\
         Tier 2: m³ 350.00 to 383.88 of this year, 33.88 m³ at 2.83 CNY: 95.8804 CNY\n\
         Rounding: 0.0096 CNY\n\
         To pay 100.00 CNY; credited 100.00 CNY"
    );
}

#[test]
fn arrears_are_paid_back_first() {
    let mut money = basis(Unit::Fen, 1_000);
    money.balance = -1_000;
    let partly = quote(money, amount(400));
    assert_eq!(
        lines(&partly),
        [(LineKind::Arrears, 1_000, 1_000, 0, 40_000)]
    );
    let wanted_gas = quote(money, Want::Volume(m3(100)));
    assert_eq!(wanted_gas.payable_fen, Money::from_fen(1_261));
    assert_eq!(wanted_gas.credit, 1_261);

    // A volume meter owes gas: the metres 8..10 of the year were burnt and not bought.
    let mut volume = basis(Unit::CentiCubicMetre, 1_000);
    volume.purchased_this_year_centi_m3 = m3(800);
    volume.balance = -200;
    let bought = quote(volume, Want::Volume(m3(300)));
    assert_eq!(
        lines(&bought)[..2],
        [
            (LineKind::Arrears, 800, 1_000, 261, 52_200),
            (LineKind::Tier(1), 1_000, 1_300, 261, 78_300),
        ]
    );
    assert_eq!(bought.credit, 500);
    assert_eq!(bought.new_gas(), m3(300));
}

#[test]
fn what_is_on_its_way_counts_as_there() {
    let mut money = basis(Unit::Fen, 1_000);
    money.undelivered = 2_610;
    assert_eq!(quote(money, amount(100)).position_centi_m3, m3(2_000));
    money.balance = -2_610;
    let paid_back = quote(money, amount(100));
    assert_eq!(paid_back.position_centi_m3, m3(1_000));
    assert!(
        paid_back
            .lines
            .iter()
            .all(|line| line.kind != LineKind::Arrears)
    );
}

#[test]
fn a_changed_reading_changes_the_quote_of_either_meter() {
    for unit in [Unit::Fen, Unit::CentiCubicMetre] {
        let before = quote(basis(unit, 34_000), Want::Volume(m3(2_000)));
        let after = quote(basis(unit, 34_001), Want::Volume(m3(2_000)));
        assert_eq!(after.position_centi_m3, m3(34_001), "{unit:?}");
        assert!(
            after.lines[0].amount_centi_fen < before.lines[0].amount_centi_fen,
            "less gas of the first tier is left: {unit:?}"
        );
        assert!(after.payable_fen >= before.payable_fen, "{unit:?}");
        let far = quote(basis(unit, 40_000), Want::Volume(m3(2_000)));
        assert!(far.payable_fen > before.payable_fen, "{unit:?}");
    }
}

#[test]
fn a_volume_meter_is_placed_by_the_larger_of_use_and_purchases() {
    for (used, purchased, position) in [(100, 50, 100), (50, 100, 100), (0, 0, 0)] {
        let mut basis = basis(Unit::CentiCubicMetre, used);
        basis.purchased_this_year_centi_m3 = m3(purchased);
        assert_eq!(
            quote(basis, Want::Volume(m3(1))).position_centi_m3,
            m3(position)
        );
    }
}

#[test]
fn refuses_with_its_reason() {
    let tariff = Tariff::default();
    let ask = |basis, want| tariff.quote(basis, want, LIMIT).unwrap_err();
    let money = basis(Unit::Fen, 0);
    let volume = basis(Unit::CentiCubicMetre, 0);
    for want in [amount(0), amount(-1), Want::Volume(Volume::ZERO)] {
        assert_eq!(ask(money, want), QuoteError::Nothing);
    }
    let above = QuoteError::AboveLimit {
        payable: Money::from_fen(500_001),
        limit: LIMIT,
    };
    assert_eq!(ask(money, amount(500_001)), above);
    assert_eq!(ask(volume, amount(500_001)), above);
    assert!(tariff.quote(money, amount(500_000), LIMIT).is_ok());
    assert!(tariff.quote(money, amount(1), LIMIT).is_ok());
    assert!(matches!(
        ask(volume, Want::Volume(m3(1_000_000))),
        QuoteError::AboveLimit { .. }
    ));
    assert_eq!(
        ask(volume, amount(2)),
        QuoteError::BuysNothing {
            amount: Money::from_fen(2)
        }
    );
    assert_eq!(
        ask(money, amount(i64::MAX)),
        QuoteError::AboveLimit {
            payable: Money::from_fen(i64::MAX),
            limit: LIMIT
        }
    );
    let endless = Money::from_fen(i64::MAX);
    assert_eq!(
        tariff.quote(money, amount(i64::MAX), endless),
        Err(QuoteError::OutOfRange)
    );
    assert_eq!(
        tariff.quote(volume, Want::Volume(m3(u32::MAX)), endless),
        Err(QuoteError::OutOfRange)
    );
    let mut back = money;
    back.register_centi_m3 = m3(999_999);
    assert_eq!(
        ask(back, amount(1)),
        QuoteError::RegisterWentBack {
            register: m3(999_999),
            year_start: m3(1_000_000)
        }
    );
}

#[test]
fn a_quote_that_was_touched_does_not_check() {
    let mut basis = basis(Unit::Fen, 34_900);
    basis.balance = -150;
    let good = quote(basis, amount(10_000));
    let touched = |touch: fn(&mut Explanation)| {
        let mut quote = good.clone();
        touch(&mut quote);
        quote.check().unwrap_err()
    };
    use CheckError::{Basis, Differs, Line, Sum};
    assert_eq!(
        touched(|quote| quote.lines[1].amount_centi_fen += 100),
        Line(2)
    );
    assert_eq!(
        touched(|quote| quote.payable_fen = Money::from_fen(10_001)),
        Sum
    );
    assert_eq!(
        touched(|quote| {
            quote.payable_fen = Money::from_fen(10_001);
            quote.lines[0].amount_centi_fen += 100;
        }),
        Differs("what is to be paid")
    );
    assert_eq!(
        touched(|quote| quote.credit -= 1),
        Differs("what will be credited")
    );
    assert_eq!(
        touched(|quote| quote.position_centi_m3 = Volume::from_centi_m3(34_899)),
        Differs("the place in the year")
    );
    assert_eq!(
        touched(|quote| {
            quote.lines[0].amount_centi_fen += 1;
            quote.lines[3].amount_centi_fen -= 1;
        }),
        Differs("the lines")
    );
    assert_eq!(
        touched(|quote| quote.basis.balance = 0),
        Differs("the lines")
    );
    assert_eq!(
        touched(|quote| {
            quote.want = Want::Amount(Money::ZERO);
        }),
        Basis(QuoteError::Nothing)
    );
}

#[test]
fn survives_json() {
    let explanation = quote(basis(Unit::CentiCubicMetre, 34_900), amount(10_000));
    let text = serde_json::to_string(&explanation).unwrap();
    assert!(text.contains(r#""want":{"amount_fen":10000}"#), "{text}");
    assert!(text.contains(r#"{"kind":{"tier":2},"#), "{text}");
    assert_eq!(
        serde_json::from_str::<Explanation>(&text).unwrap(),
        explanation
    );
}

fn any_basis() -> impl Strategy<Value = QuoteBasis> {
    (
        any::<bool>(),
        0..60_000_u32,
        0..60_000_u32,
        0..50_000_u32,
        -50_000..50_000_i32,
    )
        .prop_map(
            |(money, used, purchased, undelivered, balance)| QuoteBasis {
                purchased_this_year_centi_m3: m3(purchased),
                used_before_centi_m3: Volume::ZERO,
                undelivered,
                balance,
                ..basis(
                    if money {
                        Unit::Fen
                    } else {
                        Unit::CentiCubicMetre
                    },
                    used,
                )
            },
        )
}

proptest! {
    #[test]
    fn every_quote_checks_and_never_asks_for_more_than_was_offered(
        basis in any_basis(), fen in 5..500_000_i64
    ) {
        let quote = quote(basis, amount(fen));
        prop_assert!(quote.payable_fen.fen() <= fen);
        if basis.unit == Unit::Fen {
            prop_assert_eq!(quote.payable_fen.fen(), fen);
            prop_assert_eq!(i64::from(quote.credit), fen);
        } else {
            // The largest volume affordable: 0.01 m³ more would cost more than was offered.
            let one_more = Tariff::default().prices_fen_per_m3()[2];
            prop_assert!((fen - quote.payable_fen.fen()) * 100 < i64::from(one_more) + 100);
        }
    }

    #[test]
    fn more_money_never_buys_less(basis in any_basis(), fen in 5..400_000_i64, more in 0..1_000_i64) {
        let (less, more) = (quote(basis, amount(fen)), quote(basis, amount(fen + more)));
        prop_assert!(less.credit <= more.credit);
        prop_assert!(less.new_gas() <= more.new_gas());
    }

    #[test]
    fn more_gas_never_costs_less(basis in any_basis(), wanted in 1..40_000_u32, more in 0..1_000_u32) {
        let dear = Money::from_fen(10_000_000);
        let ask = |hundredths| {
            Tariff::default().quote(basis, Want::Volume(m3(hundredths)), dear).unwrap()
        };
        prop_assert!(ask(wanted).payable_fen <= ask(wanted + more).payable_fen);
    }

    #[test]
    fn a_higher_reading_never_makes_gas_cheaper(
        basis in any_basis(), wanted in 1..20_000_u32, burnt in 0..1_000_u32
    ) {
        // The same balance at a higher reading: further into the year.
        let dear = Money::from_fen(10_000_000);
        let mut later = basis;
        later.register_centi_m3 = m3(basis.register_centi_m3.centi_m3() + burnt);
        let want = Want::Volume(m3(wanted));
        let (now, then) = (
            Tariff::default().quote(basis, want, dear).unwrap(),
            Tariff::default().quote(later, want, dear).unwrap(),
        );
        prop_assert!(now.payable_fen <= then.payable_fen);
    }

    #[test]
    fn volume_to_amount_to_volume_never_gains(basis in any_basis(), wanted in 1..40_000_u32) {
        let dear = Money::from_fen(10_000_000);
        let by_volume =
            Tariff::default().quote(basis, Want::Volume(m3(wanted)), dear).unwrap();
        let by_amount =
            Tariff::default().quote(basis, Want::Amount(by_volume.payable_fen), dear).unwrap();
        prop_assert!(by_amount.new_gas() <= m3(wanted));
        prop_assert!(by_amount.credit <= by_volume.credit);
        prop_assert!(by_amount.payable_fen <= by_volume.payable_fen);
    }

    #[test]
    fn buying_in_two_pieces_never_gains(
        purchased in 0..60_000_u32, first in 1..20_000_u32, second in 1..20_000_u32
    ) {
        let dear = Money::from_fen(10_000_000);
        let ask = |purchased, wanted| {
            let mut basis = basis(Unit::CentiCubicMetre, 0);
            basis.purchased_this_year_centi_m3 = m3(purchased);
            Tariff::default().quote(basis, Want::Volume(m3(wanted)), dear).unwrap().payable_fen.fen()
        };
        let pieces = ask(purchased, first) + ask(purchased + first, second);
        prop_assert!(ask(purchased, first + second) <= pieces);
    }
}
