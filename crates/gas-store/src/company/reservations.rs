//! The meter's limit and its one payment under way, held for a vend.

use gas_sales::{ReserveRefusal, reservation_ends};
use gas_statement::{Quote, Signed};
use gas_units::{MeterNumber, UnixMillis, VendId};

use super::CompanyStore;
use super::tx::{Reservation, ReservationState, Tx};
use crate::sqlite::StoreError;

/// What came of asking for a reservation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReserveOutcome {
    /// It stands.
    Reserved,
    /// The vend was paid and issued already.
    AlreadyIssued,
    /// It may not be paid.
    Refused(ReserveRefusal),
}

impl CompanyStore {
    /// Company rule 7: holds the meter's limit and its one payment under way for this vend, until
    /// three hours after the quote at most. Again by the same vend, it stands; once it has ended, it never comes back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reserve(
        &self,
        quote: &Signed<Quote>,
        now: UnixMillis,
    ) -> Result<ReserveOutcome, StoreError> {
        let quote = quote.statement();
        let mut tx = self.begin().await?;
        tx.agree().await?;
        if tx.find_sale(quote.vend_id).await?.is_some() {
            return Ok(ReserveOutcome::AlreadyIssued);
        }
        let open = holder(&mut tx, quote.meter, now).await?;
        if open == Some(quote.vend_id) {
            return Ok(ReserveOutcome::Reserved);
        }
        if tx.find_reservation(quote.vend_id).await?.is_some() {
            tx.commit().await?;
            return Ok(ReserveOutcome::Refused(ReserveRefusal::Released));
        }
        let row = tx.load_book(quote.meter).await?;
        if let Err(refusal) = row.book.may_reserve(quote, open, now) {
            return Ok(ReserveOutcome::Refused(refusal));
        }
        let reservation = Reservation {
            meter: quote.meter,
            state: ReservationState::Open,
            reserved_at: now,
            ends_at: reservation_ends(quote),
        };
        tx.put_reservation(quote.vend_id, &reservation).await?;
        tx.commit().await?;
        Ok(ReserveOutcome::Reserved)
    }

    /// Gives a vend's reservation up, also one that is still on its way here. Money that comes after that
    /// is still issued for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release(&self, vend_id: VendId, now: UnixMillis) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let released = match tx.find_reservation(vend_id).await? {
            Some(reservation) if reservation.state == ReservationState::Open => Reservation {
                state: ReservationState::Released,
                ..reservation
            },
            Some(_) => return Ok(()),
            None => match tx.find_quote(vend_id).await? {
                Some(quote) => Reservation {
                    meter: quote.meter,
                    state: ReservationState::Released,
                    reserved_at: now,
                    ends_at: now,
                },
                None => return Ok(()),
            },
        };
        tx.put_reservation(vend_id, &released).await?;
        tx.commit().await
    }
}

/// The vend that holds this meter's reservation, if any still does; one that has ended is given up.
pub(super) async fn holder(
    tx: &mut Tx,
    meter: MeterNumber,
    now: UnixMillis,
) -> Result<Option<VendId>, StoreError> {
    let Some((vend_id, reservation)) = tx.open_reservation(meter).await? else {
        return Ok(None);
    };
    if now < reservation.ends_at {
        return Ok(Some(vend_id));
    }
    let released = Reservation {
        state: ReservationState::Released,
        ..reservation
    };
    tx.put_reservation(vend_id, &released).await?;
    Ok(None)
}
