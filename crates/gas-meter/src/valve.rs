use core::fmt;

/// How the valve stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Position {
    /// Gas flows.
    Open,
    /// No gas; pressing the button does nothing.
    Closed,
    /// No gas; a person at the meter may open it by its button.
    Armed,
}

/// Why the valve stays closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Obstacle {
    /// The battery could not close it again.
    BatteryFlat,
    /// The company closed it; only its signed setting lifts that.
    Held,
    /// There is no credit.
    NoCredit,
    /// It was closed over the serial line and has not been armed since.
    NotArmed,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BatteryFlat => "the battery is too weak to close the valve again; replace it",
            Self::Held => "the gas company closed the valve; it must lift that first",
            Self::NoCredit => "there is no credit; top up first",
            Self::NotArmed => "the valve was closed over the serial line; it must be armed first",
        })
    }
}

/// The valve and the company's hold on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Valve {
    pub(crate) position: Position,
    /// Closed by a signed setting.
    pub(crate) held: bool,
}

impl Valve {
    pub(crate) const fn close(&mut self) {
        self.position = Position::Closed;
    }

    /// Makes a closed valve openable by a person. Never opens it, and leaves an open one open.
    pub(crate) const fn arm(&mut self, obstacle: Option<Obstacle>) {
        if obstacle.is_none() && matches!(self.position, Position::Closed) {
            self.position = Position::Armed;
        }
    }
}
