//! Parts that both forms of a sign-up share, and the findings in them.

use super::{SignUpError, SignUps};
use crate::journal::JournalResult;
use crate::processes::passwords::{PasswordWeakness, Rules, check_by};
use crate::processes::service_documents::ServiceDocuments;
use registrar_aggregates::Violation;
use registrar_aggregates::message::Channel;
use registrar_aggregates::user::{Contact, Phone, Username};
use registrar_aggregates::values::{EmailAddress, Finding, OrganizationId, Problem};
use registrar_projections::onboarding_requests::OnboardingDocument;
use std::collections::BTreeSet;
use std::fmt::Display;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Fields of forms, in the words of the domain.
pub(super) const AGREEMENTS: &str = "serviceDocumentAgreements";
pub(super) const PASSWORD: &str = "password";
pub(super) const SOURCE: &str = "source";
pub(super) const USERNAME: &str = "username";
pub(super) const WANTED_USERNAME: &str = "setUsername";

/// Problem of a channel, or of a sign-in contact, without an address.
pub(super) const NO_ADDRESS: &str = "names a contact that is not known";

/// The contact that a text is: a telephone number if it begins with a plus sign, else an e-mail address.
///
/// # Errors
/// Those of the forms of addresses.
pub fn address(text: &str) -> Result<Contact, Problem> {
    let text = text.trim();
    if text.starts_with('+') {
        Phone::parse(text).map(Contact::Phone)
    } else {
        EmailAddress::parse(text).map(Contact::Email)
    }
}

/// Channel of a kind of contact.
pub(super) const fn channel_of(kind: Username) -> Channel {
    match kind {
        Username::Email => Channel::Email,
        Username::Phone => Channel::Sms,
    }
}

/// The first of the contacts by one of the channels, the best channel first.
pub(super) fn reached_by(contacts: &[Contact], channels: impl IntoIterator<Item = Channel>) -> Option<Contact> {
    let by = |channel: Channel| contacts.iter().find(|contact| channel_of(contact.kind()) == channel);
    channels.into_iter().find_map(by).cloned()
}

/// The contacts of an onboarding request.
pub(super) fn contacts_of(request: &OnboardingDocument) -> Vec<Contact> {
    request.channels().into_iter().filter_map(|channel| request.contact(channel)).collect()
}

/// Everything that a form has wrong.
#[derive(Default)]
pub(super) struct Findings(Vec<Violation>);

impl Findings {
    pub(super) fn note(&mut self, field: &str, detail: impl Display) {
        self.0.push(Violation { field: field.to_owned(), detail: detail.to_string() });
    }

    pub(super) fn add(&mut self, findings: Vec<Finding>) {
        findings.into_iter().for_each(|finding| self.note(&finding.field, finding.problem));
    }

    /// The value, unless it is unfit.
    pub(super) fn fit<T>(&mut self, field: &str, parsed: Result<T, Problem>) -> Option<T> {
        parsed.map_err(|problem| self.note(field, problem)).ok()
    }

    /// # Errors
    /// `Invalid` with all findings.
    pub(super) fn into_result(self) -> Result<(), SignUpError> {
        if self.0.is_empty() { Ok(()) } else { Err(SignUpError::Invalid(self.0)) }
    }

    /// As [`Findings::into_result`], with the findings about the password. It is judged here only beside others: without
    /// them the hashing judges it.
    ///
    /// # Errors
    /// `Invalid` with all findings; `Busy`.
    pub(super) async fn into_result_with(
        mut self,
        sign_ups: &SignUps<'_>,
        password: &Zeroizing<String>,
        rules: &Rules,
    ) -> Result<(), SignUpError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (password, rules) = (password.clone(), rules.clone());
        let judged: Result<(), PasswordWeakness> = sign_ups.passwords.run(move || check_by(&password, &rules)).await?;
        if let Err(weak) = judged {
            self.note(PASSWORD, weak);
        }
        self.into_result()
    }
}

/// Documents that a person agrees to, compared with those of an organization.
pub(super) struct Agreements {
    documents: ServiceDocuments,
    given: Vec<String>,
}

impl Agreements {
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(super) async fn of(
        sign_ups: &SignUps<'_>,
        organization: OrganizationId,
        given: Vec<String>,
    ) -> JournalResult<Self> {
        let documents = ServiceDocuments::of_session(&sign_ups.node.documents, Some(organization)).await?;
        Ok(Agreements { documents, given })
    }

    /// The documents, if there are such and none is missing beside those that were agreed to `before`.
    pub(super) fn checked(&self, before: &BTreeSet<Uuid>, findings: &mut Findings) -> BTreeSet<Uuid> {
        let known = |text: &String| Uuid::try_parse(text).ok().filter(|id| self.documents.has(*id));
        let agreed: Option<BTreeSet<Uuid>> = self.given.iter().map(known).collect();
        let Some(agreed) = agreed else {
            findings.note(AGREEMENTS, "names no document");
            return BTreeSet::new();
        };
        let missing = self.documents.missing_beside(&(before | &agreed));
        if !missing.is_empty() {
            let ids: Vec<_> = missing.iter().map(Uuid::to_string).collect();
            findings.note(AGREEMENTS, format!("must name every binding document; missing: {}", ids.join(", ")));
        }
        agreed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_telephone_number_or_an_e_mail_address() {
        assert!(matches!(address(" +12025550123 "), Ok(Contact::Phone(_))));
        assert!(matches!(address("ada@example.com"), Ok(Contact::Email(_))));
        assert_eq!(address("+1 202"), Err(Problem::NotAPhone));
        assert_eq!(address("ada"), Err(Problem::NotAnEmail));
    }

    #[test]
    fn a_person_is_reached_by_the_best_channel_with_an_address() {
        let contacts = ["ada@example.com", "+12025550123"].map(|text| address(text).expect("an address"));
        let reached = |channels: &[Channel]| reached_by(&contacts, channels.iter().copied());
        assert_eq!(reached(&[Channel::Sms, Channel::Email]).as_ref(), Some(&contacts[1]));
        assert_eq!(reached_by(&contacts[..1], [Channel::Sms, Channel::Email]).as_ref(), Some(&contacts[0]));
        assert_eq!(reached(&[]), None);
    }
}
