use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use gas_meter::{Effect, Event, Household, MeterCore, Provision, Report, Start};
use gas_units::{UnixMillis, UnixTime, Volume};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::args::{RunArgs, SPEED_MAX};
use super::clockwork::Clockwork;
use super::control::{self, Answer, Op};
use super::files::{make_data_dir, read_provision, read_usage};
use super::nvm::Nvm;
use super::tty::Tty;

/// How often virtual time moves on.
const TICK: Duration = Duration::from_millis(200);

/// Runs the meter until it is told to stop.
pub(crate) fn run(args: RunArgs) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?
        .block_on(live(args))
}

async fn live(args: RunArgs) -> anyhow::Result<()> {
    let household = read_usage(&args.usage)?;
    make_data_dir(&args.data_dir)?;
    let _lock = Nvm::lock(&args.data_dir)?;
    let (nvm, core) = open_meter(&args)?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for signals")?;
    let mut meter = Meter {
        core,
        nvm,
        tty: Tty::open(&args.tty_link, args.pace)?,
        household,
        clockwork: Clockwork::new(args.speed),
        started: Instant::now(),
        lived_until: Instant::now(),
    };
    let mut calls = control::listen(&args.control)?;
    announce(&meter.core, &args.tty_link)?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = [0; 512];
    loop {
        tokio::select! {
            count = meter.tty.read(&mut buffer) => {
                let count = count.context("the serial line broke")?;
                meter.heard(buffer.get(..count).unwrap_or_default())?;
            }
            Some(call) = calls.recv() => {
                let answer = meter.obey(call.op)?;
                // A caller that went away does not want its answer.
                let _gone = call.answer.send(answer);
            }
            _ = tick.tick() => meter.live_on()?,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    meter.stop()
}

/// Most virtual time that is let pass at once, s: 400 days, what the longest records and a bill need.
const LIVE_MAX_S: u32 = 400 * 86_400;

/// The core and everything that performs its effects.
struct Meter {
    core: MeterCore,
    nvm: Nvm,
    tty: Tty,
    household: Household,
    clockwork: Clockwork,
    started: Instant,
    /// Real time up to which virtual time has been lived.
    lived_until: Instant,
}

impl Meter {
    /// Lets the real time that has passed happen.
    fn live_on(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let seconds = self.clockwork.turn(millis(now - self.lived_until));
        // Whole milliseconds only, so that the rest counts next time.
        self.lived_until += Duration::from_millis(millis(now - self.lived_until));
        self.live(seconds)
    }

    /// Lets virtual time pass: the household burns its gas.
    fn live(&mut self, seconds: u64) -> anyhow::Result<()> {
        if seconds == 0 {
            return Ok(());
        }
        let steps = self.household.steps(&self.core, seconds);
        self.happen(Event::Elapsed(&steps)).map(|_| ())
    }

    fn heard(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.live_on()?;
        let line_ms = millis(self.started.elapsed());
        self.happen(Event::Serial { bytes, line_ms }).map(|_| ())
    }

    fn obey(&mut self, op: Op) -> anyhow::Result<Answer> {
        self.live_on()?;
        let report = match op {
            Op::Show {} => None,
            Op::Press {} => self.happen(Event::Press)?,
            Op::Burn { centi_m3 } => self.happen(Event::Burn(centi_m3))?,
            Op::Speed { factor } => {
                self.clockwork.speed = factor.min(SPEED_MAX);
                None
            }
            Op::Live { seconds } => {
                self.live(seconds.min(LIVE_MAX_S).into())?;
                None
            }
            Op::Tamper {} => self.happen(Event::Tamper)?,
            Op::Battery { percent } => self.happen(Event::Battery { percent })?,
            Op::ClockLost {} => self.happen(Event::ClockLost)?,
        };
        Ok(self.answer(report))
    }

    fn answer(&self, report: Option<Report>) -> Answer {
        let (error, burnt_centi_m3) = match report {
            Some(Report::StaysClosed(obstacle)) => {
                (Some(format!("the valve stays closed: {obstacle}")), None)
            }
            Some(Report::Burnt(volume)) => (None, Some(volume)),
            Some(Report::Opened | Report::AlreadyOpen | Report::Noted) | None => (None, None),
        };
        Answer {
            ok: error.is_none(),
            error,
            burnt_centi_m3,
            speed: Some(self.clockwork.speed),
            view: Some(self.core.view()),
        }
    }

    /// Gives the event to the core and performs the effects in their order: an answer leaves only
    /// after the state that it shows is durable.
    fn happen(&mut self, event: Event<'_>) -> anyhow::Result<Option<Report>> {
        let mut reported = None;
        for effect in self.core.handle(event) {
            match effect {
                Effect::Persist(snapshot) => self.nvm.write(snapshot.as_slice())?,
                Effect::Transmit { wire, delay_ms } => self
                    .tty
                    .transmit(wire, Duration::from_millis(delay_ms.into())),
                Effect::Report(report) => reported = Some(report),
            }
        }
        Ok(reported)
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.live_on()?;
        let snapshot = self.core.snapshot();
        self.nvm.write(snapshot.as_slice())?;
        tracing::info!(meter = %self.core.number(), "stopped; the meter goes on from here");
        Ok(())
    }
}

fn announce(core: &MeterCore, tty: &Path) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "READY meter={} tty={}",
        core.number(),
        tty.display()
    )
    .and_then(|()| stdout.flush())
    .context("cannot write to standard output")
}

/// Goes on with the memory, or makes a new meter from the provisioning file.
fn open_meter(args: &RunArgs) -> anyhow::Result<(Nvm, MeterCore)> {
    let provision = read_provision(&args.provision)?;
    match Nvm::open(&args.data_dir)? {
        Some((mut nvm, snapshot)) => {
            let core = MeterCore::restore(&snapshot)
                .context("the meter's memory cannot be read; nothing was changed")?;
            check_same_meter(&core, &provision)?;
            // Before anybody is told of it: a cell whose write was cut may read well now and not the next time.
            nvm.write(&snapshot)?;
            Ok((nvm, core))
        }
        None => {
            let core = MeterCore::new(&provision, start(args));
            let nvm = Nvm::create(&args.data_dir, &core.snapshot())?;
            Ok((nvm, core))
        }
    }
}

/// The memory is of the meter that the provisioning file names. Its key generation may be newer.
fn check_same_meter(core: &MeterCore, provision: &Provision) -> anyhow::Result<()> {
    let view = core.view();
    if view.meter != provision.meter {
        bail!(
            "the memory is of meter {}, the provisioning file of meter {}; nothing was changed. \
             Give each meter its own --data-dir",
            view.meter,
            provision.meter
        );
    }
    if view.unit != provision.unit || provision.generation > view.generation {
        bail!(
            "the memory counts in {:?} under key generation {}, the provisioning file says {:?} and \
             {}; nothing was changed. A refurbished meter needs a new --data-dir",
            view.unit,
            view.generation,
            provision.unit,
            provision.generation
        );
    }
    Ok(())
}

fn start(args: &RunArgs) -> Start {
    let now = || UnixMillis::from_millis(jiff::Timestamp::now().as_millisecond()).to_unix_time();
    let (register, balance): (Volume, i32) = (args.start_register, args.start_balance);
    let time: UnixTime = args.start_time.unwrap_or_else(now);
    Start {
        balance,
        register,
        time,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
