//! Another message for an open sign-up: the code that confirms an account, or the invitation of an organization.
//!
//! Anyone who knows a name may ask for it, so the answer is the same for every name, and known before anything is done.

use super::form::{channel_of, contacts_of, reached_by};
use super::{SignUpError, SignUps, confirmation_code};
use crate::auth::network::network;
use crate::executor::RequestContext;
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::processes::codes::{prepare, quota_stream};
use crate::processes::sessions::ClientInfo;
use crate::processes::{DirectoryError, Refusal, commit, onboarding, user_who_holds};
use chrono::{DateTime, TimeDelta, Utc};
use registrar_aggregates::message::Channel;
use registrar_aggregates::one_time_code::Purpose;
use registrar_aggregates::processes::codes::use_quota;
use registrar_aggregates::processes::sign_up as rules;
use registrar_aggregates::user::{Contact, Names, UserState, Username};
use registrar_aggregates::values::{EmailAddress, OnboardingRequestId};
use registrar_projections::UserDocument;
use registrar_projections::onboarding_requests::OnboardingDocument;
use std::sync::Arc;
use uuid::{Builder, Uuid};

/// Time for which a name without an open sign-up is answered with the same identifier. That of an open one has the time
/// of its beginning, so one that never changed would tell by its age.
const STAND_IN_LIFE: TimeDelta = TimeDelta::days(30);

/// A request for another message, as entered.
pub struct ResendForm {
    /// Address or number of the account.
    pub name: Contact,
    /// The right address, if that of a sign-up by code was mistyped. An invitation goes where its organization sends it.
    pub new_email: Option<EmailAddress>,
    /// Channels of the code, best first.
    pub notifications: Vec<Channel>,
}

/// Kind of a sign-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUpKind {
    /// By the invitation of an organization.
    Onboard,
    /// By the code of an organization.
    OrgCode,
}

/// A message to be sent, with the answer about it.
pub struct PlannedResend<'a> {
    sign_ups: SignUps<'a>,
    form: ResendForm,
    network: String,
    /// Kind of the sign-up.
    pub kind: SignUpKind,
    /// Identifier of the sign-up.
    pub id: Uuid,
    message: Planned,
}

enum Planned {
    Code(Arc<UserDocument>),
    Invitation(OnboardingRequestId),
    Nothing,
}

impl<'a> SignUps<'a> {
    /// Looks up the message for a name.
    ///
    /// # Errors
    /// `TooMany` for a name that was asked for too often, known or not; `Directory`.
    pub async fn plan_resend(
        &self,
        form: ResendForm,
        client_info: &ClientInfo,
    ) -> Result<PlannedResend<'a>, SignUpError> {
        self.limits.resend(self.node, &form.name).map_err(SignUpError::TooMany)?;
        let network = network(client_info.ip_address.as_deref().unwrap_or_default());
        let holder = user_who_holds(self.node, &form.name.claim()).await?;
        let (kind, id, message) = match holder.as_ref().and_then(|user| Some((user, user.state, sign_up_of(user)?))) {
            Some((user, UserState::Registered, (kind, id))) => (kind, id, Planned::Code(Arc::clone(user))),
            Some((_, UserState::Init, (kind @ SignUpKind::Onboard, id))) => {
                (kind, id, Planned::Invitation(OnboardingRequestId(id)))
            }
            _ => {
                let (kind, id) = stand_in(self.node, &form.name, Utc::now());
                (kind, id, Planned::Nothing)
            }
        };
        Ok(PlannedResend { sign_ups: *self, form, network, kind, id, message })
    }
}

/// The sign-up of a user, finished or not.
fn sign_up_of(user: &UserDocument) -> Option<(SignUpKind, Uuid)> {
    match user.onboarding {
        Some(request) => Some((SignUpKind::Onboard, request.0)),
        None => user.sign_up_code.as_ref().map(|_| (SignUpKind::OrgCode, user.profile.id.0)),
    }
}

impl PlannedResend<'_> {
    /// Sends the message, unless there is none to be sent, the address has had too many, or it belongs to another
    /// account.
    ///
    /// # Errors
    /// `Journal`.
    pub async fn commit(&self, context: &RequestContext) -> Result<(), DirectoryError> {
        let sent = match &self.message {
            Planned::Code(user) => self.send_code(context, user).await,
            Planned::Invitation(request) => self.invite(context, *request).await,
            Planned::Nothing => Ok(()),
        };
        // In any case: a caller sees it by a wrong code.
        let SignUps { node, shadows, .. } = self.sign_ups;
        shadows.renew(node, Purpose::SignUp, self.form.name.as_str());
        match sent {
            Err(DirectoryError::Refused(_)) => Ok(()),
            sent => sent,
        }
    }

    /// Sends a code that confirms the account, after the correction of its address if that is asked for.
    async fn send_code(&self, context: &RequestContext, user: &UserDocument) -> Result<(), DirectoryError> {
        let SignUps { node, composer, limits, .. } = self.sign_ups;
        let correction = self.correction(user);
        if correction.is_some() && limits.check(&self.network).is_err() {
            return Ok(());
        }
        let to = match correction {
            Some((_, email)) => Some(Contact::Email(email.clone())),
            None => self.addressee(user).await?,
        };
        let Some(to) = to else { return Ok(()) };
        let id = user.profile.id;
        // Anyone who knew the former address can have had it corrected, and is not told the names.
        let is_corrected = correction.is_some() || user.corrections > 0;
        let unnamed = Names { first_name: String::new(), last_name: String::new() };
        let names = if is_corrected { &unnamed } else { &user.names };
        let order = confirmation_code(id, to.clone(), user.locale, user.home(), names);
        let prepared = prepare(node, composer, order).await?;
        let former = correction.map(|(former, email)| (quota_stream(node, &Contact::Email(former.clone())), email));
        let context = context.belonging_to(user.home());
        let sent = commit(node, &context, |streams| {
            match &former {
                Some((quota, email)) => {
                    rules::correct(streams, id, email)?;
                    use_quota(streams, quota, prepared.issue.now)?;
                }
                None => rules::check_open(streams, id)?,
            }
            prepared.add_to(streams)
        });
        match sent.await {
            // Counted as at a sign-up, although it is not told: it could be seen by whether the former address still
            // names an account. So could that an address got too many messages.
            Err(
                DirectoryError::Journal(JournalError::ClaimTaken { .. }) | DirectoryError::Refused(Refusal::Quota(_)),
            ) if former.is_some() => {
                let _ = limits.tell(node, &self.network, &to);
                Ok(())
            }
            sent => sent.map(drop),
        }
    }

    /// The former and the new address, if it is one that may be corrected.
    fn correction<'s>(&'s self, user: &'s UserDocument) -> Option<(&'s EmailAddress, &'s EmailAddress)> {
        let may_be = self.kind == SignUpKind::OrgCode && user.username == Username::Email;
        let former = user.contacts.email.as_ref().filter(|_| may_be)?;
        let new = self.form.new_email.as_ref()?;
        (new.comparable() != former.comparable()).then_some((former, new))
    }

    /// The contact that a code is sent to: the best one of those that the person or the organization of the request has
    /// named. A pending account that came over from another organization may show others, which it never proved.
    async fn addressee(&self, user: &UserDocument) -> JournalResult<Option<Contact>> {
        let mut contacts: Vec<Contact> = user.contacts.unverified().collect();
        if let Some(request) = user.onboarding {
            let request = self.request(request).await?;
            let invited = request.as_deref().map(contacts_of).unwrap_or_default();
            contacts.retain(|contact| invited.iter().any(|one| one.is_same(contact)));
        }
        let told = user.enrollment.iter().flat_map(|told| told.notifications.iter().copied());
        let wanted = self.form.notifications.iter().copied().chain(told);
        let wanted = wanted.chain([channel_of(self.form.name.kind()), channel_of(user.username)]);
        Ok(reached_by(&contacts, wanted).or_else(|| contacts.first().cloned()))
    }

    /// Sends new invitations to the contacts of a request.
    async fn invite(&self, context: &RequestContext, request: OnboardingRequestId) -> Result<(), DirectoryError> {
        let SignUps { node, composer, .. } = self.sign_ups;
        let Some(request) = self.request(request).await? else { return Ok(()) };
        let mut channels = request.channels();
        let is_wanted = |channel: &Channel| self.form.notifications.contains(channel);
        if channels.iter().any(is_wanted) {
            channels.retain(is_wanted);
        }
        onboarding::invite(node, context, composer, &request, &channels).await.map(drop)
    }

    async fn request(&self, request: OnboardingRequestId) -> JournalResult<Option<Arc<OnboardingDocument>>> {
        let documents = &self.sign_ups.node.documents;
        Ok(documents.find::<OnboardingDocument>(&request.to_string()).await?.value)
    }
}

/// The answer about a name without an open sign-up: the kind and the identifier of one that began within the last month.
fn stand_in(node: &Node, name: &Contact, now: DateTime<Utc>) -> (SignUpKind, Uuid) {
    let key = name.claim();
    let digest =
        |purpose, since: &[u8]| node.vault.digest(purpose, &[key.scope.as_bytes(), key.value.as_bytes(), since]);
    let own = digest("no-sign-up", &[]);
    let kind = if own[0] % 2 == 0 { SignUpKind::Onboard } else { SignUpKind::OrgCode };
    let since = began(&own[1..], now.timestamp_millis()).max(0).unsigned_abs();
    let random = digest("no-sign-up-id", &since.to_be_bytes());
    let mut bytes = [0; 10];
    bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
    (kind, Builder::from_unix_timestamp_millis(since, &bytes).into_uuid())
}

/// The last one of the moments, in milliseconds, at which the life of a name's stand-in begins.
fn began(random: &[u8], now: i64) -> i64 {
    let life = STAND_IN_LIFE.num_milliseconds();
    let number = random.iter().take(7).fold(0, |number: i64, byte| (number << 8) | i64::from(*byte));
    now - (now - number).rem_euclid(life)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_began_within_the_last_month_and_stays_as_long() {
        let (life, now) = (STAND_IN_LIFE.num_milliseconds(), 1_800_000_000_000);
        for random in [[0; 7], [255; 7], [1, 2, 3, 4, 5, 6, 7]] {
            let first = began(&random, now);
            assert!((now - life + 1..=now).contains(&first), "{first}");
            assert_eq!(began(&random, first + life - 1), first);
            assert_eq!(began(&random, first + life), first + life);
        }
        assert_ne!(began(&[0; 7], now), began(&[1; 7], now));
    }
}
