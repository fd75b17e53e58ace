//! Rules of passwords (OWASP ASVS 5.0, 6.2): long enough, not among those that attackers try first, and not made of
//! known facts about the owner. Any characters are allowed.

use crate::auth::{HasherBusy, PasswordHasher, Permissions};
use registrar_aggregates::text;
use registrar_aggregates::user::{Names, Profile};
use registrar_aggregates::values::EmailAddress;
use registrar_projections::AdminDocument;
use sha1::{Digest, Sha1};
use std::time::Duration;
use zeroize::Zeroizing;
use zxcvbn::{Entropy, Score, zxcvbn};

/// Shortest password, in characters.
pub const LENGTH_MIN: usize = 8;
/// Shortest password of holders of system roles and platform-wide permissions, in characters.
pub const LENGTH_MIN_PRIVILEGED: usize = 12;
/// Longest password, in characters.
pub const LENGTH_MAX: usize = 255;
/// Length of the judged part of a password, in characters.
const JUDGED_LENGTH: usize = 64;
/// Passwords guessed within so many tries are refused: the 3,000 most common ones and words of the owner's own, in any
/// case of letters.
const GUESSES_MIN: u64 = 10_000;
/// Longest response of the look-up that is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(3);

/// Reason why a password is refused. The message follows the name of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordWeakness {
    /// Too few characters.
    #[error("must have at least {0} characters")]
    Short(usize),
    /// Too many characters.
    #[error("must not have more than {LENGTH_MAX} characters")]
    Long,
    /// Among the first guesses of an attacker.
    #[error("is too easily guessed")]
    Guessable,
    /// The password is in a list of stolen passwords.
    #[error("was found among passwords that were stolen elsewhere")]
    Pwned,
}

/// Reason why a password was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The rules refuse it.
    #[error(transparent)]
    Weak(#[from] PasswordWeakness),
    /// Too many passwords are checked at the moment.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The required look-up among stolen passwords failed.
    #[error("could not be looked up among those that were stolen elsewhere")]
    NotLookedUp,
}

/// The hash of a new password from any source, if the rules accept it and, where `pwned` is given, it is not known to
/// have been stolen.
///
/// # Errors
/// [`PasswordError`].
pub async fn accept(
    hasher: &PasswordHasher,
    pwned: Option<&Pwned>,
    password: Zeroizing<String>,
    rules: Rules,
) -> Result<String, PasswordError> {
    let checked = password.clone();
    hasher.run(move || check_by(&checked, &rules)).await??;
    if let Some(pwned) = pwned {
        match pwned.times(&password).await {
            Ok(0) => {}
            Ok(_) => return Err(PasswordWeakness::Pwned.into()),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "stolen passwords were not looked up");
                // Unless the setting says so, an unavailable service keeps no user from setting a password.
                if pwned.required {
                    return Err(PasswordError::NotLookedUp);
                }
            }
        }
    }
    Ok(hasher.hash(password).await?)
}

/// Strength of a password, and how to improve it.
pub struct Strength {
    /// From 0 to 4.
    pub value: u8,
    /// The strength in a word.
    pub label: &'static str,
    /// Advice for a stronger password.
    pub suggestions: Vec<String>,
}

/// The judged part of a password. The time needed grows faster than the length, and a part of this length shows enough.
fn judged(password: &str) -> &str {
    let end = password.char_indices().nth(JUDGED_LENGTH).map_or(password.len(), |(end, _)| end);
    &password[..end]
}

/// Strength of a password, without knowledge of its owner.
#[must_use]
pub fn strength(password: &str) -> Strength {
    let entropy = zxcvbn(judged(password), &["registrar"]);
    let (value, label) = match entropy.score() {
        Score::Zero => (0, "weak"),
        Score::One => (1, "weak"),
        Score::Two => (2, "fair"),
        Score::Three => (3, "good"),
        _ => (4, "strong"),
    };
    Strength { value, label, suggestions: suggestions(&entropy) }
}

fn suggestions(entropy: &Entropy) -> Vec<String> {
    let Some(feedback) = entropy.feedback() else { return vec![] };
    let warning = feedback.warning().map(|warning| warning.to_string());
    warning.into_iter().chain(feedback.suggestions().iter().map(ToString::to_string)).collect()
}

/// Rules of a password, by its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether its owner holds a system role or a platform-wide permission.
    pub privileged: bool,
    /// Known words of its owner: names, addresses, numbers.
    pub words: Vec<String>,
}

impl From<&Profile> for Rules {
    fn from(user: &Profile) -> Self {
        Rules { privileged: !user.system_roles.is_empty(), words: words(user) }
    }
}

impl From<&AdminDocument> for Rules {
    fn from(admin: &AdminDocument) -> Self {
        let permissions = Permissions::granted(&admin.policies, &admin.custom_permissions);
        let email = admin.account.as_ref().map(|account| account.email.as_str()).unwrap_or_default();
        let names = [admin.person.first_name.as_str(), admin.person.last_name.as_str()];
        Rules::of_admin(permissions, names, email)
    }
}

impl Rules {
    /// Rules for a new user with these names and this address.
    #[must_use]
    pub fn of_new_user(names: &Names, email: &EmailAddress, privileged: bool) -> Self {
        Rules { privileged, words: known([&names.first_name, &names.last_name], email.as_str(), "") }
    }

    /// Rules for the account of a sign-in name, as far as they do not depend on the account, if there is one.
    #[must_use]
    pub fn of_username(username: &str) -> Self {
        Rules { privileged: false, words: known(["", ""], username.trim(), "") }
    }

    /// Rules for an admin with these permissions, names and address.
    #[must_use]
    pub fn of_admin(permissions: Permissions, [first_name, last_name]: [&str; 2], email: &str) -> Self {
        Rules {
            privileged: permissions != permissions.within_an_organization(),
            words: known([first_name, last_name], email, ""),
        }
    }

    /// Shortest password, in characters.
    #[must_use]
    pub fn length_min(&self) -> usize {
        if self.privileged { LENGTH_MIN_PRIVILEGED } else { LENGTH_MIN }
    }
}

/// Checks a password in the form in which it is hashed (see [`text::compatible`]).
///
/// # Errors
/// `Short`, `Long`, `Guessable`.
pub fn check_by(password: &str, rules: &Rules) -> Result<(), PasswordWeakness> {
    let password = &*Zeroizing::new(text::compatible(password));
    match password.chars().count() {
        length if length < rules.length_min() => return Err(PasswordWeakness::Short(rules.length_min())),
        length if length > LENGTH_MAX => return Err(PasswordWeakness::Long),
        _ => {}
    }
    let known: Vec<_> = rules.words.iter().map(String::as_str).chain(["registrar"]).collect();
    // Characters around a word of the owner do not make it another word.
    let bare = text::fold(password.trim_matches(|c: char| !c.is_alphabetic()));
    let own = known.iter().any(|word| text::fold(word.trim_matches(|c: char| !c.is_alphabetic())) == bare);
    if own || zxcvbn(judged(password), &known).guesses() < GUESSES_MIN {
        Err(PasswordWeakness::Guessable)
    } else {
        Ok(())
    }
}

/// Words of a user's profile that a password might contain.
fn words(profile: &Profile) -> Vec<String> {
    let email = profile.contacts.email.as_ref().map(|email| email.as_str()).unwrap_or_default();
    let phone = profile.contacts.phone.as_ref().map(|phone| phone.as_str()).unwrap_or_default();
    known([&profile.names.first_name, &profile.names.last_name], email, phone)
}

fn known(names: [&str; 2], email: &str, phone: &str) -> Vec<String> {
    let parts = email.split(['@', '.', '_', '-', '+']);
    let all = names.into_iter().chain([email, phone]).chain(parts);
    all.filter(|word| word.chars().count() > 2).map(str::to_owned).collect()
}

/// Looks up how often a password was found among stolen ones, without revealing it: the first five digits of its SHA-1
/// digest are sent, and the response is searched here (k-anonymity, as of the service Have I Been Pwned).
#[derive(Debug, Clone)]
pub struct Pwned {
    client: http_client::Client,
    url: String,
    required: bool,
}

/// Reason why the look-up failed.
#[derive(Debug, thiserror::Error)]
pub enum PwnedError {
    /// The request to the service failed.
    #[error("the service that knows stolen passwords does not answer")]
    Unreachable(#[from] http_client::Error),
    /// The service answered with another status.
    #[error("the service that knows stolen passwords answers {0}")]
    Refused(u16),
    /// The response is too long.
    #[error("the service that knows stolen passwords answers too much")]
    TooLong,
}

impl Pwned {
    /// A client of the service at `url`, to which the five digits are added.
    ///
    /// # Errors
    /// `Unreachable` if no client can be made.
    pub fn at(url: &str) -> Result<Self, PwnedError> {
        // Fails if a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Only the configured service is asked: no redirect is followed, and no proxy of the environment is used.
        let client = http_client::Client::builder()
            .timeout(PATIENCE)
            .redirect(http_client::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Pwned { client, url: url.trim_end_matches('/').to_owned(), required: false })
    }

    /// Sets whether passwords that cannot be looked up are refused.
    #[must_use]
    pub fn required(self, required: bool) -> Self {
        Pwned { required, ..self }
    }

    /// Number of times the password was found.
    ///
    /// # Errors
    /// [`PwnedError`] if the service does not answer as it should.
    pub async fn times(&self, password: &str) -> Result<u64, PwnedError> {
        let digest = crate::store::hex(&Sha1::digest(password.as_bytes())).to_uppercase();
        let (prefix, rest) = digest.split_at(5);
        // Padding keeps the length of the response from revealing the part that was asked for.
        let request = self.client.get(format!("{}/{prefix}", self.url)).header("Add-Padding", "true");
        let mut response = request.send().await?;
        if !response.status().is_success() {
            return Err(PwnedError::Refused(response.status().as_u16()));
        }
        let mut text = Vec::new();
        while let Some(part) = response.chunk().await? {
            text.extend_from_slice(&part);
            if text.len() > ANSWER_BYTES_MAX {
                return Err(PwnedError::TooLong);
            }
        }
        Ok(found(&String::from_utf8_lossy(&text), rest))
    }
}

/// The number beside the rest of a digest, in lines of `rest:number`.
fn found(answer: &str, rest: &str) -> u64 {
    let lines = answer.lines().filter_map(|line| line.trim().split_once(':'));
    let mut counts = lines.filter(|(one, _)| one.eq_ignore_ascii_case(rest)).map(|(_, count)| count.trim().parse());
    counts.find_map(Result::ok).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_short_and_overlong_passwords_are_refused() {
        let check = |password: &str| check_by(password, &Rules::default());
        for common in
            ["password", "Password1", "12345678", "qwertyuiop", "iloveyou", "football1", "PASSWORD", "sunshine"]
        {
            assert_eq!(check(common), Err(PasswordWeakness::Guessable), "{common}");
        }
        assert_eq!(check("short 1"), Err(PasswordWeakness::Short(8)));
        assert_eq!(check(&"long ".repeat(60)), Err(PasswordWeakness::Long));
        for fit in ["correct horse battery staple", "gJ7#pQ2!", &"λόγος φως ".repeat(7)] {
            assert_eq!(check(fit), Ok(()), "{fit}");
        }
    }

    #[test]
    fn privileged_accounts_need_longer_passwords() {
        let privileged = Rules { privileged: true, words: vec![] };
        assert_eq!(check_by("gJ7#pQ2!xyz", &privileged), Err(PasswordWeakness::Short(12)));
        assert_eq!(check_by("gJ7#pQ2!xyzw", &privileged), Ok(()));
        assert_eq!(check_by("gJ7#pQ2!xyz", &Rules::default()), Ok(()));
        let everything = Rules::of_admin(Permissions::ALL, ["Ada", "Lovelace"], "ada@example.com");
        assert!(everything.privileged);
        assert!(!Rules::of_admin(Permissions::NONE, ["Ada", "Lovelace"], "ada@example.com").privileged);
        assert_eq!(check_by("ada@example.com", &everything), Err(PasswordWeakness::Guessable));
    }

    #[test]
    fn strength_has_five_steps() {
        let values: Vec<_> =
            ["password", "tr0ub4dor&3", "correct horse battery staple"].map(|password| strength(password).value).into();
        assert!(values.is_sorted() && values[0] == 0 && values[2] == 4, "{values:?}");
        assert!(!strength("password").suggestions.is_empty());
    }

    #[test]
    fn the_answer_of_the_look_up_is_searched_line_by_line() {
        let answer = "0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n00D4F6E8FA6EECAD2A3AA415EEC418D38EC:2\r\nPADDING:0";
        assert_eq!(found(answer, "00d4f6e8fa6eecad2a3aa415eec418d38ec"), 2);
        assert_eq!(found(answer, "011053FD0102E94D6AE2F8B83D76FAF94F6"), 0);
        assert_eq!(found("<html>", "0018A45C4D1DEF81644B54AB7F969B88D65"), 0);
    }
}
