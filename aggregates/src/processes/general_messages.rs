//! General messages of an organization, which must exist and, for a new message, take additions.

use super::organizations::{check_takes_additions, exists};
use super::{Step, Streams, check_version, refused};
use crate::general_message::{GeneralMessage, GeneralMessageCommand, GeneralMessageError, Message};
use crate::values::GeneralMessageId;

/// Creates a message.
///
/// # Errors
/// Refusals of an organization that takes no additions, and of the message.
pub fn create(streams: &mut Streams, new: &Message) -> Step<()> {
    check_takes_additions(streams, new.organization_id)?;
    streams.execute::<GeneralMessage>(new.id, GeneralMessageCommand::Create(new.clone()))?;
    Ok(())
}

/// Replaces the text of a message, also in a retired organization. Messages of a deleted one are unknown.
///
/// # Errors
/// `NotFound`, `Unfit`; `OtherVersion` where the message is not at the `expected` version.
pub fn amend(streams: &mut Streams, id: GeneralMessageId, message: &str, expected: Option<u64>) -> Step<()> {
    let organization = streams.state::<GeneralMessage>(id)?.message().map(|found| found.organization_id);
    let Some(organization) = organization else { return refused(GeneralMessageError::NotFound) };
    if !exists(streams, organization)? {
        return refused(GeneralMessageError::NotFound);
    }
    check_version::<GeneralMessage>(streams, id, expected)?;
    streams.execute::<GeneralMessage>(id, GeneralMessageCommand::Amend(message.to_owned()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::general_message::GeneralMessageEvent;
    use crate::organization::OrganizationError;
    use crate::processes::testing::*;
    use crate::user::Locale;
    use uuid::Uuid;

    const ID: GeneralMessageId = GeneralMessageId(Uuid::from_u128(0x31));

    fn message() -> Message {
        Message {
            id: ID,
            organization_id: ACME,
            name: "contact".into(),
            locale: Locale::EnUs,
            message: "Call us.".into(),
        }
    }

    fn created() -> History {
        events::<GeneralMessage>(ID, [GeneralMessageEvent::Created(message())])
    }

    fn amended() -> History {
        events::<GeneralMessage>(ID, [GeneralMessageEvent::Amended { message: "Write to us.".into() }])
    }

    fn create_on(streams: impl IntoIterator<Item = History>) -> ProcessOutcome {
        given(streams).when(|streams| create(streams, &message()))
    }

    fn amend_on(streams: impl IntoIterator<Item = History>, expected: Option<u64>) -> ProcessOutcome {
        given(streams).when(|streams| amend(streams, ID, "Write to us.", expected))
    }

    #[test]
    fn an_organization_gets_messages_until_it_is_retired_or_deleted() {
        create_on([organization(ACME)]).then([created()]);
        create_on([retired(ACME)]).then_refused(OrganizationError::Retired);
        create_on([deleted(ACME)]).then_refused(OrganizationError::NotFound);
        create_on([]).then_refused(OrganizationError::NotFound);
        create_on([organization(ACME), created()]).then_refused(GeneralMessageError::AlreadyExists);
    }

    #[test]
    fn a_message_is_amended_until_its_organization_is_deleted() {
        amend_on([organization(ACME), created()], None).then([amended()]);
        amend_on([retired(ACME), created()], None).then([amended()]);
        amend_on([deleted(ACME), created()], None).then_refused(GeneralMessageError::NotFound);
        amend_on([organization(ACME)], None).then_refused(GeneralMessageError::NotFound);
    }

    #[test]
    fn a_message_is_amended_at_the_version_that_the_caller_saw() {
        amend_on([organization(ACME), created()], Some(1)).then([amended()]);
        amend_on([organization(ACME), created()], Some(2)).then_other_version();
    }
}
