//! `pilotlight phone ...`

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use gas_api::cloud::{Consent, VendState};
use gas_api::{Problem, Want};
use gas_phone::{Ending, Event, Step, TopUp};
use gas_units::{MeterNumber, Money, Volume};
use serde_json::{Value, json};

use crate::card::{Bluetooth, Card, CardError, looking};
use crate::cloud::Cloud;
use crate::phone::{Phone, now, vend_id};
use crate::screen::{self, progress, show, state_words};
use crate::user::User;
use crate::walk::{Outcome, Walk, answered, show_proven};
use crate::{history, readings};

/// How long an expired vend is still looked at for late money, days.
const LATE_MONEY_DAYS: i64 = 30;

/// How long an accepted vend is still looked at for a refund, days: providers give back what was paid within a
/// year.
const REFUND_DAYS: i64 = 366;

/// Exit code: over, nothing was paid.
const UNPAID: u8 = 1;
/// Exit code: not over, nothing is lost; `pilotlight phone resume` goes on.
pub(crate) const UNFINISHED: u8 = 3;

#[derive(Subcommand)]
pub(crate) enum PhoneCommand {
    /// Top up the meter whose card is near
    TopUp(TopUpArgs),
    /// Go on with every top-up that is not over
    Resume(ResumeArgs),
    /// Read the meter and its stored readings over Bluetooth, and show them
    Status(JsonArgs),
    /// Show a meter's readings and top-ups as the cloud has them, without Bluetooth
    History(MeterArgs),
    /// List this phone's top-ups
    Vends(JsonArgs),
    /// Have the cloud no longer show this phone the meter's data, and forget it here
    Forget(MeterArgs),
}

#[derive(Args)]
#[command(group(clap::ArgGroup::new("want").required(true)))]
pub(crate) struct TopUpArgs {
    /// Gas for this much money, in CNY, like 50.00
    #[arg(long, group = "want")]
    amount: Option<Money>,
    /// This much gas, in m³, like 20.00
    #[arg(long, group = "want")]
    volume: Option<Volume>,
    /// Stop when it is paid; `resume` at the meter delivers
    #[arg(long)]
    pay_only: bool,
    /// Away from this meter: the quote rests on its newest reading at the gas company, which is at most 35 days
    /// old. This phone must have read it before (`status`). Stops when it is paid
    #[arg(long, value_name = "METER")]
    away: Option<MeterNumber>,
    #[command(flatten)]
    how: ResumeArgs,
}

#[derive(Args)]
pub(crate) struct ResumeArgs {
    /// Agree to the quote, and pay at the provider's cashier page by itself (sandbox only)
    #[arg(long)]
    yes: bool,
    /// Print JSON on stdout, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct JsonArgs {
    /// Print JSON on stdout, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct MeterArgs {
    /// Which meter, where this phone knows several
    #[arg(long)]
    meter: Option<MeterNumber>,
    /// Print JSON on stdout, for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(command: PhoneCommand, dir: &Path) -> anyhow::Result<ExitCode> {
    let phone = Phone::open(dir)?;
    let cloud = Cloud::of(&phone)?;
    let mut desk = Desk {
        phone: &phone,
        cloud: &cloud,
        bluetooth: Bluetooth::default(),
    };
    match command {
        PhoneCommand::TopUp(args) => desk.top_up(&args).await,
        PhoneCommand::Resume(args) => desk.resume(&args).await,
        PhoneCommand::Status(args) => desk.status(args.json).await,
        PhoneCommand::History(args) => desk.history(&args).await,
        PhoneCommand::Vends(args) => desk.vends(args.json),
        PhoneCommand::Forget(args) => desk.forget(&args).await,
    }
}

/// What is to be done for a vend now.
enum Look {
    /// Something.
    GoOn,
    /// Nothing, and nothing will be.
    Nothing,
    /// Nothing: others are at work.
    Waits,
}

struct Desk<'a> {
    phone: &'a Phone,
    cloud: &'a Cloud,
    bluetooth: Bluetooth,
}

impl Desk<'_> {
    async fn top_up(&mut self, args: &TopUpArgs) -> anyhow::Result<ExitCode> {
        let want = match (args.amount, args.volume) {
            (Some(amount), _) => Want::AmountFen(amount),
            (None, Some(volume)) => Want::VolumeCentiM3(volume),
            (None, None) => bail!("say --amount or --volume"),
        };
        let under_way =
            |vend: &TopUp| vend.may_be_paid() && state(vend) != Some(VendState::Expired);
        if let Some(open) = self.phone.vends()?.iter().find(|vend| under_way(vend)) {
            progress(&format!(
                "A top-up is under way, and may be paid: vend {}. Go on with it first: pilotlight phone resume",
                open.vend_id()
            ));
            if args.how.json {
                show(&serde_json::to_string_pretty(&told(open, None, None)?)?);
            }
            return Ok(ExitCode::from(UNFINISHED));
        }
        let card = if args.away.is_some() {
            None
        } else {
            looking(None);
            Some(self.reach(None).await?)
        };
        let at_hand = card.as_ref().map(|card| card.meter);
        let meter = args.away.or(at_hand).context("no meter is named")?;
        let mut vend = TopUp::new(vend_id()?, meter, want, now());
        if args.away.is_some() {
            vend.apply(Event::Unread, &self.phone.trust)?;
        }
        let pay_only = args.pay_only || args.away.is_some();
        let outcome = self.walk(&mut vend, card, &args.how, pay_only);
        let outcome = outcome.await?;
        if args.how.json {
            show(&serde_json::to_string_pretty(&outcome_json(
                &vend, &outcome,
            )?)?);
        }
        Ok(ExitCode::from(code(&outcome)))
    }

    async fn resume(&mut self, args: &ResumeArgs) -> anyhow::Result<ExitCode> {
        let mut told = Vec::new();
        let mut worst = 0;
        let mut waits = false;
        let mut in_reach = true;
        for mut vend in self.phone.vends()? {
            match self.look(&mut vend, in_reach).await {
                Ok(Look::GoOn) => {}
                Ok(Look::Nothing) => continue,
                Ok(Look::Waits) => {
                    waits = true;
                    continue;
                }
                // One vend that cannot be looked at keeps no other one waiting.
                Err(error) => {
                    progress(&format!("vend {}: {error:#}", vend.vend_id()));
                    if vend.is_open() {
                        worst = worst.max(UNFINISHED);
                    } else {
                        // It is over as far as is known here: the next one need not wait for the same.
                        in_reach = false;
                    }
                    continue;
                }
            }
            progress(&format!("going on with vend {}", vend.vend_id()));
            let outcome = self.walk(&mut vend, None, args, false).await?;
            told.push(outcome_json(&vend, &outcome)?);
            worst = worst.max(code(&outcome));
        }
        if args.json {
            show(&serde_json::to_string_pretty(&Value::Array(told))?);
        } else if told.is_empty() && !waits {
            show("Nothing is open.");
        }
        Ok(ExitCode::from(worst))
    }

    /// Whether something is to be done for a vend now. The cloud is asked first where it may know more than
    /// is known here; not about one that is over, unless it is `in_reach`.
    async fn look(&self, vend: &mut TopUp, in_reach: bool) -> anyhow::Result<Look> {
        let before = state(vend);
        let (days, asks) = match before {
            // Late money brings it back.
            Some(VendState::Expired) => (LATE_MONEY_DAYS, true),
            Some(VendState::Accepted) => (REFUND_DAYS, in_reach),
            Some(VendState::RefundPending) => (i64::MAX, true),
            Some(VendState::Refunded) => (i64::MAX, false),
            None
            | Some(
                VendState::Quoted
                | VendState::TenderRequested
                | VendState::TenderConfirmed
                | VendState::TokenIssued
                | VendState::Delivered,
            ) => {
                return Ok(if vend.is_open() {
                    Look::GoOn
                } else {
                    Look::Nothing
                });
            }
        };
        // One that died between the last answer and the proof still has its proof to write.
        if let Ok(Step::End(ending)) = vend.next(&self.phone.trust)
            && self.lacks_proof(&ending)?
        {
            return Ok(Look::GoOn);
        }
        let age_ms = now().millis().saturating_sub(vend.begun_at().millis());
        if asks && age_ms <= days.saturating_mul(86_400_000) {
            self.refresh(vend).await?;
        }
        Ok(match (before == state(vend), before) {
            (false, _) => Look::GoOn,
            (true, Some(VendState::RefundPending)) => {
                let words = state_words(VendState::RefundPending);
                progress(&format!("vend {}: {words}", vend.vend_id()));
                Look::Waits
            }
            (true, _) => Look::Nothing,
        })
    }

    fn lacks_proof(&self, ending: &Ending) -> anyhow::Result<bool> {
        Ok(match ending {
            Ending::Accepted(file) | Ending::RefundPending(file) | Ending::Refunded(file) => {
                self.phone.receipt(file.vend_id)?.as_ref() != Some(file)
            }
            Ending::Declined | Ending::Refused(_) | Ending::Expired => false,
        })
    }

    /// Has the cloud say how a vend stands. One that was confirmed is confirmed again: then the cloud asks the
    /// payment server, which tells of a refund once and might have told a cloud that has forgotten it since.
    async fn refresh(&self, vend: &mut TopUp) -> anyhow::Result<()> {
        let shown = vend.vend().context("a vend without a quote")?;
        let consented = shown.consented_at_ms.is_some();
        let paid = state(vend) != Some(VendState::Expired);
        let answer = if consented && paid {
            let quote_hash = shown.quote_hash;
            let consent = Consent { quote_hash };
            self.cloud.confirm(vend.vend_id(), &consent).await
        } else {
            self.cloud.follow(vend.vend_id(), 0).await
        };
        let event = answered(answer).context("the cloud was to be asked how it stands")?;
        vend.apply(event, &self.phone.trust)?;
        Ok(())
    }

    async fn walk(
        &mut self,
        vend: &mut TopUp,
        card: Option<Card>,
        how: &ResumeArgs,
        pay_only: bool,
    ) -> anyhow::Result<Outcome> {
        let walk = Walk {
            phone: self.phone,
            cloud: self.cloud,
            bluetooth: &mut self.bluetooth,
            user: &User::new(how.yes, how.json),
            pay_only,
            card,
            looked: false,
        };
        let outcome = walk.run(vend).await?;
        match &outcome {
            Outcome::Proven(receipt, file) | Outcome::RefundPending(receipt, file) => {
                if let Some(shown) = vend.vend().filter(|_| !how.json) {
                    show_proven(self.phone, shown, receipt, file)?;
                }
            }
            Outcome::Unpaid(problem) => progress(&format!("{} {}", problem.detail, problem.hint)),
            Outcome::Unfinished(why) => progress(&format!(
                "Not finished: {why}. Nothing is lost; go on with: pilotlight phone resume"
            )),
        }
        Ok(outcome)
    }

    /// A card, found within a few tries: cards let go of idle phones only after some seconds.
    async fn reach(&mut self, meter: Option<MeterNumber>) -> Result<Card, CardError> {
        const TRIES: u8 = 5;
        let mut trouble = CardError::NoCard;
        for _ in 0..TRIES {
            match self.bluetooth.reach(self.phone, meter).await {
                Ok(card) => return Ok(card),
                Err(error) => {
                    progress(&format!("{error}; trying again"));
                    trouble = error;
                }
            }
        }
        Err(trouble)
    }

    async fn status(&mut self, json: bool) -> anyhow::Result<ExitCode> {
        looking(None);
        let mut card = self.reach(None).await?;
        let (_, read) = readings::visit(self.phone, self.cloud, &mut card).await?;
        progress(&read?);
        let meter = card.meter;
        card.leave().await;
        self.show_meter(meter, json).await
    }

    async fn history(&self, args: &MeterArgs) -> anyhow::Result<ExitCode> {
        let meter = self.which(args.meter)?;
        self.show_meter(meter, args.json).await
    }

    async fn show_meter(&self, meter: MeterNumber, json: bool) -> anyhow::Result<ExitCode> {
        let shown = self.cloud.meter(self.phone, meter).await?;
        show(&if json {
            serde_json::to_string_pretty(&history::as_json(&shown))?
        } else {
            history::as_text(&shown)
        });
        Ok(ExitCode::SUCCESS)
    }

    fn which(&self, meter: Option<MeterNumber>) -> anyhow::Result<MeterNumber> {
        if let Some(meter) = meter {
            return Ok(meter);
        }
        match self.phone.meters()?.as_slice() {
            [meter] => Ok(*meter),
            [] => bail!("this phone was at no meter yet; at one, run: pilotlight phone status"),
            several => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                bail!(
                    "this phone knows several meters; say --meter: {}",
                    names.join(", ")
                )
            }
        }
    }

    fn vends(&self, json: bool) -> anyhow::Result<ExitCode> {
        let vends = self.phone.vends()?;
        if json {
            let told: Result<Vec<Value>, _> =
                vends.iter().map(|vend| told(vend, None, None)).collect();
            show(&serde_json::to_string_pretty(&told?)?);
            return Ok(ExitCode::SUCCESS);
        }
        for vend in &vends {
            let state = state(vend).map_or("begun", screen::state_name);
            let open = if vend.is_open() { "open" } else { "over" };
            let at = screen::time(vend.begun_at());
            show(&format!("{}  {at}  {state:<16} {open}", vend.vend_id()));
        }
        if vends.is_empty() {
            show("No top-ups yet.");
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn forget(&self, args: &MeterArgs) -> anyhow::Result<ExitCode> {
        let meter = self.which(args.meter)?;
        self.cloud.forget(self.phone, meter).await?;
        self.phone.forget_meter(meter)?;
        if args.json {
            show(&json!({"meter": meter, "forgotten": true}).to_string());
        } else {
            show(&format!(
                "Meter {meter} is forgotten here and in the cloud's list of this phone."
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn state(vend: &TopUp) -> Option<VendState> {
    vend.vend().map(|vend| vend.state)
}

const fn code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Proven(..) => 0,
        Outcome::Unpaid(_) => UNPAID,
        Outcome::RefundPending(..) | Outcome::Unfinished(_) => UNFINISHED,
    }
}

fn outcome_json(vend: &TopUp, outcome: &Outcome) -> anyhow::Result<Value> {
    match outcome {
        Outcome::Proven(_, file) | Outcome::RefundPending(_, file) => told(vend, Some(file), None),
        Outcome::Unpaid(problem) => told(vend, None, Some(problem)),
        Outcome::Unfinished(_) => told(vend, None, None),
    }
}

/// A vend, for scripts.
fn told(vend: &TopUp, receipt: Option<&Path>, problem: Option<&Problem>) -> anyhow::Result<Value> {
    let shown = vend.vend();
    Ok(json!({
        "vend_id": vend.vend_id(),
        "meter": vend.meter(),
        "want": vend.want(),
        "open": vend.is_open(),
        "state": shown.map(|vend| vend.state),
        "timeline": shown.map(|vend| &vend.timeline),
        "obstacle": shown.and_then(|vend| vend.obstacle.as_ref()),
        "receipt_file": receipt,
        "problem": problem.map(serde_json::to_value).transpose()?,
    }))
}
