//! Everything that touches the world: files, the pseudo terminal, the control socket, the clock.

pub(crate) mod args;
mod clockwork;
mod control;
mod files;
mod nvm;
mod program;
mod tty;

pub(crate) use program::run;
