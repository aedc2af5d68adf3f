//! What the demo prints: steps with their times.

use std::time::Instant;

use crate::cli::print;

/// Prints steps with the time since the start.
pub(super) struct Show {
    start: Instant,
}

impl Show {
    pub(super) const fn new(start: Instant) -> Self {
        Self { start }
    }

    pub(super) fn title(&self, text: &str) -> Result<(), String> {
        line(&format!("\n{text}"))
    }

    pub(super) fn step(&self, text: &str) -> Result<(), String> {
        line(&format!("{:>8.3} s  {text}", self.start.elapsed().as_secs_f64()))
    }

    pub(super) fn fact(&self, name: &str, value: &str) -> Result<(), String> {
        line(&format!("            {name}: {value}"))
    }

    pub(super) fn command(&self, text: &str) -> Result<(), String> {
        line(&format!("            $ {text}"))
    }
}

fn line(text: &str) -> Result<(), String> {
    print::line(text).map_err(|e| e.to_string())
}
