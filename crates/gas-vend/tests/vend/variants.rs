//! Every kind of effect and of event by its name. A new one does not compile until it stands here, and then
//! the tables miss it.

use gas_vend::{Effect, Event};

macro_rules! variants {
    ($all:ident, $name_of:ident, $type:ident: $($name:ident),* $(,)?) => {
        pub(crate) const $all: &[&str] = &[$(stringify!($name)),*];

        pub(crate) const fn $name_of(one: &$type) -> &'static str {
            match one {
                $($type::$name { .. } => stringify!($name),)*
            }
        }
    };
}

variants!(
    EFFECTS, effect_kind, Effect: Reserve, LookForTender, OpenTender, AskPayment, AskProvider, IssueSale,
    ReportReceipt, LookAtSale, ReleaseReservation, LapseReservation,
);

variants!(
    EVENTS, event_kind, Event: TenderAsked, Reserved, ReservationRefused, IssuedBefore, NoTender,
    TenderOpened, TenderRefused, StillUnpaid, TenderUnknown, TenderClosed, Consented, PaymentConfirmed,
    PaymentContradicted, TokenIssued, SaleRefused, ReceiptDelivered, ReceiptBelieved, ReceiptNotBelieved,
    SaleLookedAt, RefundOrdered, MoneyWentBack,
);
