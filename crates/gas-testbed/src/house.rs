use gas_units::Volume;

use crate::Part;

/// What the household used in this year before its story begins, 0.01 m³: near the end of the first
/// price tier, so that a quote has something to explain.
pub(crate) const GAS_BEFORE: u32 = 33_000;

/// A meter of the testbed's gas company, with the card in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct House {
    /// The meter's number.
    pub meter: &'static str,
    /// The card's number.
    pub card: &'static str,
    /// The card's Bluetooth address (static random).
    pub card_address: &'static str,
    /// The name that the card advertises (`docs/protocols/link.md`, section 1).
    pub card_name: &'static str,
    /// The meter's part in a run.
    pub meter_part: Part,
    /// The card's part in a run.
    pub card_part: Part,
    /// Where the new meter's register begins.
    pub(crate) register: Volume,
    /// What the new meter's balance is, fen.
    pub(crate) balance_fen: u32,
    /// Whether the household lives and uses gas; the time of a meter without stands.
    pub(crate) lives: bool,
}

/// The household. The register begins at that of its first day, less what it used in this year before
/// (`life.rs`).
pub const HOME: House = House {
    meter: "26110000012345",
    card: "2611000000000042",
    card_address: "F0:26:11:00:00:42",
    card_name: "Pilotlight-0042",
    meter_part: Part::Meter,
    card_part: Part::Card,
    register: Volume::from_centi_m3(964_200 - GAS_BEFORE),
    balance_fen: 95_000,
    lives: true,
};

/// The neighbour, who uses no gas.
pub const NEIGHBOUR: House = House {
    meter: "26110000099999",
    card: "2611000000000099",
    card_address: "F0:26:11:00:00:99",
    card_name: "Pilotlight-0099",
    meter_part: Part::NeighbourMeter,
    card_part: Part::NeighbourCard,
    register: Volume::ZERO,
    balance_fen: 0,
    lives: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_named_by_its_number() {
        for house in [HOME, NEIGHBOUR] {
            assert_eq!(
                house.card_name.strip_prefix("Pilotlight-"),
                house.card.get(12..)
            );
        }
    }
}
