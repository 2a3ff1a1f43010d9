pub(super) mod confirmation;
pub(super) mod put;
pub(super) mod receipt;
pub(super) mod show;
pub(super) mod tender;
