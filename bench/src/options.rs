//! Sizes of a run.

use clap::Args;
use std::path::PathBuf;

/// Sizes of a run. The defaults are those of the published figures.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Rounds of every contender, after a warm-up
    #[arg(long, global = true, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Length of a round, in milliseconds
    #[arg(long, global = true, default_value_t = 2_000)]
    pub(crate) round_ms: u64,
    /// Maximum connections of a contender to PostgreSQL; below it, one per client
    #[arg(long, global = true, default_value_t = 16)]
    pub(crate) connections: u32,
    /// Admins in the large directory
    #[arg(long, global = true, default_value_t = 1_000_000)]
    pub(crate) admins: u64,
    /// Admins in the small directory
    #[arg(long, global = true, default_value_t = 10_000)]
    pub(crate) few_admins: u64,
    /// Users in the organization whose members are searched
    #[arg(long, global = true, default_value_t = 1_000_000)]
    pub(crate) users: u64,
    /// Users in the organization with groups, whose places decide about access
    #[arg(long, global = true, default_value_t = 102_000)]
    pub(crate) placed_users: u64,
    /// Groups of that organization; a fifth of them are divisions, each led by one user
    #[arg(long, global = true, default_value_t = 10_000)]
    pub(crate) groups: u64,
    /// Events in the huge journal
    #[arg(long, global = true, default_value_t = 10_000_000)]
    pub(crate) events: u64,
    /// Events in the small journal of the same comparison
    #[arg(long, global = true, default_value_t = 100_000)]
    pub(crate) few_events: u64,
    /// Events committed during an outage of NATS
    #[arg(long, global = true, default_value_t = 100_000)]
    pub(crate) outage_events: u64,
    /// Invitations that wait for their delivery
    #[arg(long, global = true, default_value_t = 10_000)]
    pub(crate) invitations: u64,
    /// Onboarding requests of the organization whose requests are listed
    #[arg(long, global = true, default_value_t = 1_000_000)]
    pub(crate) onboarding_requests: u64,
    /// Folder for the data of the servers, on a disk [default: beside the program]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// File for the results as JSON
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// File for the plot of growth, as SVG
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Also compare with Emmett, which has no licence: only for users who know that they may use it
    #[arg(long, global = true)]
    pub(crate) emmett: bool,
    /// Tiny sizes: a functional test only, the figures mean nothing
    #[arg(long, global = true)]
    pub(crate) smoke: bool,
}

impl Options {
    /// The options as given, or the tiny sizes of a smoke run.
    pub(crate) fn resolve(self) -> Self {
        if !self.smoke {
            return self;
        }
        Options {
            rounds: 1,
            round_ms: 100,
            admins: 300,
            few_admins: 100,
            users: 100,
            placed_users: 150,
            groups: 160,
            events: 3_000,
            few_events: 300,
            outage_events: 300,
            invitations: 60,
            onboarding_requests: 400,
            ..self
        }
    }
}
