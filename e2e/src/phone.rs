//! A phone: its folder, and its program under way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use gas_api::PublicKeyHex;
use gas_phone::{TopUp, Trust};
use gas_statement::{Quote, VerifyingKey};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::VEND_MAX;

/// Resuming is tried this often before a vend counts as stuck.
const RESUMES_MAX: u32 = 20;

/// Exit code of `pilotlight` for a vend that can be resumed.
pub const RESUMABLE: i32 = 3;

/// Somebody's phone: where its program is, and its run directory.
#[derive(Clone, Debug)]
pub struct Handset {
    program: PathBuf,
    run_dir: PathBuf,
}

impl Handset {
    pub(crate) const fn new(program: PathBuf, run_dir: PathBuf) -> Self {
        Self { program, run_dir }
    }

    /// A new phone in `run_dir`, with the configuration of this one and nothing else of it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn another(&self, run_dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(run_dir.join("phone"))?;
        let other = Self::new(self.program.clone(), run_dir.to_owned());
        fs::copy(self.file("config.json"), other.file("config.json"))?;
        Ok(other)
    }

    /// A file in its folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.run_dir.join("phone").join(name)
    }

    /// Where it remembers a vend.
    #[must_use]
    pub fn vend_file(&self, vend_id: &str) -> PathBuf {
        self.file("vends").join(format!("{vend_id}.json"))
    }

    /// Starts its program.
    ///
    /// # Errors
    /// When it does not start.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Phone> {
        let mut command = Command::new(&self.program);
        command.arg("--run-dir").arg(&self.run_dir).args(words);
        Phone::start(command)
    }

    /// Has it do something, and gives the JSON that it printed and what it said meanwhile.
    ///
    /// # Errors
    /// When it ends otherwise than with `code`.
    pub async fn does(&self, words: &[&str], code: i32) -> anyhow::Result<(Value, String)> {
        let (ended, printed, said) = self.run(words)?.finish().await?;
        ensure!(
            ended == Some(code),
            "{words:?} ended with {ended:?}, not {code}:\n{printed}\n{said}"
        );
        let printed = serde_json::from_str(&printed).unwrap_or(Value::String(printed));
        Ok((printed, said))
    }

    /// Starts a top-up that pays by itself.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn top_up(&self, yuan: &str) -> anyhow::Result<Phone> {
        self.run(&["phone", "top-up", "--amount", yuan, "--yes", "--json"])
    }

    /// Pays a top-up, leaves the token for another time, and gives the vend's id.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn pay_only(&self, yuan: &str) -> anyhow::Result<String> {
        let words = [
            "phone",
            "top-up",
            "--amount",
            yuan,
            "--yes",
            "--json",
            "--pay-only",
        ];
        let (vend, _) = self.does(&words, RESUMABLE).await?;
        ensure!(vend["state"] == "token_issued", "paid, and then: {vend}");
        id_of(&vend)
    }

    /// Gets a quote that nobody agrees to, and gives the vend's id.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn quote_only(&self, yuan: &str) -> anyhow::Result<String> {
        let words = ["phone", "top-up", "--amount", yuan, "--json"];
        let (vend, _) = self.does(&words, RESUMABLE).await?;
        ensure!(vend["state"] == "quoted", "quoted, and then: {vend}");
        id_of(&vend)
    }

    /// Resumes until nothing is open any more, and gives the last vend as JSON.
    ///
    /// # Errors
    /// When it stays stuck.
    pub async fn resume(&self) -> anyhow::Result<Value> {
        for _ in 0..RESUMES_MAX {
            let resume = self.run(&["phone", "resume", "--yes", "--json"])?;
            let (code, outcome, said) = resume.finish().await?;
            match code {
                Some(0) => return self.last_vend().await,
                Some(RESUMABLE) => {}
                other => bail!("resume ended with {other:?}:\n{outcome}\n{said}"),
            }
        }
        bail!("the vend is stuck: it was resumed {RESUMES_MAX} times")
    }

    /// The newest vend, as the phone remembers it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn last_vend(&self) -> anyhow::Result<Value> {
        let (vends, _) = self.does(&["phone", "vends", "--json"], 0).await?;
        let newest = vends.as_array().and_then(|vends| vends.last());
        newest.cloned().context("the phone remembers no vend")
    }

    /// A vend as the phone has it in its folder.
    ///
    /// # Errors
    /// When it has none of this id.
    pub fn remembers(&self, vend_id: &str) -> anyhow::Result<TopUp> {
        let text = fs::read(self.vend_file(vend_id)).context("the phone has no such vend")?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Its quote, verified with the keys that the phone trusts.
    ///
    /// # Errors
    /// When there is none, or it does not hold.
    pub fn quote(&self, vend_id: &str) -> anyhow::Result<Quote> {
        let top_up = self.remembers(vend_id)?;
        let vend = top_up.vend().context("it was not quoted")?;
        Ok(self.trust()?.quote(vend)?)
    }

    /// Whom the phone trusts.
    ///
    /// # Errors
    /// When its configuration does not say.
    pub fn trust(&self) -> anyhow::Result<Trust> {
        let config = self.config()?;
        let key = |name: &str| -> anyhow::Result<VerifyingKey> {
            let key: PublicKeyHex = serde_json::from_value(config[name].clone())?;
            Ok(VerifyingKey::from_bytes(&key.0)?)
        };
        Ok(Trust {
            company: key("company_public_key")?,
            pay: key("pay_public_key")?,
        })
    }

    pub(crate) fn config(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&fs::read(
            self.file("config.json"),
        )?)?)
    }
}

fn id_of(vend: &Value) -> anyhow::Result<String> {
    let id = vend["vend_id"].as_str().context("a vend without id")?;
    Ok(id.to_owned())
}

/// A phone program under way.
pub struct Phone {
    child: Child,
    progress: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

impl Phone {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().context("pilotlight")?;
        let progress = child.stderr.take().context("no stderr")?;
        Ok(Self {
            child,
            progress: BufReader::new(progress).lines(),
            said: Vec::new(),
        })
    }

    /// Waits until a line of progress holds `words`; false where the program ended without it.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn says(&mut self, words: &str) -> anyhow::Result<bool> {
        let found = async {
            while let Some(line) = self.progress.next_line().await? {
                let found = line.contains(words);
                self.said.push(line);
                if found {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let waited = tokio::time::timeout(VEND_MAX, found).await;
        waited.unwrap_or_else(|_| bail!("`{words}` was not said:\n{}", self.said.join("\n")))
    }

    /// Stops it, or lets it go on.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        // A phone that has ended has nothing to stop.
        pid.map_or(Ok(()), |pid| Ok(kill_process(pid, signal)?))
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits for its end: exit code, what it printed, what it said.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn finish(mut self) -> anyhow::Result<(Option<i32>, String, String)> {
        let mut stdout = self.child.stdout.take().context("no stdout")?;
        let ending = async {
            let mut printed = String::new();
            let progress = async {
                while let Ok(Some(line)) = self.progress.next_line().await {
                    self.said.push(line);
                }
            };
            let (read, ()) = tokio::join!(stdout.read_to_string(&mut printed), progress);
            read?;
            Ok::<_, anyhow::Error>((self.child.wait().await?.code(), printed))
        };
        let Ok(ended) = tokio::time::timeout(VEND_MAX, ending).await else {
            bail!("the phone does not end");
        };
        let (code, printed) = ended?;
        Ok((code, printed, self.said.join("\n")))
    }
}
