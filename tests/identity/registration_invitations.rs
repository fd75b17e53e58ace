//! Invitations of friends to register: sent by every user, read by their senders and by system admins, and claimed with
//! the registration of the address.

use crate::app::{Identity, Person, creation, ids, refusal};
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Conflict, Create, List, NOT_CHANGED, Resource, query};
use crate::ecg_app::Call;
use crate::matrix::world::{Request, document};
use crate::on_both_stores;
use crate::suite::Suite;
use crate::support::while_commits_wait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use registrar::executor::{ExecuteError, RequestContext};
use registrar::processes::registration_invitations::open_for;
use registrar::processes::{Refusal, membership};
use registrar_aggregates::processes::registration_invitations::claim_for;
use registrar_aggregates::quota::QuotaKind;
use registrar_aggregates::registration_invitation::{RegistrationInvitation, RegistrationInvitationCommand};
use registrar_aggregates::values::{EmailAddress, RegistrationInvitationId, UserId};
use serde_json::{Value, json};
use std::future::ready;
use uuid::Uuid;

const KIND: &str = "registration-invitations";
const INVITATIONS: &str = "/v1/registration-invitations/";
const POINTER: &str = "/data/attributes/invited-email";
const GRACE: &str = "grace@unknown.example";

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-registration-invitations", senders_list_their_own_invitations_and_system_admins_all_of_them::TEST),
        ("create-registration-invitation", an_invitation_is_stamped_with_its_sender_and_mailed::TEST),
        ("get-registration-invitation", an_invitation_is_stamped_with_its_sender_and_mailed::TEST),
    ],
    table: "
        list-registration-invitations   403 operator auditor narrowed, 200 others
        create-registration-invitation  403 ecg-admins, 201 others
        get-registration-invitation     200 participant system administrator, 404 others
    ",
    request: |world, operation, _| {
        let create = || Request::to(INVITATIONS).json(invitation(&format!("{}@unknown.example", world.name("friend"))));
        Box::pin(ready((operation == "create-registration-invitation").then(create)))
    },
    resources: &[Resource {
        kind: KIND,
        caller: "participant",
        create: Has(Create { operation: "create-registration-invitation", listed: Has(|_, _| query(String::new())) }),
        read: Has("get-registration-invitation"),
        update: Lacks(NOT_CHANGED),
        list: Has(List {
            operation: "list-registration-invitations",
            rows: |_| query(String::new()),
            paged: Lacks("without parameters the list is its first page"),
            scope: Lacks("callers list their own invitations"),
        }),
        hidden: Has(()),
        conflict: Has(Conflict::Repeated { pointer: POINTER }),
    }],
};

fn invitation(address: &str) -> Value {
    document(KIND, json!({ "invited-email": address }))
}

fn email(address: &str) -> EmailAddress {
    EmailAddress::parse(address).unwrap()
}

/// A request that invites an address.
fn invite<'a>(it: &'a Identity, sender: &Person, address: &str) -> Call<'a> {
    it.call(sender, "POST", INVITATIONS).json(&invitation(address))
}

/// Sends an invitation that must be refused since the address is known; answers the error.
async fn conflict(it: &Identity, sender: &Person, address: &str) -> Value {
    let error = it.refused(invite(it, sender, address), 409, "conflict").await;
    assert_eq!(error["source"]["pointer"], POINTER, "{error}");
    error
}

/// Creates an invitation at another time, without a mail.
async fn invited_at(it: &Identity, sender: &Person, address: &str, now: DateTime<Utc>) -> RegistrationInvitationId {
    let id = RegistrationInvitationId(Uuid::now_v7());
    let command =
        RegistrationInvitationCommand::Create { id, created_by: UserId(sender.id), email: email(address), now };
    let (context, executor) = (RequestContext::system(), &it.node().executor);
    executor.execute::<RegistrationInvitation>(&context, &id.to_string(), command, None).await.unwrap();
    id
}

/// Does what the confirmation of a new account's address does with its invitation.
async fn register(it: &Identity, address: &str) {
    let invitation = open_for(it.node(), &email(address)).await.unwrap();
    let now = Utc::now();
    let claimed = it
        .node()
        .executor
        .execute_process(&RequestContext::system(), |streams| claim_for(streams, invitation, now))
        .await;
    claimed.map_err(|error: ExecuteError<Refusal>| error.to_string()).unwrap();
}

fn path(id: impl std::fmt::Display) -> String {
    format!("{INVITATIONS}{id}/")
}

on_both_stores! {
    async fn an_invitation_is_stamped_with_its_sender_and_mailed(database) {
        let it = Identity::open(&database).await;
        let head = it.head().await;
        let created = it.post(&it.participant, INVITATIONS, &invitation(GRACE)).await;
        let attributes = &created["data"]["attributes"];
        let time = attributes["created-time"].clone();
        assert_eq!(time.as_str().unwrap().len(), 19);
        assert_eq!(*attributes, json!({
            "claimed-time": null, "created-by": it.participant.id, "created-time": time, "invited-email": GRACE,
        }));
        let id = created["data"]["id"].as_str().unwrap();
        assert_eq!(it.get(&it.participant, &path(id)).await, created);

        let mail = it.messages_to(GRACE).await;
        let [mail] = mail.as_slice() else { panic!("{mail:?}") };
        assert_eq!((&mail["kind"], &mail["channel"]), (&json!("registration-invitation"), &json!("email")));
        let link = mail["link"].as_str().unwrap();
        assert!(link.ends_with("/sign-up") && mail["text"].as_str().unwrap().contains(link), "{mail}");
        assert!(mail["text"].as_str().unwrap().contains("30 days") && mail["code"].is_null(), "{mail}");
        // The sender's name would be a text of theirs in our mail.
        assert!(!mail.to_string().contains("participant"), "{mail}");

        // All in one commit, and the address in no event in the clear.
        let events = it.node().journal.read(head, usize::MAX).await.unwrap();
        let names: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        let expected = [
            "quota.used",
            "quota.used",
            "registration-invitation.created",
            "message.composed",
            "message.captured",
        ];
        assert_eq!(names, expected);
        assert!(events.iter().all(|event| !event.payload.contains("unknown.example")));
    }

    async fn senders_list_their_own_invitations_and_system_admins_all_of_them(database) {
        let it = Identity::open(&database).await;
        let mut all = Vec::new();
        for (number, sender) in [&it.participant, &it.provider, &it.participant, &it.service].into_iter().enumerate() {
            let created = it.post(sender, INVITATIONS, &invitation(&format!("friend-{number}@unknown.example"))).await;
            all.insert(0, created["data"]["id"].as_str().unwrap().to_owned());
        }
        let list = it.get(&it.system, INVITATIONS).await;
        assert_eq!(ids(&list), all, "the newest first");
        assert_eq!(list["meta"], json!({ "page[limit]": 100, "page[offset]": 0, "page[total]": 4 }));
        assert_eq!(ids(&it.get(&it.participant, INVITATIONS).await), [all[1].as_str(), all[3].as_str()]);
        assert_eq!(ids(&it.get(&it.provider, INVITATIONS).await), [all[2].as_str()]);
        // The admins of the sender's organization are not told whom people invite.
        it.find_nothing(&it.admin, INVITATIONS).await;
        let foreign = it.get_refused(&it.admin, &path(&all[3]), 404, "not-found").await;
        assert_eq!(it.get_refused(&it.admin, &path(Uuid::now_v7()), 404, "not-found").await, foreign);
        it.get(&it.system, &path(&all[3])).await;
    }

    async fn a_registered_address_and_an_invited_one_are_the_same_conflict(database) {
        let it = Identity::open(&database).await;
        it.post(&it.participant, INVITATIONS, &invitation(GRACE)).await;
        let invited = conflict(&it, &it.participant, GRACE).await;
        for (sender, address) in [
            // Of others, in another spelling, and those of people whom the sender does not see.
            (&it.other_admin, GRACE),
            (&it.other_admin, "GRACE@Unknown.Example"),
            (&it.participant, it.provider.email.as_str()),
            (&it.participant, it.other_admin.email.as_str()),
            (&it.participant, it.participant.email.as_str()),
            (&it.system, "Provider@EXAMPLE.com"),
        ] {
            assert_eq!(conflict(&it, sender, address).await, invited, "{address}");
        }
        assert_eq!(it.messages_to(GRACE).await.len(), 1);
        assert!(it.messages_to(&it.provider.email).await.is_empty());
    }

    async fn an_address_that_its_user_has_not_confirmed_is_invited(database) {
        let it = Identity::open(&database).await;
        let mut unconfirmed = creation(GRACE, None);
        unconfirmed.contacts.email_verified = false;
        membership::create(it.node(), &RequestContext::system(), unconfirmed, None).await.unwrap();
        it.post(&it.participant, INVITATIONS, &invitation(GRACE)).await;
    }

    async fn an_address_that_is_none_is_refused(database) {
        let it = Identity::open(&database).await;
        let long = format!("{}@unknown.example", "a".repeat(240));
        let (hidden, header) = ("gr\u{200b}ace@unknown.example", "a@b.example\r\nBcc: c@d.example");
        for address in ["", "grace", "grace@", hidden, header, &long] {
            let error = it.refused(invite(&it, &it.participant, address), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], POINTER, "{error}");
        }
        let forged = document(KIND, json!({ "invited-email": GRACE, "created-by": it.admin.id }));
        it.post_refused(&it.participant, INVITATIONS, &forged, 400, "validation-error").await;
    }

    async fn an_invitation_in_the_name_of_another_is_forbidden(database) {
        let it = Identity::open(&database).await;
        let synthetic = json!({ "data": { "user-id": it.participant.id } });
        let opened = it.post(&it.service, "/v1/synthetic-user-tokens/", &synthetic).await;
        let token = opened["data"]["access-token"].as_str().unwrap().to_owned();
        let acting = Person { token, ..it.participant.clone() };
        // It learns nothing of addresses either.
        for address in [GRACE, &it.provider.email] {
            it.refused(invite(&it, &acting, address), 403, "forbidden").await;
        }
        it.get(&acting, INVITATIONS).await;
    }

    async fn a_user_sends_twenty_invitations_in_a_day(database) {
        let it = Identity::open(&database).await;
        for number in 0..QuotaKind::FriendInvitations.uses_max() {
            it.post(&it.participant, INVITATIONS, &invitation(&format!("friend-{number}@unknown.example"))).await;
        }
        let head = it.head().await;
        let answer = invite(&it, &it.participant, GRACE).send().await;
        refusal(&answer, 429, "rate-limited");
        let seconds: i64 = answer.header("retry-after").parse().unwrap();
        assert!((80_000..=86_400).contains(&seconds), "{seconds}");
        assert_eq!(it.head().await, head);
        assert!(it.messages_to(GRACE).await.is_empty());
        it.post(&it.provider, INVITATIONS, &invitation(GRACE)).await;
    }

    async fn a_user_asks_for_thirty_addresses_in_an_hour(database) {
        let it = Identity::open(&database).await;
        for _ in 0..30 {
            conflict(&it, &it.participant, &it.other_admin.email).await;
        }
        for address in [it.other_admin.email.as_str(), GRACE] {
            it.refused(invite(&it, &it.participant, address), 429, "rate-limited").await;
        }
        // People who are seen anyway are not asked for.
        conflict(&it, &it.participant, &it.participant.email).await;
        it.post(&it.provider, INVITATIONS, &invitation(GRACE)).await;
    }

    async fn of_two_invitations_of_an_address_at_once_one_is_sent(database) {
        let it = Identity::open(&database).await;
        for round in 0..5 {
            let address = format!("friend-{round}@unknown.example");
            let senders = [&it.participant, &it.provider, &it.other_admin];
            let calls = senders.map(|sender| invite(&it, sender, &address).send());
            let answers = while_commits_wait(it.node(), join_all(calls)).await;
            let won = answers.iter().filter(|answer| answer.status == 201).count();
            let lost = answers.iter().filter(|answer| answer.status == 409).count();
            assert_eq!((won, lost), (1, 2), "{answers:?}");
            assert_eq!(it.messages_to(&address).await.len(), 1);
        }
    }

    async fn an_address_is_invited_again_after_thirty_days(database) {
        let it = Identity::open(&database).await;
        let open = invited_at(&it, &it.provider, GRACE, Utc::now() - TimeDelta::days(29)).await;
        conflict(&it, &it.participant, GRACE).await;
        let other = "ada@unknown.example";
        let over = invited_at(&it, &it.provider, other, Utc::now() - TimeDelta::days(30)).await;
        it.post(&it.participant, INVITATIONS, &invitation(other)).await;
        for id in [open, over] {
            let shown = it.get(&it.provider, &path(id)).await;
            assert_eq!(shown["data"]["attributes"]["claimed-time"], Value::Null);
        }
        conflict(&it, &it.provider, other).await;
    }

    async fn the_registration_of_an_address_claims_its_open_invitation(database) {
        let it = Identity::open(&database).await;
        let open = it.post(&it.participant, INVITATIONS, &invitation(GRACE)).await;
        let other = "ada@unknown.example";
        let over = invited_at(&it, &it.participant, other, Utc::now() - TimeDelta::days(30)).await;
        let head = it.head().await;
        for address in ["Grace@Unknown.example", other, "nobody@unknown.example"] {
            register(&it, address).await;
            assert_eq!(open_for(it.node(), &email(address)).await.unwrap(), None);
        }
        let events = it.node().journal.read(head, usize::MAX).await.unwrap();
        let names: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(names, ["registration-invitation.claimed", "registration-invitation.expired"]);
        let claimed = it.get(&it.participant, &path(open["data"]["id"].as_str().unwrap())).await;
        let attributes = &claimed["data"]["attributes"];
        assert_eq!(attributes["claimed-time"].as_str().unwrap().len(), 19);
        assert_eq!(attributes["invited-email"], GRACE);
        let expired = it.get(&it.participant, &path(over)).await;
        assert_eq!(expired["data"]["attributes"]["claimed-time"], Value::Null);
    }

    async fn the_address_of_an_invitation_is_erased_by_itself(database) {
        let it = Identity::open(&database).await;
        let created = it.post(&it.participant, INVITATIONS, &invitation(GRACE)).await;
        let id = created["data"]["id"].as_str().unwrap();
        database.erase(id).await;
        // Another node has neither keys nor documents in its caches.
        let node = database.open().await;
        let (_, state) = node.executor.state::<RegistrationInvitation>(id).await.unwrap();
        let RegistrationInvitation::Open(erased) = state else { panic!("{state:?}") };
        assert_eq!(erased.email.as_str(), registrar_aggregates::personal::ERASED);
        assert_eq!(erased.created_by, UserId(it.participant.id));
        let user = registrar::processes::user_by_id(&node, erased.created_by).await.unwrap().unwrap();
        assert_eq!(user.contacts.email.as_ref().unwrap().as_str(), it.participant.email);
    }
}
