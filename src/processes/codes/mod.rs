//! One-time codes: drawn here, sent by message, and compared as keyed digests. Their rules are in
//! [`registrar_aggregates::one_time_code`] and [`registrar_aggregates::processes::codes`].
//!
//! An answer that must not tell known names from unknown ones is held by [`Pace`]; the requests and tries that callers see
//! are counted by [`Shadows`] for any name, by the same rules; wrong codes count against the client's network
//! ([`CodeGuard`]).

mod pace;
mod shadows;

pub use pace::Pace;
pub use shadows::Shadows;

use super::DirectoryError;
use super::sessions::ClientInfo;
use super::sign_in::{Failures, NetworkGuard};
use crate::journal::JournalResult;
use crate::messages::Composer;
use crate::messages::compose::{ComposedMessage, MessageOrder};
use crate::messages::templates::Variables;
use crate::node::Node;
use crate::store::hex;
use crate::vault::random;
use chrono::Utc;
use registrar_aggregates::message::delivery::About;
use registrar_aggregates::message::{Channel, Kind};
use registrar_aggregates::one_time_code::{Purpose, VALIDITY};
use registrar_aggregates::processes::codes::{self as rules, CodeIssue};
use registrar_aggregates::processes::{Step, Streams};
use registrar_aggregates::quota::QuotaKind;
use registrar_aggregates::user::{Contact, Locale, Names};
use registrar_aggregates::values::{OrganizationId, RecipientId, UserId};
use zeroize::Zeroizing;

/// Number of codes of six digits.
const CODES: u32 = 1_000_000;

/// The stream of the quota of messages to an address, by its keyed digest, which is the same for all spellings.
#[must_use]
pub fn quota_stream(node: &Node, to: &Contact) -> String {
    let key = to.claim();
    let digest = node.vault.digest("quota-of-messages", &[key.scope.as_bytes(), key.value.as_bytes()]);
    QuotaKind::Messages.stream(hex(&digest))
}

/// The digest of a code as it is stored; spaces around and between the digits do not matter.
#[must_use]
pub fn code_digest(node: &Node, user: UserId, purpose: Purpose, code: &str) -> String {
    let code: Zeroizing<String> = Zeroizing::new(code.chars().filter(|c| !c.is_whitespace()).collect());
    hex(&node.vault.digest("one-time-code", &[user.0.as_bytes(), purpose.name().as_bytes(), code.as_bytes()]))
}

/// A code with its message, ready to be committed with the act that causes it.
#[derive(Clone)]
pub struct PreparedCode {
    /// The code, as digest.
    pub issue: CodeIssue,
    /// The message that carries it.
    pub message: ComposedMessage,
}

impl PreparedCode {
    /// Adds both to the decisions of a process, with which they are committed or not at all.
    ///
    /// # Errors
    /// `UsedUp`; `Unfit`, for an address of another form than the channel needs.
    pub fn add_to(&self, streams: &mut Streams) -> Step<()> {
        rules::issue(streams, &self.issue)?;
        self.message.add_to(streams)
    }
}

/// A code to be sent.
#[derive(Clone)]
pub struct CodeOrder {
    /// The user.
    pub user: UserId,
    /// Purpose of the code.
    pub purpose: Purpose,
    /// Contact to which it is sent.
    pub to: Contact,
    /// Kind of an e-mail with the code. That of a text message follows from the purpose.
    pub kind: Kind,
    /// Language of the message.
    pub locale: Locale,
    /// The organization in whose name it is sent.
    pub organization: Option<OrganizationId>,
    /// Names of the user.
    pub names: Names,
    /// The record that the message belongs to.
    pub about: About,
}

/// Draws a code and composes its message; nothing is stored. A process that is attempted again takes the same one.
///
/// # Errors
/// `Unavailable`, `Corrupt`, as of composing.
pub async fn prepare(node: &Node, composer: &Composer, order: CodeOrder) -> JournalResult<PreparedCode> {
    let CodeOrder { user, purpose, to, kind, locale, organization, names, about } = order;
    let code = draw();
    let digest = code_digest(node, user, purpose, &code);
    let channel = to.channel();
    let kind = match channel {
        Channel::Email => kind,
        Channel::Sms => text_kind(purpose),
    };
    let variables = Variables {
        code: Some(code.to_string()),
        expires_minutes: u32::try_from(VALIDITY.num_minutes()).ok(),
        ..Variables::naming(&names)
    };
    let (recipient, address) = (RecipientId(user.0), to.as_str().to_owned());
    let order = MessageOrder { kind, channel, locale, organization, recipient, about, to: address, variables };
    let message = composer.compose(node, order).await?;
    let quota = quota_stream(node, &to);
    Ok(PreparedCode { issue: CodeIssue { user, purpose, to, digest, quota, now: Utc::now() }, message })
}

/// Kind of a text message with a code.
const fn text_kind(purpose: Purpose) -> Kind {
    match purpose {
        Purpose::Password | Purpose::PasswordSms => Kind::ResetPassword,
        Purpose::SignUp | Purpose::Email | Purpose::Phone => Kind::Verify,
    }
}

/// Six digits, each code as likely as any other.
fn draw() -> Zeroizing<String> {
    loop {
        if let Some(code) = digits(u32::from_le_bytes(random::<4>())) {
            return code;
        }
    }
}

/// Six digits from a random number. Numbers beyond the last whole multiple would make some codes more likely than others.
fn digits(number: u32) -> Option<Zeroizing<String>> {
    (number < u32::MAX - u32::MAX % CODES).then(|| Zeroizing::new(format!("{:06}", number % CODES)))
}

/// Limit on wrong codes from one network, as of failed sign-ins: 60 in 15 minutes. It counts one-time codes of all names
/// and purposes, whether there is such a name or not, and codes of organizations and invitations. Sign-ins are counted
/// apart: mistyped passwords in the network of a clinic block no codes there.
pub struct CodeGuard;

impl CodeGuard {
    /// Refuses a try after too many wrong codes.
    ///
    /// # Errors
    /// `Locked`; `Unavailable`.
    pub async fn check(node: &Node, failures: &Failures, client_info: &ClientInfo) -> Result<(), DirectoryError> {
        NetworkGuard::of_codes(node, client_info).check(node, failures).await
    }

    /// Counts a wrong code.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn fail(node: &Node, failures: &Failures, client_info: &ClientInfo) -> Result<(), DirectoryError> {
        NetworkGuard::of_codes(node, client_info).fail(node, failures).await
    }

    /// Looks up what a code is for; one that finds nothing is wrong.
    ///
    /// # Errors
    /// `Locked` after too many wrong codes, for a right one as well; errors of the look-up.
    pub async fn look_up<T>(
        node: &Node,
        failures: &Failures,
        client_info: &ClientInfo,
        found: impl Future<Output = JournalResult<Option<T>>>,
    ) -> Result<Option<T>, DirectoryError> {
        Self::check(node, failures, client_info).await?;
        let found = found.await?;
        if found.is_none() {
            Self::fail(node, failures, client_info).await?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_six_digits() {
        for _ in 0..1_000 {
            let code = draw();
            assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()), "{}", *code);
        }
        assert_eq!(digits(7).map(|code| code.to_string()).as_deref(), Some("000007"));
    }

    #[test]
    fn no_code_is_more_likely_than_another() {
        let whole = u32::MAX / CODES * CODES;
        assert_eq!(digits(whole - 1).map(|code| code.to_string()).as_deref(), Some("999999"));
        assert!(digits(whole).is_none() && digits(u32::MAX).is_none());
    }
}
