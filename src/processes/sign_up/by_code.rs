//! Sign-up by the code of an organization.

use super::form::{
    Agreements, Findings, NO_ADDRESS, SOURCE, USERNAME, WANTED_USERNAME, address, channel_of, reached_by,
};
use super::{SignUpError, SignUps, confirmation_code};
use crate::auth::network::network;
use crate::executor::{Outcome, RequestContext};
use crate::journal::JournalError;
use crate::processes::codes::{PreparedCode, prepare};
use crate::processes::organization_codes::check_enrollment;
use crate::processes::passwords::{Rules, accept};
use crate::processes::sessions::ClientInfo;
use crate::processes::{self, DirectoryError, Refusal};
use chrono::Utc;
use registrar_aggregates::group::Group;
use registrar_aggregates::group::placement::{self, Placement};
use registrar_aggregates::individual::Individual;
use registrar_aggregates::message::Channel;
use registrar_aggregates::one_time_code::{self, OneTimeCode, Purpose};
use registrar_aggregates::organization::Organization;
use registrar_aggregates::organization_code::{OrganizationCode, OrganizationCodeId};
use registrar_aggregates::processes::MissingStream;
use registrar_aggregates::processes::sign_up::{self as rules, Choices, CodeSignUp};
use registrar_aggregates::quota::Quota;
use registrar_aggregates::user::{
    BirthDate, Contact, Contacts, Creation, Enrollment, Home, Locale, NAME_LENGTH_MAX, Names, Phone, PhoneType,
    Profile, UserState, Username,
};
use registrar_aggregates::values::{EmailAddress, GroupId, IndividualId, OrganizationId, UserId, trimmed_name};
use registrar_projections::organization_codes::OrganizationCodeDocument;
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;
use zeroize::Zeroizing;

const EMAIL: &str = "email";
const PHONE: &str = "contactPhoneMobile";

/// The form of a sign-up by code, as entered.
pub struct CodeForm {
    /// E-mail address or telephone number.
    pub username: String,
    /// Password.
    pub password: Zeroizing<String>,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: Option<String>,
    /// Telephone number of a mobile line.
    pub phone: Option<String>,
    /// Date of birth.
    pub birth_date: Option<BirthDate>,
    /// Contact for signing in; that of the name by default.
    pub set_username: Option<Username>,
    /// Locale that the person chooses.
    pub locale: Option<Locale>,
    /// Time zone that the person chooses.
    pub time_zone: Option<String>,
    /// Further answers of the person.
    pub enrollment: Enrollment,
    /// Identifiers of agreed documents.
    pub agreements: Vec<String>,
    /// Channel of the code; else the best one that the person wants codes by, else that of the name.
    pub source: Option<Channel>,
}

/// A sign-up ready to be committed.
pub struct PreparedCodeSignUp<'a> {
    sign_ups: SignUps<'a>,
    network: String,
    code: OrganizationCodeId,
    organization: OrganizationId,
    group: Option<GroupId>,
    name: Contact,
    contacts: Vec<Contact>,
    creation: Creation,
    choices: Choices,
    enrollment: Enrollment,
    individual: IndividualId,
    message: PreparedCode,
}

impl<'a> SignUps<'a> {
    /// Checks the form of a sign-up, hashes the password, and composes the message with the code that confirms it.
    ///
    /// # Errors
    /// `Invalid` with everything that the form has wrong; `TooMany`, `Busy`, `NotLookedUp`, `Directory`.
    pub async fn by_code(
        &self,
        code: &OrganizationCodeDocument,
        form: CodeForm,
        client_info: &ClientInfo,
    ) -> Result<PreparedCodeSignUp<'a>, SignUpError> {
        self.passwords.check_room()?;
        let network = network(client_info.ip_address.as_deref().unwrap_or_default());
        self.limits.check(&network).map_err(SignUpError::TooMany)?;
        let organization = code.terms.organization_id;
        let agreements = Agreements::of(self, organization, form.agreements).await?;

        let mut findings = Findings::default();
        let name = findings.fit(USERNAME, address(&form.username));
        let contacts = contacts(&mut findings, name.as_ref(), form.email.as_deref(), form.phone.as_deref());
        let has = |kind: Username| contacts.iter().any(|contact| contact.kind() == kind);
        // Without a valid name the contacts are not known.
        if name.is_some() && form.set_username.is_some_and(|wanted| !has(wanted)) {
            findings.note(WANTED_USERNAME, NO_ADDRESS);
        }
        if name.is_some() && form.source.is_some_and(|source| reached_by(&contacts, [source]).is_none()) {
            findings.note(SOURCE, NO_ADDRESS);
        }
        let first_name = findings.fit("firstName", trimmed_name(&form.first_name, NAME_LENGTH_MAX));
        let last_name = findings.fit("lastName", trimmed_name(&form.last_name, NAME_LENGTH_MAX));
        let enrollment = enrollment(&mut findings, form.enrollment, code.terms.enrollment_schema.as_ref());
        let agreed = agreements.checked(&BTreeSet::new(), &mut findings);
        let mut creation = Creation {
            id: UserId(Uuid::now_v7()),
            state: UserState::Registered,
            names: Names { first_name: first_name.unwrap_or_default(), last_name: last_name.unwrap_or_default() },
            birth_date: form.birth_date,
            home: Some(Home::of(organization)),
            sign_up_code: Some(code.id.clone()),
            contacts: stored(&contacts, form.phone.is_some()),
            username: form.set_username.or(name.as_ref().map(Contact::kind)).unwrap_or(Username::Email),
            locale: form.locale.unwrap_or_default(),
            time_zone: None,
            classification: None,
            onboarding: None,
            password_hash: None,
            password_expires_at: None,
        };
        let rules = Rules::from(&Profile::from(creation.clone()));
        findings.into_result_with(self, &form.password, &rules).await?;

        let nameless = || JournalError::corrupt("a form without a name was accepted");
        let name = name.ok_or_else(nameless)?;
        let wanted = form.source.into_iter().chain(enrollment.notifications.iter().copied());
        let to = reached_by(&contacts, wanted.chain([channel_of(name.kind())])).ok_or_else(nameless)?;
        let order = confirmation_code(creation.id, to, creation.locale, Some(organization), &creation.names);
        let (hash, message) = futures::try_join!(
            async { Ok::<_, SignUpError>(accept(self.passwords, self.pwned, form.password, rules).await?) },
            async { Ok::<_, SignUpError>(prepare(self.node, self.composer, order).await?) },
        )?;
        creation.password_hash = Some(hash);
        Ok(PreparedCodeSignUp {
            sign_ups: *self,
            network,
            code: code.id.clone(),
            organization,
            group: code.terms.individual_group_id,
            name,
            contacts,
            creation,
            choices: Choices { agreements: agreed, locale: form.locale, time_zone: form.time_zone, username: None },
            enrollment,
            individual: IndividualId(Uuid::now_v7()),
            message,
        })
    }
}

impl PreparedCodeSignUp<'_> {
    /// Creates the account and sends the code.
    ///
    /// # Errors
    /// `Taken` for an address of another account, `TooMany` if the network was told of too many; `Directory` with
    /// `ClosedCode`, `UsedUp`, other refusals of the user.
    pub async fn commit(&self, context: &RequestContext) -> Result<Outcome, SignUpError> {
        let sign_up = CodeSignUp {
            code: &self.code,
            creation: &self.creation,
            choices: &self.choices,
            enrollment: &self.enrollment,
            individual: self.individual,
            now: Utc::now(),
        };
        let needed = self.needed();
        let context = context.within(self.organization);
        let done = processes::commit(self.sign_ups.node, &context, |streams| {
            streams.prefetch(needed.iter().cloned())?;
            rules::by_code(streams, &sign_up)?;
            self.message.add_to(streams)
        });
        done.await.map_err(|error| self.refusal(error))
    }

    /// The streams of the process, so that they are loaded at once.
    fn needed(&self) -> Vec<MissingStream> {
        let mut needed = vec![
            MissingStream::of::<OrganizationCode>(&self.code),
            MissingStream::of::<Organization>(self.organization),
            MissingStream::of::<Individual>(self.individual),
            MissingStream::of::<Placement>(placement::stream(self.organization, self.individual)),
            MissingStream::of::<OneTimeCode>(one_time_code::stream(self.creation.id, Purpose::SignUp)),
            MissingStream::of::<Quota>(&self.message.issue.quota),
        ];
        needed.extend(self.group.map(MissingStream::of::<Group>));
        needed
    }

    fn refusal(&self, error: DirectoryError) -> SignUpError {
        let SignUps { node, limits, .. } = self.sign_ups;
        let field = match &error {
            DirectoryError::Journal(JournalError::ClaimTaken { field }) => *field,
            // It tells as much: anyone can ask for codes for a new password, but an address without an account gets none.
            DirectoryError::Refused(Refusal::Quota(_)) => {
                let told = limits.tell(node, &self.network, &self.message.issue.to);
                return told.map_or_else(SignUpError::TooMany, |()| error.into());
            }
            _ => return error.into(),
        };
        let Some(taken) = self.contacts.iter().find(|contact| contact.claim().field == field) else {
            return error.into();
        };
        match limits.tell(node, &self.network, taken) {
            Ok(()) if taken.kind() == self.name.kind() => SignUpError::Taken { field: USERNAME },
            Ok(()) if taken.kind() == Username::Email => SignUpError::Taken { field: EMAIL },
            Ok(()) => SignUpError::Taken { field: PHONE },
            Err(exceeded) => SignUpError::TooMany(exceeded),
        }
    }
}

/// The contacts of a form: the name, and one of the other kind.
fn contacts(findings: &mut Findings, name: Option<&Contact>, email: Option<&str>, phone: Option<&str>) -> Vec<Contact> {
    let email = email.and_then(|text| findings.fit(EMAIL, EmailAddress::parse(text))).map(Contact::Email);
    let phone = phone.and_then(|text| findings.fit(PHONE, Phone::parse(text.trim()))).map(Contact::Phone);
    let Some(name) = name else { return email.into_iter().chain(phone).collect() };
    let mut contacts = vec![name.clone()];
    for (field, other) in [(EMAIL, email), (PHONE, phone)] {
        match other {
            Some(other) if other.kind() != name.kind() => contacts.push(other),
            Some(other) if !other.is_same(name) => findings.note(field, "must be the same as the username"),
            Some(_) | None => {}
        }
    }
    contacts
}

/// The contacts as they are stored, none of them verified.
fn stored(contacts: &[Contact], is_mobile: bool) -> Contacts {
    let mut stored = Contacts::default();
    for contact in contacts {
        match contact.clone() {
            Contact::Email(email) => stored.email = Some(email),
            Contact::Phone(phone) => stored.phone = Some(phone),
        }
    }
    if stored.phone.is_some() && is_mobile {
        stored.phone_type = PhoneType::Mobile;
    }
    stored
}

/// Further answers of the person, compared with the form of the code.
fn enrollment(findings: &mut Findings, told: Enrollment, form: Option<&Value>) -> Enrollment {
    let told = match told.checked() {
        Ok(told) => told,
        Err(unfit) => {
            findings.add(unfit);
            return Enrollment::default();
        }
    };
    let data = Value::Object(told.data.clone().unwrap_or_default());
    if let Some(Err(unfit)) = form.map(|form| check_enrollment(form, &data)) {
        findings.note("enrollmentData", unfit);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(findings: Findings) -> Vec<String> {
        match findings.into_result() {
            Err(SignUpError::Invalid(violations)) => violations.into_iter().map(|one| one.field).collect(),
            Err(error) => panic!("{error:?}"),
            Ok(()) => vec![],
        }
    }

    #[test]
    fn a_form_has_one_contact_of_each_kind() {
        let name = address("ada@example.com").expect("an address");
        let with = |email: Option<&str>, phone: Option<&str>| {
            let mut findings = Findings::default();
            let contacts = contacts(&mut findings, Some(&name), email, phone);
            (contacts.iter().map(|contact| contact.as_str().to_owned()).collect::<Vec<_>>(), found(findings))
        };
        assert_eq!(with(None, None), (vec!["ada@example.com".into()], vec![]));
        assert_eq!(with(Some("ADA@example.com"), None), (vec!["ada@example.com".into()], vec![]));
        let both = (vec!["ada@example.com".into(), "+12025550123".into()], vec![]);
        assert_eq!(with(None, Some("+12025550123")), both);
        let (_, findings) = with(Some("king@example.com"), Some("12025550123"));
        assert_eq!(findings, [PHONE, EMAIL]);
    }

    #[test]
    fn the_number_of_a_mobile_line_is_known_as_one() {
        let contacts = [address("+12025550123").expect("a number")];
        assert_eq!(stored(&contacts, true).phone_type, PhoneType::Mobile);
        assert_eq!(stored(&contacts, false).phone_type, PhoneType::Unknown);
        assert_eq!(stored(&[], true), Contacts::default());
    }

    #[test]
    fn data_is_compared_with_the_form_even_if_there_are_none() {
        let form = json!({ "type": "object", "required": ["weight"] });
        let compared = |data: Value, form: Option<&Value>| {
            let mut findings = Findings::default();
            let data = data.as_object().cloned();
            enrollment(&mut findings, Enrollment { data, ..Enrollment::default() }, form);
            found(findings)
        };
        assert_eq!(compared(json!({ "weight": 82 }), Some(&form)), [""; 0]);
        assert_eq!(compared(Value::Null, Some(&form)), ["enrollmentData"]);
        assert_eq!(compared(json!({ "weight": "\0" }), Some(&form)), ["enrollmentData"]);
        assert_eq!(compared(json!({ "height": 180 }), None), [""; 0]);
    }
}
