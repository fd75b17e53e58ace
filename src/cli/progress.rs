//! Progress of long work: a bar on a terminal, a line in the log every few seconds elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines.
const LINES_APART: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    what: &'static str,
    started: Instant,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Starts to show the progress of `what`.
    pub(super) fn start(what: &'static str) -> Self {
        let started = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {bar:40} {human_pos}/{human_len} {per_sec} {eta}");
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            bar.with_message(what).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Progress { what, started, bar, last_line: Mutex::new(started) }
    }

    /// Shows that `done` of `total` are done.
    pub(super) fn show(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINES_APART {
            *last = Instant::now();
            tracing::info!(done, total, "{}", self.what);
        }
    }

    /// Ends the display and reports how long `count` took.
    pub(super) fn finish(self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let per_second = format!("{:.0}", count as f64 / seconds.max(0.001));
        tracing::info!(count, seconds = format!("{seconds:.1}"), per_second, "{}: done", self.what);
    }
}
