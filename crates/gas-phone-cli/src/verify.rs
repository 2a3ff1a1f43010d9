//! `pilotlight verify FILE ...`: offline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use gas_api::PublicKeyHex;
use gas_phone::{Proven, ReceiptFile, ReceiptFileError};
use gas_statement::Signed;
use serde_json::{Value, json};

use crate::files;
use crate::phone::{Config, trust};
use crate::screen::{self, show};

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Receipt files, as `phone top-up` wrote them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The gas company's public key [default: the one this phone trusts]
    #[arg(long, requires = "pay_key")]
    company_key: Option<PublicKeyHex>,
    /// The payment server's public key [default: the one this phone trusts]
    #[arg(long, requires = "company_key")]
    pay_key: Option<PublicKeyHex>,
    /// Print a JSON list on stdout, for scripts
    #[arg(long)]
    json: bool,
}

/// Checks receipt files with keys that the phone trusts, or that are given.
pub(crate) fn run(args: &VerifyArgs, dir: &Path) -> anyhow::Result<ExitCode> {
    let trust = match (args.company_key, args.pay_key) {
        (Some(company), Some(pay)) => trust(company, pay)?,
        _ => {
            let config: Option<Config> = files::read_json(&dir.join("config.json"))?;
            let config = config.context(
                "no phone here says whose keys to trust; say --company-key and --pay-key",
            )?;
            trust(config.company_public_key, config.pay_public_key)?
        }
    };
    // All are read before anything is said: a name that was mistyped is not a receipt that fails.
    let receipts: anyhow::Result<Vec<ReceiptFile>> =
        args.files.iter().map(|file| read_receipt(file)).collect();
    let mut checked = Vec::new();
    let mut all_hold = true;
    for receipt in receipts? {
        let proof = receipt.prove(&trust);
        all_hold &= proof.is_ok();
        if args.json {
            checked.push(proof_json(&receipt, &proof));
        } else {
            show(&proof_text(&receipt, &proof));
        }
    }
    if args.json {
        show(&serde_json::to_string_pretty(&checked)?);
    }
    Ok(if all_hold {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read_receipt(path: &Path) -> anyhow::Result<ReceiptFile> {
    let shown = path.display();
    let receipt = files::read_json(path)
        .with_context(|| format!("{shown} is not a receipt file; nothing is proven"))?;
    receipt.with_context(|| format!("there is no file {shown}"))
}

type Proof = Result<Proven, ReceiptFileError>;

fn proof_json(receipt: &ReceiptFile, proof: &Proof) -> Value {
    match proof {
        Ok(proven) => json!({
            "holds": true, "vend_id": receipt.vend_id, "meter": receipt.meter,
            "quote": proven.quote.statement(), "payment": proven.payment.statement(),
            "issue": proven.issue.as_ref().map(Signed::statement),
            "settlement": proven.settlement.as_ref().map(Signed::statement),
            "refund_order": proven.refund_order.as_ref().map(Signed::statement),
            "refunded": proven.refunded.as_ref().map(Signed::statement),
        }),
        Err(error) => json!({"holds": false, "vend_id": receipt.vend_id, "why": error.to_string()}),
    }
}

fn proof_text(receipt: &ReceiptFile, proof: &Proof) -> String {
    let vend = receipt.vend_id;
    let proven = match proof {
        Ok(proven) => proven,
        Err(error) => return format!("DOES NOT HOLD: vend {vend}: {error}."),
    };
    let (quote, payment) = (proven.quote.statement(), proven.payment.statement());
    let mut lines = vec![
        format!("Holds: vend {vend} of meter {}", receipt.meter),
        screen::quote(quote),
        format!(
            "  Paid        {} CNY at {}, {}, order {}",
            payment.amount_fen,
            screen::time(payment.paid_at_ms),
            screen::provider(&payment.provider),
            payment.order_no
        ),
    ];
    if let Some(issue) = proven.issue.as_ref().map(Signed::statement) {
        lines.push(format!(
            "  Issued      {} at {}, number {} of this meter",
            screen::amount(issue.unit, issue.credit.into()),
            screen::time(issue.issued_at_ms),
            issue.seq & 0x00FF_FFFF,
        ));
    }
    lines.extend(screen::end(proven));
    lines.join("\n")
}
