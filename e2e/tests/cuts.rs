//! The Bluetooth link cut at every request, at every answer, and in the middle of the token.

use anyhow::{bail, ensure};
use e2e::Household;
use gas_testbed::Settings;
use serde_json::json;

/// One kind of PDU on the air, and on which side of it the link is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// ATT opcode (Bluetooth Core, Vol 3 Part F, 3.4).
    att: u8,
    /// The PDU still arrives: its receiver has acted, its sender never learns.
    deliver: bool,
}

const BEFORE_WRITE: Cut = Cut {
    att: 0x12,
    deliver: false,
};
const AFTER_WRITE: Cut = Cut {
    att: 0x12,
    deliver: true,
};
const BEFORE_WRITE_RESPONSE: Cut = Cut {
    att: 0x13,
    deliver: false,
};
const BEFORE_INDICATION: Cut = Cut {
    att: 0x1D,
    deliver: false,
};
const BEFORE_CONFIRMATION: Cut = Cut {
    att: 0x1E,
    deliver: false,
};

/// More PDUs of one kind than a top-up has; the loops end before.
const PDUS_MAX: u32 = 200;
/// Fewer than this many would not be a whole top-up.
const PDUS_MIN: u32 = 5;

impl Cut {
    /// The `skip`th such PDU from now on will be the last of its link.
    async fn arm(self, home: &Household, skip: u32) -> anyhow::Result<()> {
        let Self { att, deliver } = self;
        let request = json!({ "op": "cut_on", "att": att, "skip": skip, "deliver": deliver });
        home.run.radio(&request).await?;
        Ok(())
    }

    /// Takes the fault away; whether it came to pass.
    async fn disarm(home: &Household) -> anyhow::Result<bool> {
        let still_armed = home.run.radio(&json!({ "op": "stat" })).await?["cut"].is_object();
        home.run.radio(&json!({ "op": "reset" })).await?;
        Ok(!still_armed)
    }

    /// One top-up for each such PDU in it: cut there, finish, exactly once. Ends with the first top-up
    /// that had no such PDU left to cut.
    async fn everywhere(self) -> anyhow::Result<()> {
        let home = Household::start().await?;
        for skip in 0..PDUS_MAX {
            let before = home.meter().await?;
            self.arm(&home, skip).await?;
            let vend = home.finish(home.top_up("20.00")?).await?;
            home.expect_accepted(&vend, before, 2_000).await?;
            if !Self::disarm(&home).await? {
                ensure!(
                    skip >= PDUS_MIN,
                    "only {skip} PDUs: is this a whole top-up?"
                );
                return home.run.stop_all().await;
            }
        }
        bail!("a top-up has more than {PDUS_MAX} PDUs of this kind")
    }

    /// As above, while a token is delivered over values of 20 bytes: it takes several segments, and the
    /// link is cut between them.
    async fn in_the_token(self) -> anyhow::Result<()> {
        let small = Settings {
            days_lived: 0,
            phone_value_max: 20,
            ..Settings::default()
        };
        let home = Household::start_with(small).await?;
        for skip in 0..PDUS_MAX {
            let before = home.meter().await?;
            home.handset.pay_only("20.00").await?;
            self.arm(&home, skip).await?;
            let vend = home.handset.resume().await?;
            home.expect_accepted(&vend, before, 2_000).await?;
            if !Self::disarm(&home).await? {
                ensure!(
                    skip >= PDUS_MIN,
                    "only {skip} PDUs: is the token in segments?"
                );
                return home.run.stop_all().await;
            }
        }
        bail!("a delivery has more than {PDUS_MAX} PDUs of this kind")
    }
}

#[tokio::test]
async fn before_every_write() -> anyhow::Result<()> {
    BEFORE_WRITE.everywhere().await
}

#[tokio::test]
async fn after_every_write() -> anyhow::Result<()> {
    AFTER_WRITE.everywhere().await
}

#[tokio::test]
async fn before_every_write_response() -> anyhow::Result<()> {
    BEFORE_WRITE_RESPONSE.everywhere().await
}

#[tokio::test]
async fn before_every_indication() -> anyhow::Result<()> {
    BEFORE_INDICATION.everywhere().await
}

#[tokio::test]
async fn before_every_confirmation() -> anyhow::Result<()> {
    BEFORE_CONFIRMATION.everywhere().await
}

#[tokio::test]
async fn between_the_segments_of_the_token() -> anyhow::Result<()> {
    BEFORE_WRITE.in_the_token().await
}

#[tokio::test]
async fn after_each_segment_of_the_token() -> anyhow::Result<()> {
    AFTER_WRITE.in_the_token().await
}

#[tokio::test]
async fn between_the_segments_of_the_receipt() -> anyhow::Result<()> {
    BEFORE_INDICATION.in_the_token().await
}
