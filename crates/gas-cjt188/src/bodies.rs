//! Bodies of the standard identifiers, as gas meters send them: BCD, least significant byte first.

use gas_units::{Money, Volume};

use crate::bcd::{Bcd, BcdError};
use crate::time::{LocalTime, LocalTimeError};

const UNIT_M3: u8 = 0x2C;

/// Why a body is not what its identifier says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyError {
    /// Not packed decimal.
    #[error(transparent)]
    Decimal(#[from] BcdError),
    /// Another length than this identifier has.
    #[error("the body has {found} bytes, but this identifier has {expected}")]
    Length {
        /// The identifier's length.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// No such time.
    #[error(transparent)]
    Time(#[from] LocalTimeError),
    /// An identifier that this program does not know.
    #[error("this identifier or function is not known")]
    Unknown,
    /// A byte that the format does not define here.
    #[error("value {0:#04x} is not defined here")]
    Value(u8),
}

/// The body as an array, or an error with both lengths.
pub(crate) fn exactly<const N: usize>(body: &[u8]) -> Result<[u8; N], BodyError> {
    body.try_into().map_err(|_| BodyError::Length {
        expected: N,
        found: body.len(),
    })
}

/// How the valve stands, as the standard can say it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValveState {
    /// 00
    Open,
    /// 01
    Closed,
    /// 11: it does not move.
    Stuck,
}

/// The two bytes ST. Bits 0..=1 of the first are the valve, bit 2 a low battery; the rest is the maker's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StandardStatus {
    /// The valve.
    pub valve: ValveState,
    /// The battery is low.
    pub battery_low: bool,
    /// The maker's bits: 3..=7 of the first byte in place, and the second byte.
    pub maker: [u8; 2],
}

impl StandardStatus {
    /// Bit of `maker[1]`, ours: closed, and a person at the meter may open it.
    pub const MAKER_ARMED: u8 = 0x01;

    /// From the bytes.
    ///
    /// # Errors
    /// [`BodyError::Value`] for valve bits 10, which the standard does not define.
    pub const fn from_bytes(bytes: [u8; 2]) -> Result<Self, BodyError> {
        let [first, second] = bytes;
        let valve = match first & 0x03 {
            0x00 => ValveState::Open,
            0x01 => ValveState::Closed,
            0x03 => ValveState::Stuck,
            _ => return Err(BodyError::Value(first)),
        };
        Ok(Self {
            valve,
            battery_low: first & 0x04 != 0,
            maker: [first & 0xF8, second],
        })
    }

    /// The bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        let valve = match self.valve {
            ValveState::Open => 0x00,
            ValveState::Closed => 0x01,
            ValveState::Stuck => 0x03,
        };
        let battery = if self.battery_low { 0x04 } else { 0x00 };
        let [first, second] = self.maker;
        [first & 0xF8 | battery | valve, second]
    }
}

/// 901F: the reading. Registers show 0..=999,999.99 m³ and begin anew after that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reading {
    /// The register now, 0.01 m³.
    pub current: Volume,
    /// The register on the last settlement day, 0.01 m³.
    pub settlement: Volume,
    /// The meter's clock.
    pub time: LocalTime,
    /// ST.
    pub status: StandardStatus,
}

impl Reading {
    /// Body length.
    pub const LEN: usize = 19;

    /// Parses the body.
    ///
    /// # Errors
    /// [`BodyError`]; a unit other than m³ (2C) is [`BodyError::Value`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let [
            c0,
            c1,
            c2,
            c3,
            unit,
            s0,
            s1,
            s2,
            s3,
            unit_2,
            time @ ..,
            st0,
            st1,
        ] = exactly::<{ Self::LEN }>(body)?;
        for unit in [unit, unit_2] {
            if unit != UNIT_M3 {
                return Err(BodyError::Value(unit));
            }
        }
        let volume = |bytes| -> Result<Volume, BcdError> {
            Ok(Volume::from_centi_m3(Bcd::from_bytes(bytes)?.value()))
        };
        Ok(Self {
            current: volume([c0, c1, c2, c3])?,
            settlement: volume([s0, s1, s2, s3])?,
            time: LocalTime::from_bytes(time)?,
            status: StandardStatus::from_bytes([st0, st1])?,
        })
    }

    /// The body.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let volume = |volume: Volume| {
            let shown = volume.centi_m3() % (Bcd::<4>::MAX + 1);
            Bcd::<4>::clamped(shown).to_bytes()
        };
        join([
            &volume(self.current),
            &[UNIT_M3],
            &volume(self.settlement),
            &[UNIT_M3],
            &self.time.to_bytes(),
            &self.status.to_bytes(),
        ])
    }
}

/// 8102: three prices and the two volumes at which they change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PriceTable {
    /// Price of each tier in fen per m³, 0..=999,999.
    pub prices_fen_per_m3: [u32; 3],
    /// Ends of the first and the second tier in whole m³, 0..=999,999.
    pub bounds_m3: [u32; 2],
}

impl PriceTable {
    /// Body length.
    pub const LEN: usize = 15;

    /// Parses the body.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let bytes = exactly::<{ Self::LEN }>(body)?;
        let mut fields = [0; 5];
        for (field, bytes) in fields.iter_mut().zip(bytes.chunks_exact(3)) {
            *field = Bcd::from_bytes(exactly::<3>(bytes)?)?.value();
        }
        let [p1, v1, p2, v2, p3] = fields;
        Ok(Self {
            prices_fen_per_m3: [p1, p2, p3],
            bounds_m3: [v1, v2],
        })
    }

    /// The body; numbers of more than six digits show as 999,999.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let [p1, p2, p3] = self.prices_fen_per_m3;
        let [v1, v2] = self.bounds_m3;
        let [p1, v1, p2, v2, p3] =
            [p1, v1, p2, v2, p3].map(|field| Bcd::<3>::clamped(field).to_bytes());
        join([&p1, &v1, &p2, &v2, &p3])
    }
}

/// 8105: purchases. Amounts are in fen (or 0.01 m³ on a volume meter), at most 99,999,999.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Purchases {
    /// Number of the last purchase, modulo 256.
    pub sequence: u8,
    /// The last purchase.
    pub last: Money,
    /// All purchases.
    pub cumulative: Money,
    /// What remains; 0 in arrears, which this identifier cannot say.
    pub remaining: Money,
    /// ST.
    pub status: StandardStatus,
}

impl Purchases {
    /// Body length.
    pub const LEN: usize = 15;

    /// Parses the body.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let [
            sequence,
            l0,
            l1,
            l2,
            l3,
            c0,
            c1,
            c2,
            c3,
            r0,
            r1,
            r2,
            r3,
            st0,
            st1,
        ] = exactly::<{ Self::LEN }>(body)?;
        let amount = |bytes| -> Result<Money, BcdError> {
            Ok(Money::from_fen(Bcd::<4>::from_bytes(bytes)?.value().into()))
        };
        Ok(Self {
            sequence,
            last: amount([l0, l1, l2, l3])?,
            cumulative: amount([c0, c1, c2, c3])?,
            remaining: amount([r0, r1, r2, r3])?,
            status: StandardStatus::from_bytes([st0, st1])?,
        })
    }

    /// The body; amounts that do not fit show as the nearest that do.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let amount = |money: Money| {
            let shown = u32::try_from(money.fen().max(0)).unwrap_or(u32::MAX);
            Bcd::<4>::clamped(shown).to_bytes()
        };
        join([
            &[self.sequence],
            &amount(self.last),
            &amount(self.cumulative),
            &amount(self.remaining),
            &self.status.to_bytes(),
        ])
    }
}

/// A017: what the valve shall do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValveOrder {
    /// 55: "open". Our meter only arms the valve; a person at the meter opens it.
    Open,
    /// 99
    Close,
}

impl ValveOrder {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, BodyError> {
        match exactly::<1>(body)? {
            [0x55] => Ok(Self::Open),
            [0x99] => Ok(Self::Close),
            [other] => Err(BodyError::Value(other)),
        }
    }

    pub(crate) const fn to_byte(self) -> u8 {
        match self {
            Self::Open => 0x55,
            Self::Close => 0x99,
        }
    }
}

/// The parts one after the other, `N` bytes in all.
fn join<const N: usize, const P: usize>(parts: [&[u8]; P]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    bytes
}
