//! The profile's identifiers (link.md section 1). The UUIDs are random, this product's own.

/// The GATT service.
pub const SERVICE: u128 = 0x5f9b8ec7_76b8_4120_a451_b3c0a3849625;
/// Info: read, open. 16 bytes, see [`crate::Info`].
pub const INFO: u128 = 0x78c37e22_1738_4015_a82f_404a9abb0ae6;
/// Request: write with response, open. Values from phone to card.
pub const REQUEST: u128 = 0x76f73fe2_de76_46d8_8b31_e3c4cf7c3a54;
/// Response: indicate. Values from card to phone.
pub const RESPONSE: u128 = 0x67445778_281a_4e42_b4aa_0d4514196b75;
/// Bond: read over an encrypted link only; reading it makes the phone's system pair. Value `01`.
pub const BOND: u128 = 0x1e02267d_5a82_4e50_bb65_cbaa889e88d7;

/// The local name in the scan response is this and the last 4 digits of the card number.
pub const NAME_PREFIX: &str = "Pilotlight-";
