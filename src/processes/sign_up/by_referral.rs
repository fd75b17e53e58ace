//! Sign-up by the code of an invitation.

use super::form::{Agreements, Findings, NO_ADDRESS, SOURCE, WANTED_USERNAME, address, contacts_of, reached_by};
use super::{SignUpError, SignUps, confirmation_code};
use crate::executor::{Outcome, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::processes::codes::{CodeGuard, PreparedCode, prepare};
use crate::processes::onboarding::{by_referral_code, referral_digest};
use crate::processes::passwords::{Rules, accept};
use crate::processes::sessions::ClientInfo;
use crate::processes::{self, DirectoryError, registration_invitations, user_who_holds};
use chrono::Utc;
use registrar_aggregates::Violation;
use registrar_aggregates::message::Channel;
use registrar_aggregates::onboarding::{OnboardKind, Onboarding};
use registrar_aggregates::processes::sign_up::{self as rules, Choices, ReferralSignUp, ReferredAccount};
use registrar_aggregates::user::{
    Contact, Contacts, Creation, Home, Locale, Names, Profile, UserError, UserState, Username,
};
use registrar_aggregates::values::{IndividualId, Problem, RegistrationInvitationId, UserId};
use registrar_projections::UserDocument;
use registrar_projections::onboarding_requests::OnboardingDocument;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The form of a sign-up by an invitation, as entered.
pub struct ReferralForm {
    /// The code of the invitation.
    pub code: String,
    /// Address or number that was invited.
    pub username: String,
    /// Password.
    pub password: Zeroizing<String>,
    /// Contact for signing in; that of the name by default.
    pub set_username: Option<Username>,
    /// Locale that the person chooses.
    pub locale: Option<Locale>,
    /// Time zone that the person chooses.
    pub time_zone: Option<String>,
    /// Identifiers of agreed documents.
    pub agreements: Vec<String>,
    /// Channel of the code; else that of the invitations, else that of the name.
    pub source: Option<Channel>,
}

/// A sign-up ready to be committed.
pub struct PreparedReferralSignUp<'a> {
    sign_ups: SignUps<'a>,
    request: Arc<OnboardingDocument>,
    digest: String,
    account: PreparedAccount,
    hash: String,
    choices: Choices,
    individual: IndividualId,
    invitation: Option<RegistrationInvitationId>,
    /// The code that confirms the account, where the invitation alone does not.
    message: Option<PreparedCode>,
}

/// The account that signs up.
enum PreparedAccount {
    Present(UserId),
    New(Box<Creation>),
}

impl<'a> SignUps<'a> {
    /// Checks the form of a sign-up, hashes the password, and composes the message with the code that confirms it.
    ///
    /// # Errors
    /// `Invalid` with everything that the form has wrong: a code that is unknown, and one of an invitation to another
    /// address than the name, are alike. `Busy`, `NotLookedUp`; `Directory`, with `HasAccount` before anything else.
    pub async fn by_referral(
        &self,
        form: ReferralForm,
        client_info: &ClientInfo,
    ) -> Result<PreparedReferralSignUp<'a>, SignUpError> {
        self.passwords.check_room()?;
        let (found, ()) = futures::try_join!(
            async { Ok::<_, DirectoryError>(by_referral_code(self.node, &form.code).await?) },
            CodeGuard::check(self.node, self.failures, client_info),
        )?;
        let found = found.map(|request| (contacts_of(&request), request));
        let invited = found.and_then(|(invited, request)| {
            let name = address(&form.username).ok()?;
            let is_invited = invited.iter().any(|contact| contact.is_same(&name));
            is_invited.then_some((request, invited, name))
        });
        let Some((request, invited, name)) = invited else {
            CodeGuard::fail(self.node, self.failures, client_info).await?;
            return Err(unknown_code());
        };
        let (key, digest) = (name.claim(), referral_digest(self.node, &form.code));
        let (holder, agreements, invitation) = futures::try_join!(
            user_who_holds(self.node, &key),
            Agreements::of(self, request.organization_id, form.agreements),
            self.friend(&request),
        )?;
        if let Some(user) = &holder {
            // First: whether the form fits the names and agreements of another account is not told.
            let proven = self.proven_by(&request, &digest).await?;
            let waits = rules::check_waits(user, &request, proven.as_ref());
            waits.map_err(|refused| DirectoryError::Refused(refused.into()))?;
        }

        let mut findings = Findings::default();
        let has = |kind: Username| invited.iter().any(|contact| contact.kind() == kind);
        if form.set_username.is_some_and(|wanted| !has(wanted)) {
            findings.note(WANTED_USERNAME, NO_ADDRESS);
        }
        if form.source.is_some_and(|source| reached_by(&invited, [source]).is_none()) {
            findings.note(SOURCE, NO_ADDRESS);
        }
        let before = holder.as_ref().map(|user| user.agreements.clone()).unwrap_or_default();
        let agreed = agreements.checked(&before, &mut findings);
        let (account, profile) = account(&request, &name, holder.as_deref());
        let rules = Rules::from(&profile);
        findings.into_result_with(self, &form.password, &rules).await?;

        let wanted = form.source.into_iter().chain(request.notifications.iter().copied());
        let to = reached_by(&reachable(&request, &invited, &name, holder.as_deref()), wanted).unwrap_or(name.clone());
        let (hash, message) = futures::try_join!(
            async { Ok::<_, SignUpError>(accept(self.passwords, self.pwned, form.password, rules).await?) },
            async {
                if request.auto_confirm {
                    return Ok::<_, SignUpError>(None);
                }
                let locale = form.locale.unwrap_or(profile.locale);
                let organization = Some(request.organization_id);
                let order = confirmation_code(profile.id, to, locale, organization, &profile.names);
                Ok(Some(prepare(self.node, self.composer, order).await?))
            },
        )?;
        Ok(PreparedReferralSignUp {
            sign_ups: *self,
            digest,
            account,
            hash,
            choices: Choices {
                agreements: agreed,
                locale: form.locale,
                time_zone: form.time_zone,
                username: form.set_username.or(Some(name.kind())),
            },
            individual: IndividualId(Uuid::now_v7()),
            invitation,
            message,
            request,
        })
    }

    /// The contact to which a code was sent.
    async fn proven_by(&self, request: &OnboardingDocument, digest: &str) -> JournalResult<Option<Contact>> {
        // Documents have no digests.
        let (_, state) = self.node.executor.state::<Onboarding>(&request.id.to_string()).await?;
        let channel = state.progress().and_then(|progress| progress.channel_of(digest, Utc::now()));
        Ok(channel.and_then(|channel| request.contact(channel)))
    }

    /// The invitation of a friend to the address of a request that the invitation of the organization confirms alone.
    async fn friend(&self, request: &OnboardingDocument) -> JournalResult<Option<RegistrationInvitationId>> {
        match request.email.as_ref().filter(|_| request.auto_confirm) {
            Some(email) => registration_invitations::open_for(self.node, email).await,
            None => Ok(None),
        }
    }
}

impl PreparedReferralSignUp<'_> {
    /// Kind of the onboarding.
    #[must_use]
    pub fn kind(&self) -> OnboardKind {
        self.request.kind
    }

    /// Signs the person up, and sends the code or completes the account.
    ///
    /// # Errors
    /// `Directory` with `ClosedCode`, `HasAccount`, `SigningUp`, `UsedUp`, other refusals of the user and of the
    /// request.
    pub async fn commit(&self, context: &RequestContext) -> Result<Outcome, SignUpError> {
        let sign_up = ReferralSignUp {
            request: self.request.id,
            digest: &self.digest,
            account: match &self.account {
                PreparedAccount::Present(user) => ReferredAccount::Present(*user),
                PreparedAccount::New(creation) => ReferredAccount::New(creation),
            },
            hash: &self.hash,
            choices: &self.choices,
            individual: self.individual,
            invitation: self.invitation,
            now: Utc::now(),
        };
        let context = context.within(self.request.organization_id);
        let done = processes::commit(self.sign_ups.node, &context, |streams| {
            rules::by_referral(streams, &sign_up)?;
            self.message.iter().try_for_each(|message| message.add_to(streams))
        });
        done.await.map_err(|error| match error {
            // The account of an admin, or one that was opened meanwhile.
            DirectoryError::Journal(JournalError::ClaimTaken { .. }) => {
                DirectoryError::Refused(UserError::HasAccount.into()).into()
            }
            error => error.into(),
        })
    }
}

fn unknown_code() -> SignUpError {
    let detail = Problem::ClosedCode.to_string();
    SignUpError::Invalid(vec![Violation { field: "referralCode".to_owned(), detail }])
}

/// The account that signs up, with its profile: the one that holds the name, or a new one.
fn account(request: &OnboardingDocument, name: &Contact, holder: Option<&UserDocument>) -> (PreparedAccount, Profile) {
    if let Some(user) = holder {
        return (PreparedAccount::Present(user.profile.id), user.profile.clone());
    }
    let creation = Creation {
        id: UserId(Uuid::now_v7()),
        state: UserState::Init,
        names: Names { first_name: String::new(), last_name: String::new() },
        birth_date: None,
        home: Some(Home::of(request.organization_id)),
        sign_up_code: None,
        contacts: Contacts { email: request.email.clone(), phone: request.phone.clone(), ..Contacts::default() },
        username: name.kind(),
        locale: request.locale,
        time_zone: None,
        classification: None,
        onboarding: None,
        password_hash: None,
        password_expires_at: None,
    };
    let profile = Profile::from(creation.clone());
    (PreparedAccount::New(Box::new(creation)), profile)
}

/// The contacts to which the code may go. Of an account that was pending for another request only the name is shared
/// with this one for certain.
fn reachable(
    request: &OnboardingDocument,
    invited: &[Contact],
    name: &Contact,
    holder: Option<&UserDocument>,
) -> Vec<Contact> {
    let Some(user) = holder else { return invited.to_vec() };
    if request.user_id != Some(user.profile.id) {
        return vec![name.clone()];
    }
    let shown: Vec<Contact> = user.contacts.unverified().collect();
    invited.iter().filter(|contact| shown.iter().any(|one| one.is_same(contact))).cloned().collect()
}
