//! The card's core: journal, meter session, link session
