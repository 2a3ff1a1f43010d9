//! Makes a world from a seed.

use std::collections::BTreeMap;

use gas_company::NewMeter;
use gas_meter::{Household, Provision, Start};
use gas_phone::Trust;
use gas_statement::{SigningKey, VerifyingKey};
use gas_tariff::Tariff;
use gas_units::{MeterNumber, Money, Unit, Volume};

use crate::event::{CardEvent, Event};
use crate::fault::Faults;
use crate::home::{Card, Meter, Radio};
use crate::oracle::MeterTruth;
use crate::phone::Phone;
use crate::provider::Provider;
use crate::rng::Rng;
use crate::server::{Keys, Server, Stores};
use crate::sim::{START_MS, Sim};
use crate::world::{Home, Utility, World};

/// Utilities of a world.
const UTILITIES: usize = 2;
/// Homes of each utility.
const HOMES: usize = 3;
/// Meters of each utility that stand ready to take another's place.
const SPARES: usize = 1;
/// Phones of each home.
const PHONES: usize = 2;
/// The home whose phones check every signature by themselves, in one world of so many. All others, servers
/// included, share what a key has signed or was found to have signed, which is a fifth of the time saved.
const DOUBTS: usize = 1;
const DOUBTING_WORLDS: u64 = 4;
/// Statements that each key remembers to have verified.
const REMEMBERED: usize = 4_096;
/// What each home of a utility burns, m³ a day: the last one all that it buys, so that its valve closes
/// again and again and what it wants back is burnt already.
const BURNS: [&[&str]; HOMES + SPARES] = [
    &["3.1", "12.4", "0.7", "8.8"],
    &["0.0", "1.9", "14.2"],
    &["620.0", "95.5", "1410.0", "320.0"],
    &["0.0"],
];
/// Price of gas, fen per m³: the same in all tiers.
const PRICE: u32 = 261;
/// Most that a meter may hold: far above what a run sells, but for one home of each utility.
const LIMITS: [u32; HOMES + SPARES] = [10_000_000, 60_000, 10_000_000, 10_000_000];

/// What a world is made from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) vends: u32,
    pub(crate) faults: Faults,
    pub(crate) recording: bool,
    pub(crate) stores: Stores,
}

impl World {
    /// The world of a plan: every program runs, nothing has been sold.
    pub(crate) fn new(plan: Plan) -> Result<Self, String> {
        let mut rng = Rng::new(plan.seed);
        let doubting = plan.seed.is_multiple_of(DOUBTING_WORLDS);
        let sim = Sim::new(rng.fork(), plan.faults, plan.recording);
        let mut world = Self {
            sim,
            homes: Vec::new(),
            phones: Vec::new(),
            servers: Vec::new(),
            utilities: Vec::new(),
            vends: BTreeMap::new(),
            meters: Vec::new(),
            desk: BTreeMap::new(),
            desk_calls: 0,
            replacing: Vec::new(),
            violations: Vec::new(),
            to_begin: plan.vends,
            _stores: plan.stores.clone(),
        };
        for utility in 0..UTILITIES {
            world.add_utility(utility, &plan.stores, &mut rng)?;
            for home in 0..HOMES + SPARES {
                world.add_home(utility, home, doubting, &mut rng)?;
            }
        }
        world.sim.schedule(0, Event::Weather);
        Ok(world)
    }

    fn add_utility(
        &mut self,
        utility: usize,
        stores: &Stores,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let (company, pay) = (rng.bytes(), rng.bytes());
        let verifying = |secret| {
            let key = SigningKey::from_bytes(secret).verifying_key();
            key.remembering(REMEMBERED)
        };
        let trust = Trust {
            company: verifying(&company),
            pay: verifying(&pay),
        };
        let keys = Keys {
            master: rng.bytes(),
            company,
            pay,
            trust: trust.clone(),
        };
        let first = self.servers.len();
        let mut servers = Server::of_utility(utility, &keys, stores, &self.sim.clock, rng)?;
        for server in &mut servers {
            server.start();
        }
        self.servers.extend(servers);
        self.utilities.push(Utility {
            company: first,
            pay: first + 1,
            cloud: first + 2,
            provider: Provider::default(),
            trust,
            frail: first + rng.place(3),
        });
        Ok(())
    }

    fn add_home(
        &mut self,
        utility: usize,
        number: usize,
        doubting: bool,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let place = self.homes.len();
        let meter_number: MeterNumber = format!("0011{place:010}")
            .parse()
            .map_err(|error| format!("{error}"))?;
        let spare = number >= HOMES;
        let counts_money = if spare {
            rng.chance(66_000)
        } else {
            number.is_multiple_of(2)
        };
        let unit = if counts_money {
            Unit::Fen
        } else {
            Unit::CentiCubicMetre
        };
        let provision = self.provision(utility, meter_number, unit, LIMITS[number])?;
        let start = Start {
            balance: 500,
            register: Volume::from_centi_m3(u32::try_from(rng.below(100_000)).unwrap_or(0)),
            time: gas_units::UnixMillis::from_millis(START_MS).to_unix_time(),
        };
        let household = Household::from_days(BURNS[number].iter().copied())
            .map_err(|error| error.to_string())?;
        self.meters
            .push(MeterTruth::new(unit, start.balance, start.register, PRICE));
        let first = self.phones.len();
        let trust = self.utilities[utility].trust.clone();
        let trust = if place == DOUBTS && doubting {
            without_memory(&trust)?
        } else {
            trust
        };
        for _ in 0..PHONES {
            self.phones.push(Phone::new(utility, place, trust.clone()));
        }
        self.homes.push(Home {
            utility,
            number: meter_number,
            limit: LIMITS[number],
            meter: Meter::new(&provision, start, household, 0),
            card: Card::new(rng.next(), rng.fork(), 0),
            radio: Radio::default(),
            answer: 0,
            phones: (first..first + PHONES).collect(),
            spare,
            key_generation: provision.generation,
            key_call: 0,
        });
        let (wants, reads) = (
            rng.within(60_000, 3_600_000),
            rng.within(3_600_000, 4 * 3_600_000),
        );
        // A spare one lies in its box until somebody brings it.
        if !spare {
            self.sim.schedule(1, Event::Card(place, CardEvent::On));
            self.sim.schedule(wants, Event::Wants(place));
            self.sim.schedule(reads, Event::Reads(place));
        }
        Ok(())
    }

    /// A meter goes into the company's books, and gets its key.
    fn provision(
        &self,
        utility: usize,
        meter: MeterNumber,
        unit: Unit,
        limit: u32,
    ) -> Result<Provision, String> {
        let new = NewMeter {
            meter,
            unit,
            tariff: one_price()?,
            limit,
            sale_limit: Money::from_fen(100_000),
            year_start_register: None,
        };
        let company = self.utilities[utility].company;
        let provisioned = self.servers[company].program.provision(new);
        let provisioned = provisioned.ok_or("the gas company does not run")??;
        Ok(Provision {
            meter: provisioned.meter,
            generation: provisioned.generation,
            meter_key: provisioned.key,
            unit,
        })
    }
}

/// The same keys, without what others remember of them.
fn without_memory(trust: &Trust) -> Result<Trust, String> {
    let fresh = |key: &VerifyingKey| {
        let key = VerifyingKey::from_bytes(&key.to_bytes()).map_err(|error| error.to_string())?;
        Ok::<_, String>(key.remembering(REMEMBERED))
    };
    Ok(Trust {
        company: fresh(&trust.company)?,
        pay: fresh(&trust.pay)?,
    })
}

/// A tariff with the same price in all tiers, which the oracle can compute in one line.
fn one_price() -> Result<Tariff, String> {
    let bounds = [Volume::from_centi_m3(35_000), Volume::from_centi_m3(50_000)];
    Tariff::new(1, bounds, [PRICE; 3]).map_err(|error| error.to_string())
}
