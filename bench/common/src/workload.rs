//! The workload: the same commands with the same values for every contender.

use anyhow::Context;
use registrar_aggregates::Decide;
use registrar_aggregates::DomainEvent;
use registrar_aggregates::admin::{
    Account, Admin, AdminChange, AdminCommand, AdminEvent, Granter, Person, PersonText, Registration,
};
use registrar_aggregates::audit_access::AuditAccessEvent;
use registrar_aggregates::values::{AccountId, AdminId, EmailAddress, PartyId, PersonId};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// First name after the rename.
pub const RENAMED: &str = "Augusta";
/// A hash of the real format; password hashing is not measured.
pub const PASSWORD_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";

/// A kind of work, repeated on one new aggregate after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// An admin with an account is registered, then renamed: two commands, two events, one document, one claim.
    Directory,
    /// An admin with an account is registered: one event of the most common kind.
    Registrations,
    /// A read is recorded: one event whose only document is its entry in the audit trail, without a claim.
    Notes,
}

/// A command, ready to be executed.
#[derive(Debug, Clone)]
pub enum Command {
    /// Registers an admin.
    Register(Box<Registration>),
    /// Renames an admin.
    Rename(Uuid),
    /// Records a read of a trail.
    Note(Uuid),
}

/// An event in the form for stores without a domain.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Kebab-case name of the aggregate type.
    pub aggregate_type: &'static str,
    /// Identifier of the aggregate.
    pub aggregate_id: Uuid,
    /// Stable name of the event.
    pub event_type: String,
    /// Payload of the event.
    pub payload: Value,
}

impl Work {
    /// The commands for the aggregate `id`, in order; each expects the state after the previous one.
    ///
    /// # Errors
    /// No error can happen: the values are valid.
    pub fn commands(self, id: Uuid) -> anyhow::Result<Vec<Command>> {
        Ok(match self {
            Work::Directory => vec![Command::Register(Box::new(registration(id)?)), Command::Rename(id)],
            Work::Registrations => vec![Command::Register(Box::new(registration(id)?))],
            Work::Notes => vec![Command::Note(id)],
        })
    }

    /// Type of the aggregates.
    pub fn aggregate_type(self) -> &'static str {
        match self {
            Work::Directory | Work::Registrations => "admin",
            Work::Notes => "audit-access",
        }
    }
}

impl Command {
    /// Identifier of the target aggregate.
    pub fn id(&self) -> Uuid {
        match self {
            Command::Register(registration) => registration.id.0,
            Command::Rename(id) | Command::Note(id) => *id,
        }
    }

    /// The event that event stores append for this command: decided and validated by the domain.
    ///
    /// # Errors
    /// The command is not the first one of its stream.
    pub fn fact(self) -> anyhow::Result<Fact> {
        let aggregate_id = self.id();
        let event = match self {
            Command::Register(registration) => {
                decided(&Admin::Absent, AdminCommand::Register(registration, Granter::System))?.into()
            }
            Command::Note(_) => note(),
            Command::Rename(_) => anyhow::bail!("stores without a domain append first events only"),
        };
        let event: DomainEvent = event;
        let (aggregate_type, event_type) = (event.aggregate_type(), event.event_type());
        Ok(Fact { aggregate_type, aggregate_id, event_type, payload: event.to_payload()? })
    }
}

/// The event that `command` yields.
///
/// # Errors
/// The command is refused or changes nothing.
pub fn decided(state: &Admin, command: AdminCommand) -> anyhow::Result<AdminEvent> {
    state.decide(command)?.pop().context("the command changes nothing")
}

/// The rename as a command of the domain.
pub fn rename() -> AdminCommand {
    AdminCommand::Amend(vec![AdminChange::PersonText(PersonText::FirstName, Some(RENAMED.into()))], Granter::System)
}

/// The event of a note: the record of a read.
pub fn note() -> DomainEvent {
    AuditAccessEvent::TrailRead { trail: "ecg-admins".into(), filters: BTreeMap::new() }.into()
}

/// A registration with an account and its e-mail.
///
/// # Errors
/// No error can happen: the values are valid.
pub fn registration(id: Uuid) -> anyhow::Result<Registration> {
    let account = Account {
        id: AccountId(Uuid::now_v7()),
        email: EmailAddress::parse(&format!("{id}@example.com"))?,
        password_hash: PASSWORD_HASH.into(),
        password_expires_at: None,
    };
    Ok(Registration { account: Some(account), ..person(id) })
}

/// A registration without an account: over HTTP an account would cost a password hash, which is slow on purpose.
pub fn person(id: Uuid) -> Registration {
    Registration {
        id: AdminId(id),
        person_id: PersonId(Uuid::now_v7()),
        party_id: PartyId(Uuid::now_v7()),
        policies: vec![],
        custom_permissions: vec![],
        person: Person {
            salutation: None,
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            suffix: None,
            email_address: Some("ada@example.com".into()),
        },
        legacy_identifier: None,
        addresses: vec![],
        phone_numbers: vec![],
        account: None,
    }
}
