//! What is said over the WebSocket: JSON texts, a request of the page and what becomes of it.

use gas_api::HexBytes;
use gas_hci::{BluetoothAddress, CentralError, Found};
use serde::{Deserialize, Serialize};

/// A request of the page. Braces even where there is nothing in them: only so does serde refuse members that are
/// too many.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Which cards are in reach.
    Cards {},
    /// A link to one of them.
    Connect { card: Card },
    /// The value of Info.
    ReadInfo {},
    /// Bond is read, after pairing where that is needed.
    Pair {},
    /// A value for Request.
    Write { value: HexBytes },
}

/// Whether this text is a request of a page.
#[must_use]
pub fn is_request(text: &str) -> bool {
    serde_json::from_str::<Request>(text).is_ok()
}

/// A card, by the address at which it is reached.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Card(pub(crate) BluetoothAddress);

impl TryFrom<String> for Card {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address = text.parse();
        address
            .map(Self)
            .map_err(|_| "no card is called so".to_owned())
    }
}

/// What the page is told.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// In reach, the nearest first.
    Cards { cards: Vec<InReach> },
    /// The link is up, and listens to Response.
    Connected {},
    /// The value of Info.
    Info { value: HexBytes },
    /// Bond was read.
    Paired {},
    /// The card's radio has the value.
    Written {},
    /// An indication of Response.
    Heard { value: HexBytes },
    /// The request failed, and with it the link; its outcome is unknown.
    Failed { trouble: Trouble, detail: String },
}

#[derive(Debug, Serialize)]
pub(crate) struct InReach {
    card: String,
    name: String,
    rssi: i8,
}

impl From<Found> for InReach {
    fn from(found: Found) -> Self {
        Self {
            card: found.address.to_string(),
            name: found.name,
            rssi: found.rssi,
        }
    }
}

/// What can go wrong with a link, by the names that the page has for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trouble {
    BluetoothOff,
    OutOfReach,
    LinkLost,
    NotACard,
    Pairing,
    LinkStalled,
}

impl Trouble {
    /// What went wrong before there was a link.
    pub(crate) const fn reaching(error: &CentralError) -> Self {
        match Self::linked(error) {
            Self::LinkLost | Self::LinkStalled | Self::OutOfReach => Self::OutOfReach,
            other @ (Self::BluetoothOff | Self::NotACard | Self::Pairing) => other,
        }
    }

    /// What went wrong with a link that was up.
    pub(crate) const fn linked(error: &CentralError) -> Self {
        match error {
            CentralError::Ended => Self::BluetoothOff,
            CentralError::NotACard(_) => Self::NotACard,
            CentralError::Pairing(_) => Self::Pairing,
            CentralError::Timeout(_) => Self::LinkStalled,
            // And whatever else there will be.
            CentralError::Disconnected | CentralError::Failed { .. } | _ => Self::LinkLost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Request> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn a_request_is_one_of_five_and_nothing_else_is() {
        assert!(matches!(
            parsed(r#"{"op":"cards"}"#),
            Some(Request::Cards {})
        ));
        assert!(matches!(parsed(r#"{"op":"pair"}"#), Some(Request::Pair {})));
        assert!(matches!(
            parsed(r#"{"op":"read_info"}"#),
            Some(Request::ReadInfo {})
        ));
        let connect = parsed(r#"{"op":"connect","card":"F0:26:11:00:00:42"}"#);
        assert!(
            matches!(connect, Some(Request::Connect { card }) if card.0.to_string() == "F0:26:11:00:00:42")
        );
        let write = parsed(r#"{"op":"write","value":"80ff"}"#);
        assert!(matches!(write, Some(Request::Write { value }) if value.0 == [0x80, 0xff]));
        for garbage in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"op":"jump"}"#,
            r#"{"op":"cards","twice":true}"#,
            r#"{"op":"connect"}"#,
            r#"{"op":"connect","card":"00:11:22:33:44:55"}"#,
            r#"{"op":"connect","card":7}"#,
            r#"{"op":"write","value":"8"}"#,
            r#"{"op":"write","value":"xx"}"#,
            r#"{"op":"write"}"#,
            r#"{"op":"cards"}{"op":"cards"}"#,
        ] {
            assert!(parsed(garbage).is_none(), "{garbage}");
        }
        let long = format!(r#"{{"op":"write","value":"{}"}}"#, "00".repeat(513));
        assert!(parsed(&long).is_none(), "a value longer than any of GATT");
    }

    #[test]
    fn the_longest_value_fits_into_a_message() {
        let longest = format!(r#"{{"op":"write","value":"{}"}}"#, "00".repeat(512));
        assert!(longest.len() < crate::MESSAGE_MAX);
        assert!(parsed(&longest).is_some());
    }

    #[test]
    fn troubles_are_told_by_the_pages_names() {
        let told = |trouble| serde_json::to_string(&trouble).unwrap();
        assert_eq!(told(Trouble::BluetoothOff), r#""bluetooth_off""#);
        assert_eq!(told(Trouble::NotACard), r#""not_a_card""#);
        let stalled = CentralError::Timeout("connect");
        assert_eq!(Trouble::reaching(&stalled), Trouble::OutOfReach);
        assert_eq!(Trouble::linked(&stalled), Trouble::LinkStalled);
        assert_eq!(
            Trouble::linked(&CentralError::Disconnected),
            Trouble::LinkLost
        );
        assert_eq!(
            Trouble::reaching(&CentralError::Ended),
            Trouble::BluetoothOff
        );
        let event = Event::Failed {
            trouble: Trouble::Pairing,
            detail: "no".to_owned(),
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(
            text,
            r#"{"event":"failed","trouble":"pairing","detail":"no"}"#
        );
    }
}
