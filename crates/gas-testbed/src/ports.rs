use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, bail};

/// Below the ports that systems give to outgoing connections (32768 and up), so that no connection of
/// anyone's takes a part's port between two starts of it.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
const TRIES: usize = 200;

/// The port of everything that listens, chosen at the first start and kept in the run directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// Reads the ports from `file`; chooses a free one for each of `names` that has none there, and saves them.
    pub(crate) fn read_or_choose(file: &Path, names: &[&str]) -> anyhow::Result<Self> {
        let mut ports = match fs::read(file) {
            Ok(bytes) => {
                let ports = serde_json::from_slice(&bytes);
                Self(ports.with_context(|| format!("{} cannot be understood", file.display()))?)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Self(BTreeMap::new()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        if ports.choose(names)? {
            fs::write(file, serde_json::to_vec_pretty(&ports.0)?)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(ports)
    }

    /// Whether any was lacking: a run directory may be older than a part.
    fn choose(&mut self, names: &[&str]) -> anyhow::Result<bool> {
        let mut listeners = Vec::new();
        for name in names {
            if self.0.contains_key(*name) {
                continue;
            }
            let listener = self.free_port()?;
            self.0
                .insert((*name).to_owned(), listener.local_addr()?.port());
            // Held until all are chosen, so that none is chosen twice.
            listeners.push(listener);
        }
        Ok(!listeners.is_empty())
    }

    /// One that nobody has, and that none of ours is to have.
    fn free_port(&self) -> anyhow::Result<TcpListener> {
        for _ in 0..TRIES {
            let port = FIRST + u16::from_be_bytes(gas_http::random()?) % COUNT;
            if self.0.values().any(|taken| *taken == port) {
                continue;
            }
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                return Ok(listener);
            }
        }
        bail!("no free port found between {FIRST} and {}", FIRST + COUNT)
    }

    /// Where the listener called `name` is.
    pub(crate) fn address(&self, name: &str) -> anyhow::Result<SocketAddr> {
        let port = self
            .0
            .get(name)
            .with_context(|| format!("no port was chosen for {name}"))?;
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, *port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_chosen_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ports.json");
        let first = Ports::read_or_choose(&file, &["cloud", "pay"]).unwrap();
        assert_eq!(
            Ports::read_or_choose(&file, &["cloud", "pay"]).unwrap(),
            first
        );
        assert_ne!(
            first.address("cloud").unwrap(),
            first.address("pay").unwrap()
        );
        assert!(
            first
                .address("meter")
                .unwrap_err()
                .to_string()
                .contains("meter")
        );
    }

    #[test]
    fn what_came_later_gets_its_port_and_the_others_keep_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ports.json");
        let first = Ports::read_or_choose(&file, &["cloud"]).unwrap();
        let then = Ports::read_or_choose(&file, &["cloud", "bridge"]).unwrap();
        assert_eq!(
            then.address("cloud").unwrap(),
            first.address("cloud").unwrap()
        );
        assert_ne!(
            then.address("bridge").unwrap(),
            first.address("cloud").unwrap()
        );
        assert_eq!(Ports::read_or_choose(&file, &["bridge"]).unwrap(), then);
    }

    #[test]
    fn a_file_that_makes_no_sense_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ports.json");
        fs::write(&file, "not json").unwrap();
        assert!(Ports::read_or_choose(&file, &["cloud"]).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"not json");
    }
}
