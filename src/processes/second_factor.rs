//! The second factor: one-time passwords by time (TOTP, RFC 6238), of six digits and thirty seconds as every client has
//! them. Clocks may differ by one step.

use super::accounts::at_home;
use super::notices::notice;
use super::sessions::Person;
use super::{DirectoryError, ProcessResult, commit, qr_code, user_by_id};
use crate::executor::RequestContext;
use crate::journal::{JournalError, JournalResult};
use crate::messages::Composer;
use crate::messages::compose::ComposedMessage;
use crate::node::Node;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use registrar_aggregates::message::Kind;
use registrar_aggregates::processes::second_factor::replace;
use registrar_aggregates::totp::{Configuration, Totp, TotpCommand};
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{TotpId, UserId};
use registrar_projections::totps::{self, TotpDocument};
use registrar_projections::{Direction, Query};
use totp_rs::{Builder, Secret};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Issuer of the secret, as a device shows it.
const ISSUER: &str = "Registrar";
/// Bytes of a secret (RFC 4226, section 4: 160 bits are recommended).
const SECRET_BYTES: usize = 20;
/// Seconds of a step.
const STEP: u64 = 30;
/// Most configurations read for a user; at most one is enabled and one pending.
const CONFIGURATIONS_MAX: u64 = 100;
/// Most tries to replace a configuration that another request creates at the same time.
const TRIES_MAX: usize = 16;

/// Recovery codes of a configuration.
const RECOVERY_CODES: usize = 10;
/// Bytes of a recovery code: so many that a keyed digest hides it well enough (OWASP ASVS 5.0, 6.5.2).
const RECOVERY_BYTES: usize = 15;
/// Letters of a recovery code between two hyphens.
const RECOVERY_GROUP: usize = 6;

/// Accounts that must sign in with a second factor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Requirement {
    /// No account must, every account may.
    #[default]
    Nobody,
    /// ECG admins, and users with a system role.
    Privileged,
    /// As `Privileged`, and admins of organizations.
    Admins,
    /// All accounts.
    Everybody,
}

impl Requirement {
    /// Whether the requirement covers an account.
    #[must_use]
    pub fn covers(self, person: &Person) -> bool {
        match self {
            Requirement::Nobody => false,
            Requirement::Privileged => person.is_privileged(),
            Requirement::Admins => person.is_privileged() || administers(person),
            Requirement::Everybody => true,
        }
    }

    /// Whether an account lacks the second factor that it must have.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn is_unmet(self, node: &Node, person: &Person) -> JournalResult<bool> {
        if !self.covers(person) {
            return Ok(false);
        }
        Ok(!of_user(node, person.id()).await?.iter().any(|configuration| configuration.enabled))
    }
}

fn administers(person: &Person) -> bool {
    let Person::User(user) = person else { return false };
    user.memberships.values().any(|membership| membership.roles.contains(&Role::Admin))
}

/// Data for a device, shown until the configuration is enabled.
pub struct Provisioning {
    /// The secret, base32.
    pub secret: Zeroizing<String>,
    /// The secret with all other data that a device needs (`otpauth:`).
    pub uri: Zeroizing<String>,
    /// The URI as a QR code: a PNG image.
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
    node.documents.verified(query).await
}

/// A configuration before it is recorded: the data for a device is known before the commit, and can be committed with
/// it.
pub struct Draft {
    /// Identifier of the configuration.
    pub id: TotpId,
    secret: Zeroizing<String>,
}

impl Draft {
    /// A draft with a new secret.
    #[must_use]
    pub fn fresh() -> Self {
        let bytes = Zeroizing::new(crate::vault::random::<SECRET_BYTES>());
        Draft { id: TotpId(Uuid::now_v7()), secret: Zeroizing::new(Secret::from(bytes.to_vec()).to_base32()) }
    }

    /// The data for a device.
    ///
    /// # Errors
    /// `Corrupt` for an invalid secret; a new secret is always valid.
    pub fn provisioning(&self, account: &str) -> JournalResult<Provisioning> {
        provisioning_of(&self.secret, account)
    }
}

/// Records a pending configuration; earlier pending or disabled ones are removed. Of several concurrent ones each
/// replaces the one before, since a user has one place for a pending configuration.
///
/// # Errors
/// `Enabled` if the user has an enabled one; `ClaimTaken` after too many lost races.
pub async fn create(node: &Node, context: &RequestContext, user: UserId, draft: &Draft) -> ProcessResult {
    let context = &at_home(node, context, user).await?;
    let mut lost = None;
    for _ in 0..TRIES_MAX {
        let former: Vec<_> = of_user(node, user).await?.into_iter().map(|former| former.id).collect();
        match commit(node, context, |streams| replace(streams, user, draft.id, &draft.secret, &former)).await {
            Err(error @ DirectoryError::Journal(JournalError::ClaimTaken { .. })) => lost = Some(error),
            done => return done,
        }
    }
    Err(lost.unwrap_or(JournalError::VersionConflict.into()))
}

/// The data for a device to set up a pending configuration; `None` for one that is or was enabled, whose secret stays
/// hidden.
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
    let (image, side) = qr_code::png(&uri).ok_or_else(broken)?;
    Ok(Provisioning { secret: Zeroizing::new(secret.to_owned()), uri: Zeroizing::new(uri), image, size: (side, side) })
}

impl Provisioning {
    /// The image in base64.
    #[must_use]
    pub fn image_text(&self) -> String {
        BASE64_STANDARD.encode(&*self.image)
    }
}

/// Recovery codes for a lost device: each signs in once in place of one of its codes. Shown when the configuration is
/// enabled, and never again.
pub struct RecoveryCodes(Vec<Zeroizing<String>>);

impl RecoveryCodes {
    /// Generates new codes.
    #[must_use]
    pub fn fresh() -> Self {
        let code = |_| {
            let bytes = Zeroizing::new(crate::vault::random::<RECOVERY_BYTES>());
            let plain = Zeroizing::new(Secret::from(bytes.to_vec()).to_base32().to_lowercase());
            let groups: Vec<_> = plain.as_bytes().chunks(RECOVERY_GROUP).map(String::from_utf8_lossy).collect();
            Zeroizing::new(groups.join("-"))
        };
        RecoveryCodes((0..RECOVERY_CODES).map(code).collect())
    }

    /// The codes in the form that a person writes down.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|code| code.as_str())
    }

    fn digests(&self, node: &Node, id: TotpId) -> Vec<String> {
        self.texts().map(|code| recovery_digest(node, id, code)).collect()
    }
}

/// The digest of a recovery code, regardless of spacing and letter case.
fn recovery_digest(node: &Node, id: TotpId, code: &str) -> String {
    let letters = code.chars().filter(char::is_ascii_alphanumeric);
    let plain = Zeroizing::new(letters.map(|letter| letter.to_ascii_lowercase()).collect::<String>());
    BASE64_STANDARD.encode(node.vault.digest("recovery-code", &[id.0.as_bytes(), plain.as_bytes()]))
}

/// Enables a configuration by two codes of consecutive steps.
///
/// # Errors
/// `NotConsecutive`, `UsedCode`; `ClaimTaken` if the user has another enabled one.
pub async fn enable(
    node: &Node,
    context: &RequestContext,
    id: TotpId,
    codes: [&str; 2],
    recovery: &RecoveryCodes,
    now: DateTime<Utc>,
) -> ProcessResult {
    // Equal steps are never consecutive, so the aggregate refuses them.
    let wrong = || TotpCommand::Enable { steps: [0, 0], recovery_digests: Vec::new() };
    let command = enabling(node, id, codes, recovery, now).await?.unwrap_or_else(wrong);
    Ok(node.executor.execute::<Totp>(context, &id.to_string(), command, None).await?)
}

/// The command that enables a configuration, if the codes are of one step and the next.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn enabling(
    node: &Node,
    id: TotpId,
    codes: [&str; 2],
    recovery: &RecoveryCodes,
    now: DateTime<Utc>,
) -> JournalResult<Option<TotpCommand>> {
    let secret = secret(node, id).await?;
    let steps = secret.as_deref().and_then(|secret| consecutive(secret, codes, now));
    Ok(steps.map(|steps| TotpCommand::Enable { steps, recovery_digests: recovery.digests(node, id) }))
}

/// The pending configuration of a person that was never enabled.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn in_the_making(node: &Node, person: &Person) -> JournalResult<Option<TotpId>> {
    let configurations = of_user(node, person.id()).await?;
    let fresh = |configuration: &&TotpDocument| !configuration.enabled && configuration.enabled_at.is_none();
    Ok(configurations.iter().rev().find(fresh).map(|configuration| configuration.id))
}

/// The name that a device shows for an account.
#[must_use]
pub fn account_name(person: &Person) -> String {
    match person {
        Person::User(user) => user.username_text().to_owned(),
        Person::Admin(admin) => admin.account.as_ref().map(|account| account.email.to_string()).unwrap_or_default(),
    }
}

/// Disables a configuration. A user whose configuration another account disables is told by mail.
///
/// # Errors
/// `NotFound`.
pub async fn disable(node: &Node, context: &RequestContext, composer: &Composer, id: TotpId) -> ProcessResult {
    let notice = notice_of_disabling(node, context, composer, id).await?;
    commit(node, context, |streams| {
        let was_enabled = streams.execute::<Totp>(id, TotpCommand::Disable)?;
        notice.iter().filter(|_| was_enabled).try_for_each(|notice| notice.add_to(streams))
    })
    .await
}

/// The notice for the user of a configuration who is not the actor.
async fn notice_of_disabling(
    node: &Node,
    context: &RequestContext,
    composer: &Composer,
    id: TotpId,
) -> JournalResult<Option<ComposedMessage>> {
    let user = configuration(node, id).await?.map(|configuration| configuration.user_id);
    let Some(other) = user.filter(|user| user.to_string() != context.metadata.actor.id) else { return Ok(None) };
    match user_by_id(node, other).await? {
        Some(user) => notice(node, composer, &user, Kind::SecondFactorRecovery, user.home()).await,
        None => Ok(None),
    }
}

/// Deletes a configuration.
///
/// # Errors
/// `NotFound`, `Enabled`.
pub async fn delete(node: &Node, context: &RequestContext, id: TotpId) -> ProcessResult {
    Ok(node.executor.execute::<Totp>(context, &id.to_string(), TotpCommand::Delete, None).await?)
}

/// The use of a right code for a configuration: from its device, or a recovery code. The aggregate decides whether a
/// device's code was used before.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn use_of(node: &Node, id: TotpId, code: &str, now: DateTime<Utc>) -> JournalResult<Option<TotpCommand>> {
    let Some(configuration) = configuration(node, id).await? else { return Ok(None) };
    let generator = generator(&configuration.secret, None).ok_or_else(broken)?;
    if let Some(step) = generator.check(code, seconds(now)) {
        return Ok(Some(TotpCommand::Use { step }));
    }
    let digest = recovery_digest(node, id, code);
    Ok(configuration.recovery_code(&digest).map(|_| TotpCommand::Recover { digest }))
}

async fn configuration(node: &Node, id: TotpId) -> JournalResult<Option<Box<Configuration>>> {
    match node.executor.state::<Totp>(&id.to_string()).await? {
        (_, Totp::Present(configuration)) => Ok(Some(configuration)),
        _ => Ok(None),
    }
}

async fn secret(node: &Node, id: TotpId) -> JournalResult<Option<Zeroizing<String>>> {
    Ok(configuration(node, id).await?.map(|configuration| Zeroizing::new(configuration.secret)))
}

fn generator(secret: &str, account: Option<&str>) -> Option<totp_rs::Totp> {
    let secret = Secret::try_from_base32(secret).ok()?;
    let builder = Builder::new().with_secret(secret).with_step_duration(STEP);
    match account {
        Some(account) => builder.with_account_name(account).with_issuer(Some(ISSUER)).build().ok(),
        None => builder.build().ok(),
    }
}

/// The steps of two codes, where the second may be of the step that has just begun, or the one after.
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
    fn recovery_codes_are_many_letters_in_groups_and_no_two_alike() {
        let codes = RecoveryCodes::fresh();
        let texts: std::collections::BTreeSet<_> = codes.texts().collect();
        assert_eq!(texts.len(), RECOVERY_CODES);
        for code in texts {
            let groups: Vec<_> = code.split('-').collect();
            assert!(groups.len() == 4 && groups.iter().all(|group| group.len() == RECOVERY_GROUP), "{code}");
            assert!(code.chars().all(|c| c == '-' || c.is_ascii_lowercase() || c.is_ascii_digit()), "{code}");
        }
    }

    #[test]
    fn codes_match_the_test_vectors_of_rfc_6238() {
        // RFC 6238, appendix B, has eight digits; the six are the last of them.
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
