//! Why something was not done, and whether trying again may help.

use gas_phone::{Distrust, EventError};

use crate::card::CardError;
use crate::cloud::CloudError;

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error(transparent)]
    Card(#[from] CardError),
    #[error(transparent)]
    Event(#[from] EventError),
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// The cashier where `--yes` pays.
    #[error("the cashier page cannot be used ({0})")]
    Cashier(String),
    #[error("{0:#}")]
    System(#[from] anyhow::Error),
}

impl Trouble {
    /// Whether it may pass by itself, by trying again.
    pub(crate) const fn may_pass(&self) -> bool {
        match self {
            Self::Cloud(CloudError::Refused(_)) | Self::Distrust(_) | Self::System(_) => false,
            Self::Event(error) => match error {
                EventError::Refused(_) | EventError::Card(_) | EventError::OtherMeter(_) => true,
                EventError::Distrust(_) | EventError::MeterRefused(_) | EventError::Unexpected => {
                    false
                }
            },
            Self::Cloud(_) | Self::Card(_) | Self::Cashier(_) => true,
        }
    }
}
