//! Sign-in of people who have just proven a contact.

use super::guards::{Guards, NameOwner};
use super::{
    Addition, Attempt, Factor, PendingSignIn, SignInContext, SignInError, SignInResult, check_state, log_refusal,
};
use crate::executor::RequestContext;
use crate::processes::service_documents::ServiceDocuments;
use crate::processes::sessions::{ClientInfo, Person, SessionRequest, SessionStart};
use chrono::Utc;
use registrar_aggregates::values::OrganizationId;
use std::collections::BTreeSet;

impl SignInContext<'_> {
    /// Signs a person in who has just proven a contact by a code, without a password. All else is as at a sign-in with
    /// one, by the account's state: its lock, its second factor, its documents, the sign-in of its organization. `before`
    /// is as there.
    ///
    /// # Errors
    /// [`SignInError`]; `PasswordNeeded` where the contact proves too little.
    pub async fn sign_in_proven(
        &self,
        context: &RequestContext,
        client_info: &ClientInfo,
        person: Person,
        request: &SessionRequest,
        before: impl Fn(PendingSignIn<'_>) + Send + Sync,
    ) -> Result<SignInResult, SignInError> {
        let now = Utc::now();
        let guards = Guards::new(self.node, &NameOwner::Account(&person.id().to_string()), client_info);
        let is_new_network = self.check(&guards, now).await?;
        let log_refusal = |error: SignInError| log_refusal(&guards, error);
        check_state(&person).map_err(log_refusal)?;
        if let Person::User(user) = &person
            && !user.is_recoverable()
        {
            return Err(log_refusal(SignInError::PasswordNeeded));
        }
        let scope = match person.begins(&self.node.documents, request).await? {
            SessionStart::At(scope) => scope,
            SessionStart::Elsewhere(url) => return Ok(SignInResult::Elsewhere(url)),
            SessionStart::Retired => return Err(log_refusal(SignInError::OrganizationRetired)),
            SessionStart::Nowhere => None,
        };
        match self.second_factor(&person, None, now).await? {
            Factor::NotNeeded if self.required.covers(&person) => return Err(log_refusal(SignInError::SetUpNeeded)),
            Factor::NotNeeded => {}
            Factor::Missing | Factor::Wrong | Factor::Used(..) => return Err(log_refusal(SignInError::CodeNeeded)),
        }
        self.check_agreements(&person, scope.map(|scope| scope.organization_id)).await.map_err(log_refusal)?;
        let shown = "contact";
        let attempt = Attempt { context, client_info, guards: &guards, is_new_network, request, now, shown };
        self.open(&attempt, person, scope, Addition::default(), before).await
    }

    /// Refuses a person who has not agreed to all binding documents of the session.
    async fn check_agreements(&self, person: &Person, organization: Option<OrganizationId>) -> Result<(), SignInError> {
        let Person::User(user) = person else { return Ok(()) };
        let documents = ServiceDocuments::of_session(&self.node.documents, organization).await?;
        let missing = documents.missing(user, &BTreeSet::new());
        if missing.is_empty() { Ok(()) } else { Err(SignInError::AgreementsNeeded(missing)) }
    }
}
