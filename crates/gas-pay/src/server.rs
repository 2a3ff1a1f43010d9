use std::sync::Arc;

use crate::desk::Desk;
use crate::wechat::WeChat;

/// A [`Desk`] behind HTTP: with it, who reads the provider's notifications. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    pub(crate) desk: Desk,
    pub(crate) wechat: Arc<WeChat>,
}

impl Server {
    /// A server for `desk`.
    #[must_use]
    pub const fn new(desk: Desk, wechat: Arc<WeChat>) -> Self {
        Self { desk, wechat }
    }

    /// The payment server below HTTP.
    #[must_use]
    pub const fn desk(&self) -> &Desk {
        &self.desk
    }
}
