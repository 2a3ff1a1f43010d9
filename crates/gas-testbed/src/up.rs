use std::path::Path;
use std::time::Duration;

use gas_testbed::{Part, Run, Settings};
use tokio::time::{MissedTickBehavior, interval};

use crate::screen::{progress, show, start_all, until_stopped};

/// How often to look whether a part has died.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Keeps everything running until Ctrl-C.
pub(crate) async fn up(dir: &Path, settings: Settings, browser: bool) -> anyhow::Result<()> {
    let mut run = Run::setup(dir, settings).await?;
    run.add(&[Part::Bridge]).await?;
    if browser {
        run.add(&Part::BROWSER_RADIO).await?;
    }
    start_all(&mut run).await?;
    how_to_go_on(&run)?;
    if browser {
        show(&format!(
            "\nA browser on this radio:\n  DBUS_SYSTEM_BUS_ADDRESS={} chromium --enable-blink-features=WebBluetooth",
            run.bus_address()?
        ))?;
    }
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stopped = until_stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            ended = &mut stopped => {
                ended?;
                break;
            }
            _ = look.tick() => revive(&mut run).await?,
        }
    }
    progress("Stopping ...")?;
    run.stop_all().await
}

/// Starts again what has died, and says so.
async fn revive(run: &mut Run) -> anyhow::Result<()> {
    for (part, status, tail) in run.ended()? {
        progress(&format!(
            "The {} died ({status}); {tail}\nStarting it again ...",
            part.title()
        ))?;
        run.start(part).await?;
        progress(&format!("The {} is back.", part.title()))?;
    }
    Ok(())
}

fn how_to_go_on(run: &Run) -> anyhow::Result<()> {
    for part in [Part::Cloud, Part::Company, Part::Pay, Part::Provider] {
        show(&format!("{:<28} {}", part.title(), run.url(part)?))?;
    }
    show(&format!(
        "\nThe phone's page with the demo card, in any browser on this machine, without Bluetooth:\n  {}",
        run.demo_link()?
    ))?;
    let pilotlight = run.pilotlight_words();
    show("\nIn another terminal:")?;
    for words in [
        "phone top-up --amount 50.00",
        "phone status",
        "meter show",
        "--help",
    ] {
        show(&format!("  {pilotlight} {words}"))?;
    }
    show("\nCtrl-C stops everything; ./x up goes on from there.")?;
    Ok(())
}
