//! Bounds on the length of sessions, which operators may tighten and not widen.

use super::{ConfigError, given, parse};
use crate::auth::{Bound, SessionBounds};
use chrono::TimeDelta;
use clap::Args;

/// Shortest time that may be set: below it a session would end while its first access token is used.
const SHORTEST: TimeDelta = TimeDelta::minutes(5);

/// The settings.
#[derive(Debug, Clone, Default, Args)]
pub struct SessionArgs {
    /// Longest life of a session, as a number with s, m, h or d [default: 90d, which is the most]
    #[arg(long, env = "REGISTRAR_SESSION_LIFE", value_name = "TIME", hide_env_values = true)]
    pub session_life: Option<String>,
    /// Longest time without a refresh after which a session ends [default: 14d, which is the most]
    #[arg(long, env = "REGISTRAR_SESSION_IDLE", value_name = "TIME", hide_env_values = true)]
    pub session_idle: Option<String>,
    /// Longest life of a session of an ECG admin or a holder of a system role [default: as of all]
    #[arg(long, env = "REGISTRAR_PRIVILEGED_SESSION_LIFE", value_name = "TIME", hide_env_values = true)]
    pub privileged_session_life: Option<String>,
    /// Longest time without a refresh after which such a session ends [default: as of all]
    #[arg(long, env = "REGISTRAR_PRIVILEGED_SESSION_IDLE", value_name = "TIME", hide_env_values = true)]
    pub privileged_session_idle: Option<String>,
}

impl SessionArgs {
    /// The bounds. Those of privileged accounts are never wider than those of all.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn resolve(self) -> Result<SessionBounds, ConfigError> {
        let SessionArgs { session_life, session_idle, privileged_session_life, privileged_session_idle } = self;
        let time =
            |name, text, default, max| given(text).map_or(Ok(default), |text| parse::time(name, &text, SHORTEST..=max));
        let all = SessionBounds::default().all;
        let all = Bound {
            life: time("REGISTRAR_SESSION_LIFE", session_life, all.life, all.life)?,
            idle: time("REGISTRAR_SESSION_IDLE", session_idle, all.idle, all.idle)?,
        };
        let privileged = Bound {
            life: time("REGISTRAR_PRIVILEGED_SESSION_LIFE", privileged_session_life, all.life, all.life)?,
            idle: time("REGISTRAR_PRIVILEGED_SESSION_IDLE", privileged_session_idle, all.idle, all.idle)?,
        };
        Ok(SessionBounds { all, privileged })
    }
}
