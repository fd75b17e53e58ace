//! Onboarding of people: addresses are looked up, codes drawn and messages composed for the rules of
//! [`registrar_aggregates::processes::onboarding`].
//!
//! The code of an invitation has 120 random bits and is stored as a keyed digest, as a claim of its request; only the
//! sealed message has it in the clear.

pub use registrar_aggregates::processes::onboarding::{AddressHolder, FirstPassword, NewOnboarding};

use super::codes::quota_stream;
use super::{DirectoryError, ProcessResult, Refusal, commit};
use crate::access::{find_user, is_in_force};
use crate::executor::RequestContext;
use crate::journal::{JournalError, JournalResult};
use crate::messages::Composer;
use crate::messages::compose::{ComposedMessage, MessageOrder};
use crate::messages::templates::Variables;
use crate::node::Node;
use crate::store::hex;
use crate::vault::random;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::Utc;
use registrar_aggregates::ClaimKey;
use registrar_aggregates::granting::Granter;
use registrar_aggregates::message::delivery::{About, AboutKind};
use registrar_aggregates::message::{Channel, Kind};
use registrar_aggregates::onboarding::{
    DeliveryReport, Invitation, OnboardKind, Onboarding, OnboardingError, Request, VALIDITY,
};
use registrar_aggregates::processes::onboarding::{self as rules, OutgoingInvitation};
use registrar_aggregates::processes::{Step, Streams};
use registrar_aggregates::user::User;
use registrar_aggregates::values::{EmailAddress, IndividualId, OnboardingRequestId, UserId};
use registrar_projections::OrganizationDocument;
use registrar_projections::messages::MessageDocument;
use registrar_projections::onboarding_requests::OnboardingDocument;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Attempts to create a request while its address is taken and freed again by others.
const ATTEMPTS_MAX: usize = 4;

/// The digest of a code as it is stored.
#[must_use]
pub fn referral_digest(node: &Node, code: &str) -> String {
    hex(&node.vault.digest("referral-code", &[code.as_bytes()]))
}

/// The open request behind a code, which is valid and whose organization takes part; `None` for any other code.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn by_referral_code(node: &Node, code: &str) -> JournalResult<Option<Arc<OnboardingDocument>>> {
    let invited = invited_by(node, code).await?;
    Ok(invited.map(|(request, _)| request).filter(|request| !request.is_claimed()))
}

/// The request behind a valid code, claimed or not, with its organization.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn invited_by(
    node: &Node,
    code: &str,
) -> JournalResult<Option<(Arc<OnboardingDocument>, Arc<OrganizationDocument>)>> {
    let digest = referral_digest(node, code);
    let key = node.vault.claim(&ClaimKey::referral_code(&digest));
    let Some((kind, id)) = node.journal.claim_holder(&key).await? else { return Ok(None) };
    if kind != <Onboarding as cqrs_es::Aggregate>::TYPE {
        return Ok(None);
    }
    // Documents have no digests, so the aggregate says whether the code is valid.
    let (_, state) = node.executor.state::<Onboarding>(&id).await?;
    let is_valid = state.progress().is_some_and(|progress| progress.channel_of(&digest, Utc::now()).is_some());
    let Some(request) = node.documents.find::<OnboardingDocument>(&id).await?.value.filter(|_| is_valid) else {
        return Ok(None);
    };
    let organization = node.documents.find::<OrganizationDocument>(&request.organization_id.to_string()).await?.value;
    Ok(organization.filter(|found| is_in_force(Some(found))).map(|organization| (request, organization)))
}

/// Creates a request, and invites the person by its channels if `invites`.
///
/// # Errors
/// Refusals of the rules; `UsedUp` of an address; `ClaimTaken` for an address or an individual that the organization
/// onboards already.
pub async fn create(
    node: &Node,
    context: &RequestContext,
    composer: &Composer,
    granter: &Granter,
    new: NewOnboarding,
    invites: bool,
) -> ProcessResult {
    let context = context.within(new.request.organization_id);
    // A person who is claimed at once is not invited any more.
    let invites = invites && !(new.request.auto_sign_up && new.request.auto_confirm);
    for _ in 0..ATTEMPTS_MAX {
        let new = NewOnboarding { holders: holders(node, &new.request).await?, ..new.clone() };
        let request = Request { holder: new.holder(), ..new.request.clone() };
        let channels = if invites { request.notifications.as_slice() } else { &[] };
        let invitations = prepare(node, composer, &request, channels).await?;
        let created = commit(node, &context, |streams| {
            rules::begin(streams, granter, &new)?;
            invite_all(streams, request.id, &invitations)
        });
        match created.await {
            // Another account has taken the address since it was looked up.
            Err(DirectoryError::Journal(JournalError::ClaimTaken { field: "account.email" | "phone" })) => {}
            created => return created,
        }
    }
    Err(JournalError::VersionConflict.into())
}

/// Invites the person of an open request again, by each of the channels whose address is known.
///
/// # Errors
/// `Claimed`; `UsedUp` of an address; refusals of an organization that takes no additions.
pub async fn invite(
    node: &Node,
    context: &RequestContext,
    composer: &Composer,
    request: &OnboardingDocument,
    channels: &[Channel],
) -> ProcessResult {
    let context = context.within(request.organization_id);
    let invitations = prepare(node, composer, request, channels).await?;
    commit(node, &context, |streams| invite_all(streams, request.id, &invitations)).await
}

/// Corrects the e-mail address of an open request.
///
/// # Errors
/// `Claimed`; `AddressTaken` and `ClaimTaken` for an address of another account, or one that the organization onboards
/// already; `VersionConflict` if the request is not at the `expected` version.
pub async fn amend_email(
    node: &Node,
    context: &RequestContext,
    request: &OnboardingDocument,
    email: &EmailAddress,
    expected: Option<u64>,
) -> ProcessResult {
    let context = context.within(request.organization_id);
    let holder = holder(node, "email", &ClaimKey::account_email(email)).await?;
    let amended = commit(node, &context, |streams| rules::amend_email(streams, request.id, email, holder, expected));
    amended.await.map_err(|error| match error {
        // The address of this act has another name than that of a creation.
        DirectoryError::Journal(JournalError::ClaimTaken { .. }) => {
            refused(OnboardingError::AddressTaken { field: "email" })
        }
        error => error,
    })
}

/// Claims a request for a user by the code of an invitation.
///
/// # Errors
/// `CodeInvalid` for a wrong, void, expired or used code, and for an unknown request; `Oneself` for its creator; refusals
/// of the user, the groups, and an individual that has another person by now.
pub async fn claim(node: &Node, context: &RequestContext, id: &str, code: &str, by: UserId) -> ProcessResult {
    let known = Uuid::try_parse(id).ok().map(|id| id.to_string());
    let request = match known {
        Some(id) => node.documents.find::<OnboardingDocument>(&id).await?.value,
        None => None,
    };
    let Some(request) = request else { return Err(refused(OnboardingError::CodeInvalid)) };
    let context = context.within(request.organization_id);
    let (digest, individual, now) = (referral_digest(node, code), IndividualId(Uuid::now_v7()), Utc::now());
    let decide = |streams: &mut Streams| {
        rules::open_by_code(streams, request.id, &digest, now)?;
        rules::claim(streams, request.id, by, individual, now)
    };
    commit(node, &context, decide).await
}

/// Records a report of the delivery of a text message.
///
/// # Errors
/// `Unfit` for an error that is no short line.
pub async fn note_report(
    node: &Node,
    context: &RequestContext,
    text: &MessageDocument,
    report: &DeliveryReport,
) -> ProcessResult {
    let context = context.belonging_to(text.organization_id);
    let request = OnboardingRequestId(text.about.id);
    commit(node, &context, |streams| rules::note_report(streams, request, report)).await
}

/// Accounts that hold the addresses of a request now.
///
/// # Errors
/// `Unavailable`.
pub async fn holders(node: &Node, request: &Request) -> JournalResult<Vec<AddressHolder>> {
    let email = request.email.as_ref().map(|email| ("patientEmail", ClaimKey::account_email(email)));
    let phone = request.phone.as_ref().map(|phone| ("phoneNumber", ClaimKey::user_phone(phone)));
    let mut holders = Vec::new();
    for (field, key) in email.into_iter().chain(phone) {
        holders.extend(holder(node, field, &key).await?);
    }
    Ok(holders)
}

async fn holder(node: &Node, field: &'static str, address: &ClaimKey) -> JournalResult<Option<AddressHolder>> {
    let held = node.journal.claim_holder(&node.vault.claim(address)).await?;
    Ok(held.map(|(kind, id)| {
        let user = Uuid::try_parse(&id).ok().filter(|_| kind == <User as cqrs_es::Aggregate>::TYPE).map(UserId);
        AddressHolder { field, user }
    }))
}

/// An invitation with its message.
struct PreparedInvitation {
    outgoing: OutgoingInvitation,
    message: ComposedMessage,
}

/// Records invitations and composes their messages. An invitation comes first, so that its message finds it.
fn invite_all(streams: &mut Streams, request: OnboardingRequestId, invitations: &[PreparedInvitation]) -> Step<()> {
    for PreparedInvitation { outgoing, message } in invitations {
        rules::invite(streams, request, outgoing)?;
        message.add_to(streams)?;
    }
    Ok(())
}

/// Draws the codes of invitations and composes their messages; nothing is stored.
async fn prepare(
    node: &Node,
    composer: &Composer,
    request: &Request,
    channels: &[Channel],
) -> JournalResult<Vec<PreparedInvitation>> {
    let mut prepared = Vec::new();
    for channel in channels {
        let Some(to) = request.contact(*channel) else { continue };
        let code = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*Zeroizing::new(random::<15>())));
        let variables = Variables {
            link: Some(composer.sign_up_link(&code)),
            expires_minutes: u32::try_from(VALIDITY.num_minutes()).ok(),
            ..names(node, request).await?
        };
        let order = MessageOrder {
            kind: match request.kind {
                OnboardKind::Patient => Kind::Onboarding,
                OnboardKind::Provider => Kind::OnboardingProvider,
            },
            channel: *channel,
            locale: request.locale,
            organization: Some(request.organization_id),
            recipient: request.holder,
            about: About { kind: AboutKind::OnboardingRequest, id: request.id.0 },
            to: to.as_str().to_owned(),
            variables,
        };
        let message = composer.compose(node, order).await?;
        let now = Utc::now();
        let invitation = Invitation {
            message: message.id(),
            channel: *channel,
            digest: referral_digest(node, &code),
            at: now,
            expires_at: now + VALIDITY,
        };
        let quota = quota_stream(node, &to);
        prepared.push(PreparedInvitation { outgoing: OutgoingInvitation { invitation, to, quota }, message });
    }
    Ok(prepared)
}

/// The names of the person, once the organization has entered them into the account. Names in an account that came over
/// to another organization are not told.
async fn names(node: &Node, request: &Request) -> JournalResult<Variables> {
    let account = match request.user_id {
        Some(user) => find_user(&node.documents, &user.to_string()).await?,
        None => None,
    };
    let own = account.filter(|account| account.home() == Some(request.organization_id));
    Ok(own.map(|account| Variables::naming(&account.names)).unwrap_or_default())
}

/// A refusal outside a commit.
fn refused(refusal: OnboardingError) -> DirectoryError {
    DirectoryError::Refused(Refusal::from(refusal))
}
