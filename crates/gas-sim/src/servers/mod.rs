//! The three servers of a utility, each the real program's logic over its store.

/// Takes one kind of answer.
macro_rules! only {
    ($kind:ident) => {
        |told| {
            if let Told::$kind(told) = told {
                Some(told)
            } else {
                None
            }
        }
    };
    (* $kind:ident) => {
        |told| {
            if let Told::$kind(told) = told {
                Some(*told)
            } else {
                None
            }
        }
    };
}

mod cloud;
mod company;
mod disk;
mod pay;

use std::path::Path;
use std::sync::Arc;

use gas_http::PeerError;

use crate::executor::Wire;
use crate::net::{Failure, Outcome, Told};
use crate::rng::Rng;
use crate::server::{Keys, Server, Stores, Time};
use crate::sim::TrueTime;

use cloud::CloudProgram;
use company::CompanyProgram;
use pay::PayProgram;

impl Stores {
    /// SQLite files in a new folder; in memory where the system has such a file system, since a disk's
    /// pace tells nothing here.
    pub(crate) fn sqlite() -> Result<Self, String> {
        let shared_memory = Path::new("/dev/shm");
        let folder = if shared_memory.is_dir() {
            tempfile::tempdir_in(shared_memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.map_err(|error| error.to_string())?;
        Ok(Self::Sqlite(Arc::new(folder)))
    }
}

impl Server {
    /// Company, payment server and cloud of a utility, in this order.
    pub(crate) fn of_utility(
        utility: usize,
        keys: &Keys,
        stores: &Stores,
        now: &TrueTime,
        rng: &mut Rng,
    ) -> Result<Vec<Self>, String> {
        let time = Time::right(now);
        let wire = Wire::default();
        let company = CompanyProgram::new(utility, keys, stores, &time, wire.clone(), rng)?;
        let company = Self::new(utility, Box::new(company), wire, time);
        let (time, wire) = (Time::right(now), Wire::default());
        let pay = PayProgram::new(utility, keys, stores, &time, wire.clone())?;
        let pay = Self::new(utility, Box::new(pay), wire, time);
        let (time, wire) = (Time::right(now), Wire::default());
        let cloud = CloudProgram::new(utility, keys, stores, &time, wire.clone())?;
        let cloud = Self::new(utility, Box::new(cloud), wire, time);
        Ok(vec![company, pay, cloud])
    }
}

/// What a server was answered, as its HTTP client would say it.
fn answer(peer: &'static str, outcome: Outcome) -> Result<Told, PeerError> {
    outcome.map_err(|failure| match failure {
        Failure::Problem(problem) => PeerError::Problem { peer, problem },
        Failure::Silence => PeerError::Timeout {
            peer,
            source: "no answer came".into(),
        },
    })
}

/// An answer of another kind than was asked for.
fn unfit(peer: &'static str) -> PeerError {
    PeerError::Garbled {
        peer,
        status: 200,
        why: "an answer of another kind".to_owned(),
    }
}
