//! Given streams, when a process, then events by stream or a refusal.

use super::{LoadedStream, MissingStream, State, Step, Stop, StreamId, Streams};
use crate::admin::{Account, Admin, AdminEvent, Person, Registration};
use crate::granting::Granter;
use crate::organization::{Content, Edition, Organization, OrganizationCommand, OrganizationEvent, Stamp, Status};
use crate::session::{self, Opening, Origin, Session, SessionEvent};
use crate::user::{Contacts, Creation, Home, Locale, Names, Role, User, UserCommand, UserEvent, UserState, Username};
use crate::values::{AccountId, AdminId, EmailAddress, OrganizationId, PartyId, PersonId, SessionId, UserId};
use crate::{Decide, DomainEvent, Refusal};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::fmt::Display;
use uuid::Uuid;

pub(super) const ACME: OrganizationId = OrganizationId(Uuid::from_u128(0xA));
pub(super) const OTHER: OrganizationId = OrganizationId(Uuid::from_u128(0xB));
pub(super) const ADA: UserId = UserId(Uuid::from_u128(1));
pub(super) const BOB: UserId = UserId(Uuid::from_u128(2));

/// A stream with events.
pub(super) type History = (StreamId, Vec<DomainEvent>);

/// A stream of the aggregate `id` with these events.
pub(super) fn events<A: Decide>(id: impl Display, events: impl IntoIterator<Item = A::Event>) -> History {
    (StreamId::of::<A>(id), events.into_iter().map(Into::into).collect())
}

/// The events of a command on an aggregate with these earlier events.
pub(super) fn decided<A: Decide>(before: impl IntoIterator<Item = A::Event>, command: A::Command) -> Vec<A::Event> {
    let mut state = A::default();
    before.into_iter().for_each(|event| state.apply(event));
    state.decide(command).expect("no refusal")
}

/// The current time of the tests, or so many seconds later.
pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
}

pub(super) fn organization(id: OrganizationId) -> History {
    let content = Box::new(Content::named(format!("Clinic {id}")));
    let command = OrganizationCommand::Register { id, content, stamp: Stamp::at(at(0)) };
    events::<Organization>(id, decided::<Organization>([], command))
}

fn edition() -> Edition {
    Edition { start: at(1), reason: None, comment: None }
}

fn followed_by(id: OrganizationId, event: OrganizationEvent) -> History {
    let (stream, mut events) = organization(id);
    events.push(event.into());
    (stream, events)
}

pub(super) fn retired(id: OrganizationId) -> History {
    followed_by(id, OrganizationEvent::StatusChanged { status: Status::Retired, edition: edition(), grounds: None })
}

pub(super) fn deleted(id: OrganizationId) -> History {
    followed_by(id, OrganizationEvent::Deleted { handle: None, edition: edition() })
}

pub(super) fn creation(id: UserId) -> Creation {
    Creation {
        id,
        state: UserState::Confirmed,
        names: Names { first_name: "Ada".into(), last_name: "Lovelace".into() },
        birth_date: None,
        home: Some(Home::SYSTEM),
        sign_up_code: None,
        contacts: Contacts { email: EmailAddress::parse("ada@example.com").ok(), ..Contacts::default() },
        username: Username::Email,
        locale: Locale::EnUs,
        time_zone: None,
        classification: None,
        onboarding: None,
        password_hash: Some("hash".into()),
        password_expires_at: None,
    }
}

/// A user after commands.
pub(super) fn user(id: UserId, commands: impl IntoIterator<Item = UserCommand>) -> History {
    let mut history = vec![UserEvent::Created(Box::new(creation(id)))];
    for command in commands {
        let events = decided::<User>(history.clone(), command);
        history.extend(events);
    }
    events::<User>(id, history)
}

/// A user with roles in an organization.
pub(super) fn member<const N: usize>(id: UserId, organization: OrganizationId, roles: [Role; N]) -> History {
    let granted = roles.map(|role| UserCommand::Grant(organization, role));
    user(id, [UserCommand::Join(organization)].into_iter().chain(granted))
}

pub(super) fn opening(id: SessionId, user_id: UserId) -> Opening {
    Opening {
        id,
        user_id,
        account: session::Account::User,
        epoch: 0,
        scope: None,
        origin: Origin::SignIn,
        by: None,
        via: None,
        expires_at: at(60),
        access_secs: None,
        refresh_digest: None,
    }
}

/// An open session.
pub(super) fn session(id: SessionId, user: UserId) -> History {
    events::<Session>(id, [SessionEvent::Opened(Box::new(opening(id, user)))])
}

/// An admin with the identifier of Ada and an account with this password hash.
pub(super) fn admin(password_hash: &str) -> History {
    let id = AdminId(ADA.0);
    let person = Person {
        salutation: None,
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
        suffix: None,
        email_address: None,
    };
    let account = Account {
        id: AccountId(ADA.0),
        email: EmailAddress::parse("ada@example.com").expect("an address"),
        password_hash: password_hash.into(),
        password_expires_at: None,
    };
    let registration = Registration {
        id,
        person_id: PersonId(ADA.0),
        party_id: PartyId(ADA.0),
        policies: vec![],
        custom_permissions: vec![],
        person,
        legacy_identifier: None,
        addresses: vec![],
        phone_numbers: vec![],
        account: Some(account),
    };
    events::<Admin>(id, [AdminEvent::Registered(Box::new(registration))])
}

/// The state after the events.
pub(super) fn state_of<A: Decide>((_, events): History) -> A {
    let mut state = A::default();
    events.iter().for_each(|event| assert!(state.fold(event)));
    state
}

pub(super) fn system() -> Granter {
    Granter::system()
}

pub(super) fn given(streams: impl IntoIterator<Item = History>) -> GivenStreams {
    GivenStreams(streams.into_iter().collect())
}

pub(super) struct GivenStreams(HashMap<StreamId, Vec<DomainEvent>>);

pub(super) struct ProcessOutcome {
    result: Result<(), Stop<Refusal>>,
    decided: Vec<History>,
    /// Number of runs of the process, the last one included.
    pub(super) runs: usize,
    /// Number of loaded streams.
    pub(super) loads: usize,
}

impl GivenStreams {
    /// Runs a process like the executor: again after loading its needs, and again where a stream assumed to be new
    /// exists.
    pub(super) fn when<T>(self, decide: impl Fn(&mut Streams) -> Step<T>) -> ProcessOutcome {
        let (mut streams, mut loads) = (Streams::default(), 0);
        for runs in 1.. {
            let result = streams.run(&decide);
            if let Err(Stop::Need(unloaded)) = result {
                loads += unloaded.len();
                unloaded.into_iter().for_each(|unloaded| streams.load(self.load(unloaded)));
                continue;
            }
            let wrong: Vec<_> = streams.used().filter(|used| used.version != self.version(&used.stream)).collect();
            let wrong: Vec<_> = wrong.into_iter().map(LoadedStream::unloaded).collect();
            if wrong.is_empty() {
                let decided = streams.into_decided().filter(|decided| !decided.events.is_empty());
                let decided = decided.map(|decided| (decided.loaded.stream, decided.events)).collect();
                return ProcessOutcome { result: result.map(drop), decided, runs, loads };
            }
            loads += wrong.len();
            wrong.into_iter().for_each(|unloaded| streams.load(self.load(unloaded)));
        }
        unreachable!("a process ends")
    }

    fn version(&self, stream: &StreamId) -> u64 {
        self.0.get(stream).map(|events| events.len() as u64).unwrap_or_default()
    }

    fn load(&self, unloaded: MissingStream) -> LoadedStream {
        let mut state = unloaded.absent();
        for event in self.0.get(&unloaded.stream).into_iter().flatten() {
            assert!(state.fold(event), "{event:?} is in another's stream");
        }
        let version = self.version(&unloaded.stream);
        LoadedStream { stream: unloaded.stream, version, state: state.into(), fresh: true }
    }
}

impl ProcessOutcome {
    /// The committed events, by streams in the order in which the process read them.
    pub(super) fn then(self, expected: impl IntoIterator<Item = History>) -> Self {
        if let Err(stop) = &self.result {
            panic!("{stop:?}");
        }
        assert_eq!(self.decided, expected.into_iter().collect::<Vec<_>>());
        self
    }

    pub(super) fn then_nothing(self) -> Self {
        self.then([])
    }

    pub(super) fn then_refused(self, expected: impl Into<Refusal>) {
        match self.result {
            Err(Stop::Refused(refusal)) => assert_eq!(refusal, expected.into()),
            other => panic!("{other:?} with {:?}", self.decided),
        }
    }

    pub(super) fn then_other_version(self) {
        assert!(matches!(self.result, Err(Stop::OtherVersion)), "{:?}", self.result);
    }
}
