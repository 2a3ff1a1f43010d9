use gas_cjt188::{StandardStatus, ValveState};
use gas_token::{MeterState, Record, StateFlags};
use gas_token_keys::{MeterKey, MeterKeys};
use gas_token_verify::{Account, MeterIdentity, SettingVersions, sign_record};
use gas_units::{Unit, UnixTime, Volume};

use crate::pricing::{Prices, TierAccount};
use crate::provision::Provision;
use crate::records::Records;
use crate::valve::{Obstacle, Position, Valve};

/// Below this the battery is shown as low.
pub const BATTERY_LOW_PERCENT: u8 = 20;
/// Up to this the valve is closed while there is still power to do it.
pub const BATTERY_FLAT_PERCENT: u8 = 5;

const HOUR_S: u32 = 3600;
const DAY_S: u32 = 86_400;
const UTC_OFFSET_S: u32 = 8 * HOUR_S;
/// Where a clock begins that has lost its time: 2000-01-01 00:00 UTC+8.
const CLOCK_AFTER_LOSS: UnixTime = UnixTime::from_seconds(946_656_000);
/// How far an unsigned command may move a clock that runs well, seconds, once a day.
const CORRECTION_MAX_S: u32 = 300;
/// A correction smaller than this is none: the same request may come again a little later.
const CORRECTION_MIN_S: u32 = 5;

/// How a new meter begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Start {
    /// Credit from the factory, in the meter's unit. Not part of what was sold.
    pub balance: i32,
    /// The register.
    pub register: Volume,
    /// The clock.
    pub time: UnixTime,
}

/// Everything that survives a power cut. Changes only through the methods of this crate's rules.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) identity: MeterIdentity,
    pub(crate) key: MeterKey,
    pub(crate) account: Account,
    /// What the last total token added, for people; 0 for a debit.
    pub(crate) last_amount: u32,
    pub(crate) register: Volume,
    pub(crate) prices: Prices,
    pub(crate) tiers: TierAccount,
    pub(crate) valve: Valve,
    pub(crate) battery_percent: u8,
    pub(crate) clock_lost: bool,
    pub(crate) tampered: bool,
    pub(crate) clock: UnixTime,
    /// Seconds since the midnight (UTC+8) before the first start. Moves only while powered, whatever
    /// happens to the clock.
    pub(crate) lived_s: u64,
    /// Day (UTC+8) of the last unsigned correction of the clock.
    pub(crate) corrected_day: u32,
    pub(crate) settings: SettingVersions,
    pub(crate) records: Records,
}

impl Durable {
    pub(crate) fn new(provision: &Provision, start: Start) -> Self {
        let position = if start.balance > 0 {
            Position::Open
        } else {
            Position::Closed
        };
        Self {
            identity: MeterIdentity {
                number: provision.meter,
                generation: provision.generation,
                unit: provision.unit,
            },
            key: provision.meter_key.clone(),
            account: Account {
                balance: start.balance,
                ..Account::default()
            },
            last_amount: 0,
            register: start.register,
            prices: Prices::default(),
            tiers: TierAccount::starting(start.time),
            valve: Valve {
                position,
                held: false,
            },
            battery_percent: 100,
            clock_lost: false,
            tampered: false,
            clock: start.time,
            lived_s: u64::from(start.time.seconds().wrapping_add(UTC_OFFSET_S) % DAY_S),
            corrected_day: 0,
            settings: SettingVersions::default(),
            records: Records::default(),
        }
    }

    /// Why the valve may not be open now.
    pub(crate) const fn obstacle(&self) -> Option<Obstacle> {
        if self.valve.held {
            Some(Obstacle::Held)
        } else if self.account.balance <= 0 {
            Some(Obstacle::NoCredit)
        } else if self.battery_percent <= BATTERY_FLAT_PERCENT {
            Some(Obstacle::BatteryFlat)
        } else {
            None
        }
    }

    /// Closes the valve where it may not be open; never opens it.
    pub(crate) const fn close_if_forbidden(&mut self) {
        if self.obstacle().is_some() {
            self.valve.close();
        }
    }

    /// Lets a person open the valve, where nothing forbids it.
    pub(crate) const fn arm(&mut self) {
        self.valve.arm(self.obstacle());
    }

    /// Burns up to `wanted`; gives what flowed before the valve closed.
    pub(crate) fn burn(&mut self, wanted: Volume) -> Volume {
        let mut burnt = 0;
        while burnt < wanted.centi_m3() && self.valve.position == Position::Open {
            if self.burn_one().is_none() {
                self.valve.close();
                break;
            }
            burnt += 1;
            self.close_if_forbidden();
        }
        Volume::from_centi_m3(burnt)
    }

    /// Counts one pulse of 0.01 m³; `None` where a number is full: no gas flows uncounted.
    fn burn_one(&mut self) -> Option<()> {
        let register = self.register.checked_add(Volume::from_centi_m3(1))?;
        let mut tiers = self.tiers;
        let cost = match self.identity.unit {
            Unit::Fen => tiers.burn(&self.prices),
            Unit::CentiCubicMetre => 1,
        };
        let balance = self.account.balance.checked_sub_unsigned(cost)?;
        self.register = register;
        self.tiers = tiers;
        self.account.balance = balance;
        Some(())
    }

    /// Lets the clock run; makes a record at every full hour. Gives whether one was made.
    pub(crate) fn run_clock(&mut self, seconds: u32, keys: &MeterKeys) -> bool {
        self.lived_s = self.lived_s.saturating_add(seconds.into());
        let mut made = false;
        let mut left = seconds;
        while left > 0 {
            let now = self.clock.seconds();
            let run = left.min(HOUR_S - now % HOUR_S);
            left -= run;
            // After 2106 the clock stands.
            let Some(then) = now.checked_add(run) else {
                break;
            };
            self.clock = UnixTime::from_seconds(then);
            if !self.clock_lost {
                self.tiers.clock_ran_to(self.clock);
            }
            if then % HOUR_S == 0 {
                made |= self.make_record(keys);
            }
        }
        made
    }

    fn make_record(&mut self, keys: &MeterKeys) -> bool {
        let Some(number) = self.records.next_number() else {
            return false;
        };
        let record = Record {
            generation: self.identity.generation,
            meter: self.identity.number,
            number,
            time: self.clock,
            volume: self.register,
            balance: self.account.balance,
            flags: self.flags(),
        };
        self.records.push(sign_record(keys, record));
        true
    }

    pub(crate) fn lose_clock(&mut self) {
        self.clock = CLOCK_AFTER_LOSS;
        self.clock_lost = true;
    }

    /// The company's time, believed whatever it is.
    pub(crate) fn set_clock(&mut self, time: UnixTime) {
        self.clock = time;
        self.clock_lost = false;
        self.tiers.clock_set_to(time);
    }

    /// An unsigned correction. A running clock moves at most 5 minutes a day, so that nobody walks it
    /// into a cheaper year; a lost clock takes any time but stays marked as lost. Gives whether it is allowed.
    pub(crate) fn correct_clock(&mut self, time: UnixTime) -> bool {
        if self.clock_lost {
            self.clock = time;
            return true;
        }
        let off_by = self.clock.seconds().abs_diff(time.seconds());
        if off_by <= CORRECTION_MIN_S {
            return true;
        }
        let today = local_day(self.clock).max(local_day(time));
        if off_by > CORRECTION_MAX_S || today <= self.corrected_day {
            return false;
        }
        self.clock = time;
        self.corrected_day = today;
        true
    }

    pub(crate) const fn flags(&self) -> StateFlags {
        let valve = match self.valve.position {
            Position::Open => 0,
            Position::Closed => StateFlags::VALVE_CLOSED,
            Position::Armed => StateFlags::VALVE_CLOSED | StateFlags::VALVE_ARMED,
        };
        let mut flags = valve;
        if self.battery_is_low() {
            flags |= StateFlags::BATTERY_LOW;
        }
        if self.clock_lost {
            flags |= StateFlags::CLOCK_LOST;
        }
        if self.tampered {
            flags |= StateFlags::TAMPERED;
        }
        StateFlags(flags)
    }

    pub(crate) const fn battery_is_low(&self) -> bool {
        self.battery_percent < BATTERY_LOW_PERCENT
    }

    /// ST of the standard answers.
    pub(crate) const fn standard_status(&self) -> StandardStatus {
        let (valve, maker) = match self.valve.position {
            Position::Open => (ValveState::Open, 0),
            Position::Closed => (ValveState::Closed, 0),
            Position::Armed => (ValveState::Closed, StandardStatus::MAKER_ARMED),
        };
        StandardStatus {
            valve,
            battery_low: self.battery_is_low(),
            maker: [0, maker],
        }
    }

    /// The state as receipt and status show it.
    pub(crate) const fn meter_state(&self) -> MeterState {
        MeterState {
            last_seq: self.account.last_seq,
            last_tag: self.account.last_tag,
            total: self.account.total,
            keypad: self.account.keypad,
            balance: self.account.balance,
            volume: self.register,
            time: self.clock,
            flags: self.flags(),
        }
    }
}

fn local_day(time: UnixTime) -> u32 {
    time.seconds().saturating_add(UTC_OFFSET_S) / DAY_S
}
