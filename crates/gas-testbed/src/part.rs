use crate::process::{Ready, read_ready};

/// A program of the whole, running as long as the run does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The payment provider (sandbox).
    Provider,
    /// The gas company's server.
    Company,
    /// The payment server.
    Pay,
    /// The cloud data server.
    Cloud,
    /// The virtual radio between cards and phones.
    Radio,
    /// The D-Bus bus between a browser and its Bluetooth.
    Bus,
    /// The gas meter.
    Meter,
    /// The neighbour's gas meter.
    NeighbourMeter,
    /// The card in the meter.
    Card,
    /// The card in the neighbour's meter.
    NeighbourCard,
    /// The browser's Bluetooth: BlueZ's face on the bus, a host of the radio below.
    Bluez,
    /// The bridge between a page in a browser without Bluetooth and the radio.
    Bridge,
}

impl Part {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 12] = [
        Self::Provider,
        Self::Company,
        Self::Pay,
        Self::Cloud,
        Self::Radio,
        Self::Bus,
        Self::Meter,
        Self::NeighbourMeter,
        Self::Card,
        Self::NeighbourCard,
        Self::Bluez,
        Self::Bridge,
    ];

    /// One household and all servers: what runs unless told otherwise.
    pub const USUAL: [Self; 7] = [
        Self::Provider,
        Self::Company,
        Self::Pay,
        Self::Cloud,
        Self::Radio,
        Self::Meter,
        Self::Card,
    ];

    /// What a browser needs to reach the radio.
    pub const BROWSER_RADIO: [Self; 2] = [Self::Bus, Self::Bluez];

    /// One more meter of the same gas company, with a card of its own, on the same radio.
    pub const NEIGHBOUR: [Self; 2] = [Self::NeighbourMeter, Self::NeighbourCard];

    /// Its name, and that of its folder in the run directory.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Company => "company",
            Self::Pay => "pay",
            Self::Cloud => "cloud",
            Self::Radio => "radio",
            Self::Bus => "bus",
            Self::Meter => "meter",
            Self::NeighbourMeter => "neighbour-meter",
            Self::Card => "card",
            Self::NeighbourCard => "neighbour-card",
            Self::Bluez => "bluez",
            Self::Bridge => "bridge",
        }
    }

    /// The part of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// What it is, for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Provider => "payment provider (sandbox)",
            Self::Company => "gas company server",
            Self::Pay => "payment server",
            Self::Cloud => "cloud data server",
            Self::Radio => "virtual radio",
            Self::Bus => "browser's D-Bus bus",
            Self::Meter => "gas meter",
            Self::NeighbourMeter => "neighbour's gas meter",
            Self::Card => "card",
            Self::NeighbourCard => "neighbour's card",
            Self::Bluez => "browser's Bluetooth",
            Self::Bridge => "bridge to the demo card",
        }
    }

    /// Whether others must be ready before it can start: a card opens the radio and its meter's port, the
    /// browser's Bluetooth the radio and the bus. The bridge reaches the radio when a page asks it to.
    pub(crate) const fn needs_others(self) -> bool {
        match self {
            Self::Card | Self::NeighbourCard | Self::Bluez => true,
            Self::Provider
            | Self::Company
            | Self::Pay
            | Self::Cloud
            | Self::Radio
            | Self::Bus
            | Self::Meter
            | Self::NeighbourMeter
            | Self::Bridge => false,
        }
    }

    /// What a line that it prints tells of its being ready. The bus is not ours and prints its address.
    pub(crate) fn reads_ready(self) -> fn(&str) -> Option<Ready> {
        match self {
            Self::Bus => read_bus_address,
            Self::Provider
            | Self::Company
            | Self::Pay
            | Self::Cloud
            | Self::Radio
            | Self::Meter
            | Self::NeighbourMeter
            | Self::Card
            | Self::NeighbourCard
            | Self::Bluez
            | Self::Bridge => read_ready,
        }
    }
}

fn read_bus_address(line: &str) -> Option<Ready> {
    line.starts_with("unix:")
        .then(|| Ready::from([("bus".to_owned(), line.to_owned())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_name_of_its_own_and_its_place() {
        for part in Part::ALL {
            assert_eq!(Part::named(part.name()), Some(part));
        }
        assert!(Part::ALL.is_sorted_by(|one, next| one < next));
        assert_eq!(Part::named("kitchen"), None);
    }

    #[test]
    fn the_bus_is_ready_when_it_prints_its_address() {
        let reads = Part::Bus.reads_ready();
        let facts = reads("unix:path=/run/bus/socket,guid=00ff").unwrap();
        assert_eq!(facts["bus"], "unix:path=/run/bus/socket,guid=00ff");
        assert_eq!(reads("dbus-daemon: Failed to set fd limit"), None);
        assert_eq!(reads("READY"), None);
    }
}
