//! Failures of attempts to send a message.

use serde::{Deserialize, Serialize};

/// Class of a failure. It has no words of the server, which may repeat the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageObstacle"))]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// The server cannot be reached, or no encrypted connection to it can be made.
    Unreachable,
    /// The server does not accept the credentials, or wants some.
    Unauthorized,
    /// The server did not answer in time.
    TimedOut,
    /// The connection ended before the server answered.
    Interrupted,
    /// The server refuses for now.
    Postponed,
    /// The process ended, or lost its leadership, during the attempt.
    CutOff,
    /// The server refuses for good.
    Rejected,
    /// The address cannot be written in the form that the server needs.
    Undeliverable,
    /// The recipient was erased.
    Erased,
    /// The stored texts are not those that were written.
    Unreadable,
}

impl Obstacle {
    /// Whether another attempt is pointless.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Obstacle::Rejected | Obstacle::Undeliverable | Obstacle::Erased | Obstacle::Unreadable => true,
            Obstacle::Unreachable
            | Obstacle::Unauthorized
            | Obstacle::TimedOut
            | Obstacle::Interrupted
            | Obstacle::Postponed
            | Obstacle::CutOff => false,
        }
    }

    /// The class as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Obstacle::Unreachable => "unreachable",
            Obstacle::Unauthorized => "unauthorized",
            Obstacle::TimedOut => "timed-out",
            Obstacle::Interrupted => "interrupted",
            Obstacle::Postponed => "postponed",
            Obstacle::CutOff => "cut-off",
            Obstacle::Rejected => "rejected",
            Obstacle::Undeliverable => "undeliverable",
            Obstacle::Erased => "erased",
            Obstacle::Unreadable => "unreadable",
        }
    }
}

/// Failure of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Class of the failure.
    pub obstacle: Obstacle,
    /// Code of the server's answer, if it answered: of SMTP or HTTP.
    pub answer: Option<u16>,
}

impl From<Obstacle> for Failure {
    fn from(obstacle: Obstacle) -> Self {
        Failure { obstacle, answer: None }
    }
}
