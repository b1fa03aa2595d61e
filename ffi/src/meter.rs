//! What one rendering may use: a template is a program of a stranger.
//!
//! minijinja counts instructions (fuel) and limits recursion, but one instruction can double a string, and a loop of a few
//! lines fill the memory. So every operation that makes or walks through values of unbounded size pays here for the bytes
//! it makes, and looks at the clock. A rendering has a thread to itself: the meter lives in a thread-local.

use std::cell::Cell;
use std::time::{Duration, Instant};

use minijinja::{Error, ErrorKind};

pub const MAX_MEMORY: usize = 256 << 20;
pub const MAX_OUTPUT: usize = 32 << 20;
pub const MAX_TIME: Duration = Duration::from_secs(10);
pub const FUEL: u64 = 20_000_000;
/// Lists in lists in lists; JSON of real conversations has about ten.
pub const MAX_DEPTH: u32 = 100;
/// What a value that is printed costs at least, and what a value in a list costs.
pub const NODE: usize = 64;

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(0) };
    static TICKS: Cell<u32> = const { Cell::new(0) };
    static END: Cell<Option<Instant>> = const { Cell::new(None) };
}

pub fn start(input_bytes: usize) {
    LEFT.set(MAX_MEMORY.saturating_add(input_bytes.saturating_mul(16)));
    TICKS.set(0);
    END.set(Some(Instant::now() + MAX_TIME));
}

fn too_much(what: &str) -> Error {
    Error::new(ErrorKind::OutOfFuel, what.to_string())
}

pub fn too_deep() -> Error {
    too_much("its lists are nested too deeply")
}

/// Pays for bytes that are made or walked through.
pub fn charge(bytes: usize) -> Result<(), Error> {
    let ticks = TICKS.get().wrapping_add(1);
    TICKS.set(ticks);
    if ticks.is_multiple_of(32) && END.get().is_some_and(|end| Instant::now() > end) {
        return Err(too_much("it takes too long"));
    }
    match LEFT.get().checked_sub(bytes) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => {
            LEFT.set(0);
            Err(too_much("it needs too much memory"))
        }
    }
}

pub fn charge_nodes(count: usize) -> Result<(), Error> {
    charge(count.saturating_mul(NODE))
}
