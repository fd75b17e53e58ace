//! Confirming a sign-up by the code that was sent.

use super::SignUps;
use super::form::address;
use crate::executor::{Outcome, RequestContext};
use crate::processes::codes::{CodeGuard, code_digest};
use crate::processes::sessions::ClientInfo;
use crate::processes::{DirectoryError, Refusal, registration_invitations, user_who_holds};
use crate::security::{self, Event};
use chrono::Utc;
use registrar_aggregates::DomainEvent;
use registrar_aggregates::one_time_code::Purpose;
use registrar_aggregates::processes::Streams;
use registrar_aggregates::processes::sign_up::{self as rules, Confirmation, ConfirmationResult};
use registrar_aggregates::user::{Contact, UserEvent, UserState};
use registrar_aggregates::values::{EmailAddress, IndividualId, RegistrationInvitationId};
use registrar_projections::UserDocument;
use registrar_projections::document::HasCollection;
use std::sync::Arc;
use uuid::Uuid;

/// A code that was entered.
pub struct ConfirmationForm {
    /// Address or number of the account.
    pub username: String,
    /// The code, as entered.
    pub code: String,
    /// Time zone that the person chooses.
    pub time_zone: Option<String>,
}

/// The account whose sign-up a commit has confirmed.
#[must_use]
pub fn confirmed(outcome: &Outcome) -> Option<&UserDocument> {
    let is_confirmation = |event: &DomainEvent| matches!(event, DomainEvent::User(UserEvent::SignUpConfirmed {}));
    let event = outcome.events.iter().find(|recorded| is_confirmation(&recorded.event))?;
    let mut users = outcome.documents.iter().filter_map(|document| UserDocument::unwrap(document));
    users.find(|user| user.profile.id.to_string() == event.aggregate_id)
}

impl SignUps<'_> {
    /// Completes a sign-up by a code. `None` for a wrong code, and for a name without an open sign-up: both are counted
    /// alike.
    ///
    /// # Errors
    /// `Refused` after too many tries, and by the onboarding of an account whose code was right; `Journal`.
    pub async fn confirm(
        &self,
        context: &RequestContext,
        client_info: &ClientInfo,
        form: &ConfirmationForm,
    ) -> Result<Option<Outcome>, DirectoryError> {
        let name = address(&form.username).ok();
        let typed = name.as_ref().and_then(email_of);
        let (open, invited, ()) = futures::try_join!(
            self.signing_up(name.as_ref()),
            self.invited(typed),
            CodeGuard::check(self.node, self.failures, client_info),
        )?;
        // A caller sees tries counted by the name alone, whether there is a sign-up or not. Those of an account are counted
        // in its events besides, for all servers, and a limit that is reached there reads like a wrong code.
        let tried = self.shadows.try_code(self.node, Purpose::SignUp, &form.username);
        tried.map_err(|locked| DirectoryError::Refused(locked.into()))?;
        let done = match open {
            Some(user) => {
                let invited = match typed {
                    Some(_) => invited,
                    None => self.invited(user.contacts.email.as_ref()).await?,
                };
                self.try_code(context, &user, invited, form).await?
            }
            None => None,
        };
        if done.is_none() {
            security::refused(Event::Account, "the code is wrong");
            CodeGuard::fail(self.node, self.failures, client_info).await?;
        }
        Ok(done)
    }

    /// Tries a code with an account that is signing up.
    async fn try_code(
        &self,
        context: &RequestContext,
        user: &UserDocument,
        invited: Option<(&EmailAddress, RegistrationInvitationId)>,
        form: &ConfirmationForm,
    ) -> Result<Option<Outcome>, DirectoryError> {
        let id = user.profile.id;
        let digest = code_digest(self.node, id, Purpose::SignUp, &form.code);
        let confirmation = Confirmation {
            user: id,
            digest: &digest,
            individual: IndividualId(Uuid::now_v7()),
            invitation: invited,
            time_zone: form.time_zone.as_deref(),
            now: Utc::now(),
        };
        let context = context.belonging_to(user.home());
        let decide = |streams: &mut Streams| rules::confirm(streams, &confirmation);
        match self.node.executor.execute_process(&context, decide).await.map_err(DirectoryError::from) {
            Ok((ConfirmationResult::Confirmed, outcome)) => Ok(Some(outcome)),
            Ok((ConfirmationResult::Wrong | ConfirmationResult::Closed, _)) => Ok(None),
            // Too many tries; or the address was corrected since the code was sent, or the account disabled just now.
            Err(DirectoryError::Refused(Refusal::OneTimeCode(_) | Refusal::User(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The account that holds a name, if it is signing up.
    async fn signing_up(&self, name: Option<&Contact>) -> Result<Option<Arc<UserDocument>>, DirectoryError> {
        let Some(name) = name else { return Ok(None) };
        let holder = user_who_holds(self.node, &name.claim()).await?;
        Ok(holder.filter(|user| user.state == UserState::Registered))
    }

    /// The invitation of a friend to an address.
    async fn invited<'e>(
        &self,
        email: Option<&'e EmailAddress>,
    ) -> Result<Option<(&'e EmailAddress, RegistrationInvitationId)>, DirectoryError> {
        let Some(email) = email else { return Ok(None) };
        let open = registration_invitations::open_for(self.node, email).await?;
        Ok(open.map(|invitation| (email, invitation)))
    }
}

fn email_of(contact: &Contact) -> Option<&EmailAddress> {
    match contact {
        Contact::Email(email) => Some(email),
        Contact::Phone(_) => None,
    }
}
