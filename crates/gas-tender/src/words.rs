use gas_api::pay::Way;
use serde::{Deserialize, Serialize};

/// What the provider is told with the order beside the tender's facts. A repeated call must say the same to
/// the byte, or the provider refuses it; so it is kept with the tender, whatever the settings say by then.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Words {
    /// Shown to the payer.
    pub description: String,
    /// Where the provider notifies us.
    pub notify_url: String,
    /// How the payer pays: the provider takes an order in one way only.
    #[serde(default)]
    pub way: Way,
}
