//! Sign-ups by the code of an organization, each to its confirmation, in this process and with messages captured.
//!
//! The server judges and hashes the password before it commits a sign-up, which takes longer than all the rest. So the
//! commit is made here as [`registrar::processes::sign_up`] makes it, with a given hash. The confirmation hashes
//! nothing and is the server's.

use crate::comparisons::Bench;
use crate::contenders::registrar::{Registrar, check};
use crate::contenders::{Acknowledged, driven, gathered};
use crate::report::{Goal, Line, Side};
use crate::rounds::{Effort, Round, Subject, histogram, record};
use crate::server::master_key;
use crate::workload::{PASSWORD_HASH, Work};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use chrono::Utc;
use registrar::auth::PasswordHasher;
use registrar::executor::RequestContext;
use registrar::messages::Composer;
use registrar::node::{Node, StoreSettings};
use registrar::processes::codes::{CodeOrder, Shadows, prepare};
use registrar::processes::notices::about;
use registrar::processes::service_documents::ServiceDocuments;
use registrar::processes::sessions::ClientInfo;
use registrar::processes::sign_in::Failures;
use registrar::processes::sign_up::{ConfirmationForm, SignUpLimits, SignUps};
use registrar::processes::{DirectoryError, organization_codes, organizations};
use registrar_aggregates::group::placement::{self, Placement};
use registrar_aggregates::individual::Individual;
use registrar_aggregates::message::Kind;
use registrar_aggregates::one_time_code::{self, OneTimeCode, Purpose};
use registrar_aggregates::organization::{Content, Organization, Stamp};
use registrar_aggregates::organization_code::{CodeSpelling, OrganizationCode, OrganizationCodeId, Terms};
use registrar_aggregates::processes::sign_up::{self as rules, Choices, CodeSignUp};
use registrar_aggregates::processes::{MissingStream, Step, Streams};
use registrar_aggregates::quota::Quota;
use registrar_aggregates::user::{Contact, Contacts, Creation, Enrollment, Home, Locale, Names, UserState, Username};
use registrar_aggregates::values::{EmailAddress, IndividualId, OrganizationId, UserId};
use registrar_projections::UserDocument;
use registrar_projections::messages::MessageTexts;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use uuid::Uuid;

/// Work of the other side: that of `append`.
const WORK: Work = Work::Registrations;
const CODE: &str = "WELCOME";

pub(crate) async fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let mut found = Vec::new();
    for clients in bench.clients(&[16, 64]) {
        let databases = [bench.servers.database().await?, bench.servers.database().await?];
        let settings = [databases[0].settings(), databases[1].settings()];
        found.push(compare(bench, "PostgreSQL", settings, clients).await?);
        for database in databases {
            bench.servers.drop(database).await?;
        }
    }
    for clients in bench.clients(&[16, 64]) {
        let folders = [bench.servers.sqlite()?, bench.servers.sqlite()?];
        let settings = [&folders[0], &folders[1]].map(|folder| StoreSettings {
            database_url: None,
            data: folder.path().to_owned(),
            archives: None,
        });
        found.push(compare(bench, "SQLite, synchronous=FULL", settings, clients).await?);
    }
    Ok(found)
}

/// Sign-ups on one store, registrations on another one, in turns.
async fn compare(
    bench: &Bench,
    store: &str,
    [ours, other]: [StoreSettings; 2],
    clients: usize,
) -> anyhow::Result<Line> {
    let people = SignUpSubject { desk: Arc::new(SignUpDesk::open(ours).await?), acknowledged: Mutex::default() };
    let subjects = [Box::new(people) as Box<dyn Subject>, driven(Registrar::open(other, WORK).await?, WORK)];
    let mut measured = bench.measure(&subjects, clients).await?;
    measured[1].name = "registrations of admins".to_owned();
    let sides = (Side::of(&measured[0], Round::per_second)?, Side::of(&measured[1], Round::per_second)?);
    let line = Line::new(format!("sign-up to confirmed in process, {store}"), "1/s", sides.0, Some(sides.1));
    let note = "By the code of an organization: the commit of the sign-up with its captured message, a look at the \
        message, and the commit of the confirmation; without judging and hashing the password.";
    Ok(line.at(clients).goal(Some(Goal::AtLeast(0.5))).note(note))
}

/// The parts of a server that people sign up with, and an organization with a code.
struct SignUpDesk {
    node: Node,
    settings: StoreSettings,
    composer: Composer,
    passwords: PasswordHasher,
    failures: Failures,
    shadows: Shadows,
    limits: SignUpLimits,
}

/// An account that waits for its confirmation.
struct OpenSignUp {
    user: UserId,
    username: String,
    /// The code, from the captured message.
    code: String,
}

impl SignUpDesk {
    async fn open(settings: StoreSettings) -> anyhow::Result<Self> {
        let node = Node::open(&settings, &master_key()?).await?;
        let (context, id) = (RequestContext::system(), OrganizationId(Uuid::now_v7()));
        let content = Content { name: "Example Clinics".into(), ..Content::default() };
        organizations::register(&node, &context.within(id), id, content, Stamp::at(Utc::now())).await?;
        let terms = Terms { organization_id: id, individual_group_id: None, expires_at: None, enrollment_schema: None };
        organization_codes::create(&node, &context, CodeSpelling::parse(CODE)?, terms).await?;
        Ok(SignUpDesk {
            node,
            settings,
            // Without servers, so that messages are captured.
            composer: Composer::default(),
            // Unused, since the hash is given.
            passwords: PasswordHasher::new(1, 1),
            failures: Failures::default(),
            shadows: Shadows::default(),
            limits: SignUpLimits::default(),
        })
    }

    /// Signs a new person up and confirms it.
    async fn sign_up(&self) -> anyhow::Result<UserId> {
        let OpenSignUp { user, username, code } = self.register().await?;
        let sign_ups = SignUps {
            node: &self.node,
            composer: &self.composer,
            passwords: &self.passwords,
            pwned: None,
            failures: &self.failures,
            shadows: &self.shadows,
            limits: &self.limits,
        };
        let form = ConfirmationForm { username, code, time_zone: None };
        let confirmed = sign_ups.confirm(&RequestContext::system(), &ClientInfo::default(), &form).await?;
        ensure!(confirmed.is_some(), "the code of {user} was refused");
        Ok(user)
    }

    /// Commits a sign-up as the server does once the form is checked and the password hashed.
    async fn register(&self) -> anyhow::Result<OpenSignUp> {
        let node = &self.node;
        let code = organization_codes::open(node, CODE).await?.context("the code is closed")?;
        let organization = code.terms.organization_id;
        let documents = ServiceDocuments::of_session(&node.documents, Some(organization)).await?;
        ensure!(documents.missing_beside(&BTreeSet::new()).is_empty(), "there are documents to agree to");
        let (user, individual) = (UserId(Uuid::now_v7()), IndividualId(Uuid::now_v7()));
        let email = EmailAddress::parse(&format!("{user}@example.com"))?;
        let creation = creation(user, email.clone(), organization, code.id.clone());
        let order = CodeOrder {
            user,
            purpose: Purpose::SignUp,
            to: Contact::Email(email.clone()),
            kind: Kind::VerifyEmail,
            locale: creation.locale,
            organization: Some(organization),
            names: creation.names.clone(),
            about: about(user),
        };
        let prepared = prepare(node, &self.composer, order).await?;
        let (choices, enrollment) = (Choices::default(), Enrollment::default());
        let sign_up = CodeSignUp {
            code: &code.id,
            creation: &creation,
            choices: &choices,
            enrollment: &enrollment,
            individual,
            now: Utc::now(),
        };
        // Loaded at once, as by the server.
        let needed = [
            MissingStream::of::<OrganizationCode>(&code.id),
            MissingStream::of::<Organization>(organization),
            MissingStream::of::<Individual>(individual),
            MissingStream::of::<Placement>(placement::stream(organization, individual)),
            MissingStream::of::<OneTimeCode>(one_time_code::stream(user, Purpose::SignUp)),
            MissingStream::of::<Quota>(&prepared.issue.quota),
        ];
        let context = RequestContext::system().within(organization);
        let done = node.executor.execute_process(&context, |streams: &mut Streams| -> Step<()> {
            streams.prefetch(needed.iter().cloned())?;
            rules::by_code(streams, &sign_up)?;
            prepared.add_to(streams)
        });
        done.await.map_err(DirectoryError::from)?;
        let texts = node.documents.find::<MessageTexts>(&prepared.message.id().to_string()).await?.value;
        let code = texts.and_then(|texts| texts.content.code.clone()).context("no code was captured")?;
        Ok(OpenSignUp { user, username: email.as_str().to_owned(), code })
    }
}

fn creation(id: UserId, email: EmailAddress, organization: OrganizationId, code: OrganizationCodeId) -> Creation {
    Creation {
        id,
        state: UserState::Registered,
        names: Names { first_name: "Ada".into(), last_name: "Lovelace".into() },
        birth_date: None,
        home: Some(Home::of(organization)),
        sign_up_code: Some(code),
        contacts: Contacts { email: Some(email), ..Contacts::default() },
        username: Username::Email,
        locale: Locale::default(),
        time_zone: None,
        classification: None,
        onboarding: None,
        password_hash: Some(PASSWORD_HASH.into()),
        password_expires_at: None,
    }
}

/// People who sign up, one after the other for each client.
struct SignUpSubject {
    desk: Arc<SignUpDesk>,
    acknowledged: Mutex<Vec<Acknowledged>>,
}

#[async_trait]
impl Subject for SignUpSubject {
    fn name(&self) -> String {
        "Registrar".to_owned()
    }

    async fn round(&self, effort: Effort) -> anyhow::Result<Round> {
        let begun = Instant::now();
        let clients = (0..effort.clients).map(|_| {
            let desk = Arc::clone(&self.desk);
            tokio::spawn(async move {
                let (mut latencies, mut acknowledged) = (histogram()?, Vec::new());
                while begun.elapsed() < effort.time() {
                    let begun = Instant::now();
                    let user = desk.sign_up().await?;
                    record(&mut latencies, begun)?;
                    acknowledged.push(Acknowledged { id: user.0, commands: 1 });
                }
                Ok::<_, anyhow::Error>((latencies, acknowledged))
            })
        });
        gathered(begun, clients, &self.acknowledged).await
    }

    /// Verifies the journal, and that every acknowledged person is confirmed in the read model.
    async fn check(&self) -> anyhow::Result<()> {
        let acknowledged = std::mem::take(&mut *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner));
        let SignUpDesk { node, settings, .. } = &*self.desk;
        check(settings, &node.store, WORK, &[]).await?;
        for Acknowledged { id, .. } in acknowledged {
            let user = node.documents.find::<UserDocument>(&id.to_string()).await?.value;
            let is_confirmed =
                user.is_some_and(|user| user.state == UserState::Confirmed && user.contacts.email_verified);
            ensure!(is_confirmed, "the document of {id} does not show the confirmation");
        }
        Ok(())
    }
}
