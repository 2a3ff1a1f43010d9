//! The Bluetooth link between a card and one phone.

/// A card's radio: it takes one phone at a time.
#[derive(Debug, Default)]
pub(crate) struct Radio {
    link: Option<Link>,
    made: u64,
}

/// A link that stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Link {
    /// Counts the card's links: what belongs to an older one is lost.
    pub(crate) number: u64,
    /// The phone at the other end.
    pub(crate) phone: usize,
}

impl Radio {
    /// Makes a link, unless one stands.
    pub(crate) fn connect(&mut self, phone: usize) -> Option<Link> {
        if self.link.is_some() {
            return None;
        }
        self.made += 1;
        let link = Link {
            number: self.made,
            phone,
        };
        self.link = Some(link);
        Some(link)
    }

    /// The link that stands, if it is this one.
    pub(crate) fn stands(&self, number: u64) -> Option<Link> {
        self.link.filter(|link| link.number == number)
    }

    /// The link that stands.
    pub(crate) const fn link(&self) -> Option<Link> {
        self.link
    }

    /// Ends the link that stands.
    pub(crate) const fn end(&mut self) -> Option<Link> {
        self.link.take()
    }
}
