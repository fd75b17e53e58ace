//! The second factor: one-time passwords by time (TOTP, RFC 6238), of six digits and thirty seconds as every client has
//! them. Clocks may differ by one step.

use super::accounts::at_home;
use super::{DirectoryError, Done, commit, lift, refused};
use crate::executor::RequestContext;
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use registrar_aggregates::totp::{Totp, TotpCommand, TotpError};
use registrar_aggregates::values::{TotpId, UserId};
use registrar_projections::totps::{self, TotpDocument};
use registrar_projections::{Direction, Query};
use totp_rs::{Builder, Secret};
use uuid::Uuid;
use zeroize::Zeroizing;

/// What the secret belongs to, as a device shows it.
const ISSUER: &str = "Registrar";
/// Bytes of a secret (RFC 4226, section 4: 160 bits are recommended).
const SECRET_BYTES: usize = 20;
/// Seconds of a step.
const STEP: u64 = 30;
/// Most configurations of a user that are looked at; there are never more than one in force and one in the making.
const CONFIGURATIONS_MAX: u64 = 100;
/// Most tries to take the place of a configuration that another request makes at the same time.
const TRIES_MAX: usize = 16;

/// What a device needs, shown until the configuration is in force.
pub struct Provisioning {
    /// The secret, base32.
    pub secret: Zeroizing<String>,
    /// The same with everything else that a device needs (`otpauth:`).
    pub uri: Zeroizing<String>,
    /// The address as a QR code: a PNG image.
    pub image: Zeroizing<Vec<u8>>,
    /// Width and height of the image in pixels.
    pub size: (u32, u32),
}

/// The configurations of a user, oldest first.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn of_user(node: &Node, user: UserId) -> JournalResult<Vec<TotpDocument>> {
    let query = Query::<TotpDocument>::sorted(&totps::BY_CREATION, Direction::Ascending)
        .equal(&totps::USER_ID, user.to_string())
        .page(0, CONFIGURATIONS_MAX);
    Ok(node.documents.page(query).await?.value.items)
}

/// A configuration before it is recorded: what a device needs is known before the commit, and can be committed with it.
pub struct Draft {
    /// The configuration.
    pub id: TotpId,
    secret: Zeroizing<String>,
}

impl Draft {
    /// One with a fresh secret.
    #[must_use]
    pub fn fresh() -> Self {
        let bytes = Zeroizing::new(crate::vault::random::<SECRET_BYTES>());
        Draft { id: TotpId(Uuid::now_v7()), secret: Zeroizing::new(Secret::from(bytes.to_vec()).to_base32()) }
    }

    /// The provisioning that a device needs of it.
    ///
    /// # Errors
    /// `Corrupt`; a fresh secret is always one.
    pub fn provisioning(&self, account: &str) -> JournalResult<Provisioning> {
        provisioning_of(&self.secret, account)
    }
}

/// Records a configuration, not in force; those that were in the making or out of force before are taken away. Of several
/// at once each takes the place of the one before, since a user has one place for a configuration in the making.
///
/// # Errors
/// `Enabled` if the user has one in force; `ClaimTaken` after too many lost races.
pub async fn create(node: &Node, context: &RequestContext, user: UserId, draft: &Draft) -> Done {
    let context = &at_home(node, context, user).await?;
    let mut lost = None;
    for _ in 0..TRIES_MAX {
        let former = of_user(node, user).await?;
        match replace(node, context, user, draft, &former).await {
            Err(error @ DirectoryError::Journal(JournalError::ClaimTaken { .. })) => lost = Some(error),
            done => return done,
        }
    }
    Err(lost.unwrap_or(JournalError::VersionConflict.into()))
}

async fn replace(node: &Node, context: &RequestContext, user: UserId, draft: &Draft, former: &[TotpDocument]) -> Done {
    commit(node, context, |together| {
        Box::pin(async move {
            for former in former {
                let former = former.id.to_string();
                match together.state::<Totp>(&former).await? {
                    Totp::Present(configuration) if configuration.enabled => return refused(TotpError::Enabled),
                    Totp::Present(_) => {
                        together.execute::<Totp>(&former, TotpCommand::Delete).await.map_err(lift)?;
                    }
                    // Another request took it away.
                    Totp::Absent | Totp::Deleted => {}
                }
            }
            let secret = draft.secret.to_string();
            let command = TotpCommand::Create { id: draft.id, user_id: user, secret };
            together.execute::<Totp>(&draft.id.to_string(), command).await.map_err(lift)?;
            Ok(())
        })
    })
    .await
}

/// What a device needs of a configuration that is not in force; `None` for one that is or was, whose secret stays hidden.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn provisioning(node: &Node, id: TotpId, account: &str) -> JournalResult<Option<Provisioning>> {
    let (_, Totp::Present(configuration)) = node.executor.state::<Totp>(&id.to_string()).await? else {
        return Ok(None);
    };
    if configuration.last_step.is_some() {
        return Ok(None);
    }
    provisioning_of(&configuration.secret, account).map(Some)
}

fn provisioning_of(secret: &str, account: &str) -> JournalResult<Provisioning> {
    let account = account.replace(':', " ");
    let totp = generator(secret, Some(&account)).ok_or_else(broken)?;
    let uri = totp.to_url().map_err(|_| broken())?;
    let image = totp.to_qr_png().map_err(|_| broken())?;
    let size = size_of(&image).ok_or_else(broken)?;
    Ok(Provisioning {
        secret: Zeroizing::new(secret.to_owned()),
        uri: Zeroizing::new(uri),
        image: Zeroizing::new(image),
        size,
    })
}

impl Provisioning {
    /// The image in base64.
    #[must_use]
    pub fn image_text(&self) -> String {
        BASE64_STANDARD.encode(&*self.image)
    }
}

/// Puts a configuration in force by two codes, one step after the other.
///
/// # Errors
/// `NotConsecutive`, `UsedCode`; `ClaimTaken` if the user has another one in force.
pub async fn enable(node: &Node, context: &RequestContext, id: TotpId, codes: [&str; 2], now: DateTime<Utc>) -> Done {
    let secret = secret(node, id).await?;
    let steps = secret.as_deref().and_then(|secret| consecutive(secret, codes, now));
    // No two steps are the same as one another and one after the other.
    let command = TotpCommand::Enable { steps: steps.unwrap_or([0, 0]) };
    Ok(node.executor.execute::<Totp>(context, &id.to_string(), command, None).await?)
}

/// Puts a configuration out of force.
///
/// # Errors
/// `NotFound`.
pub async fn disable(node: &Node, context: &RequestContext, id: TotpId) -> Done {
    Ok(node.executor.execute::<Totp>(context, &id.to_string(), TotpCommand::Disable, None).await?)
}

/// Takes a configuration away.
///
/// # Errors
/// `NotFound`, `Enabled`.
pub async fn delete(node: &Node, context: &RequestContext, id: TotpId) -> Done {
    Ok(node.executor.execute::<Totp>(context, &id.to_string(), TotpCommand::Delete, None).await?)
}

/// The step that a code is right for, of a configuration; whether it was used before is for the aggregate to say.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn step_of(node: &Node, id: TotpId, code: &str, now: DateTime<Utc>) -> JournalResult<Option<u64>> {
    let secret = secret(node, id).await?;
    Ok(secret.and_then(|secret| generator(&secret, None)?.check(code, seconds(now))))
}

async fn secret(node: &Node, id: TotpId) -> JournalResult<Option<Zeroizing<String>>> {
    match node.executor.state::<Totp>(&id.to_string()).await? {
        (_, Totp::Present(configuration)) => Ok(Some(Zeroizing::new(configuration.secret.clone()))),
        _ => Ok(None),
    }
}

fn generator(secret: &str, account: Option<&str>) -> Option<totp_rs::Totp> {
    let secret = Secret::try_from_base32(secret).ok()?;
    let builder = Builder::new().with_secret(secret).with_step_duration(STEP);
    match account {
        Some(account) => builder.with_account_name(account).with_issuer(Some(ISSUER)).build().ok(),
        None => builder.build().ok(),
    }
}

/// The steps of two codes of which the second may be of the step that begins just now, or the one after.
fn consecutive(secret: &str, [first, second]: [&str; 2], now: DateTime<Utc>) -> Option<[u64; 2]> {
    let generator = generator(secret, None)?;
    let now = seconds(now);
    let mut earlier = [now.saturating_sub(STEP), now].into_iter();
    earlier.find_map(|time| {
        let step = generator.check(first, time)?;
        let next = generator.check(second, (step + 1) * STEP)?;
        (next == step + 1).then_some([step, next])
    })
}

fn seconds(now: DateTime<Utc>) -> u64 {
    u64::try_from(now.timestamp()).unwrap_or_default()
}

/// Width and height stand in the first chunk of a PNG image (ISO/IEC 15948, 11.2.2).
fn size_of(png: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| png.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((number(16)?, number(20)?))
}

fn broken() -> JournalError {
    JournalError::corrupt("a stored TOTP secret is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn code(step: u64) -> String {
        generator(SECRET, None).expect("a secret").generate(step * STEP).to_string()
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, of eight digits; six of them are the last six.
        assert_eq!(code(59 / STEP), "287082");
        assert_eq!(code(1_111_111_109 / STEP), "081804");
    }

    #[test]
    fn two_codes_are_of_one_step_and_the_next() {
        let now = at(1_000_000_020);
        let step = 1_000_000_020 / STEP;
        let pair = |first: u64, second: u64| consecutive(SECRET, [&code(first), &code(second)], now);
        for first in [step - 2, step - 1, step, step + 1] {
            assert_eq!(pair(first, first + 1), Some([first, first + 1]), "{first}");
        }
        for (first, second) in [(step, step), (step + 1, step), (step - 1, step + 1), (step - 9, step - 8)] {
            assert_eq!(pair(first, second), None, "{first} {second}");
        }
        assert_eq!(consecutive(SECRET, ["", "abcdef"], now), None);
    }
}
