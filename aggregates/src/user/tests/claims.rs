//! Any sequence of changes of addresses: each user's claims equal the held addresses, and no address has two holders.

use super::*;
use crate::Decide;
use proptest::prelude::*;
use std::collections::HashMap;

const EMAILS: [&str; 5] = ["a@example.com", "b@example.com", "A@Example.com", "c@example.com", "d@example.com"];
const PHONES: [&str; 3] = ["+12025550101", "+12025550102", "+12025550103"];

fn command() -> impl Strategy<Value = UserCommand> {
    let an_email = prop::sample::select(EMAILS.to_vec()).prop_map(email);
    let a_phone = prop::sample::select(PHONES.to_vec()).prop_map(phone);
    let change = (prop::option::of(an_email.clone()), prop::option::of(a_phone.clone()));
    prop_oneof![
        6 => change.prop_map(|(email, phone)| UserCommand::Amend(Box::new(Amendment {
            email, phone, ..Amendment::default()
        }))),
        3 => an_email.clone().prop_map(UserCommand::ConfirmEmail),
        2 => a_phone.clone().prop_map(UserCommand::ConfirmPhone),
        2 => an_email.prop_map(UserCommand::RevertEmail),
        2 => a_phone.prop_map(UserCommand::RevertPhone),
        1 => Just(UserCommand::Archive),
    ]
}

/// A user with a unique address.
fn someone(number: u128, verified: bool) -> UserEvent {
    created_with(|creation| {
        creation.id = user(number);
        creation.contacts.email = Some(email(&format!("user{number}@example.com")));
        creation.contacts.email_verified = verified;
    })
}

/// The keys of all addresses of a user.
fn held(user: &User) -> Vec<ClaimKey> {
    let Some(Profile { contacts, .. }) = user.profile() else { return vec![] };
    let emails = contacts.email.iter().chain(&contacts.verified_email).map(ClaimKey::account_email);
    emails.chain(contacts.phone.iter().chain(&contacts.verified_phone).map(ClaimKey::user_phone)).collect()
}

proptest! {
    #[test]
    fn claims_are_the_addresses_that_users_hold(
        verified in [any::<bool>(), any::<bool>()],
        commands in prop::collection::vec((0..2_usize, command()), 0..40),
    ) {
        let mut users = [User::default(), User::default()];
        let mut claimed: HashMap<ClaimKey, usize> = HashMap::new();
        let created = [0, 1].map(|who| (who, vec![someone(who as u128 + 1, verified[who])]));
        let commands = commands.into_iter().map(|(who, command)| (who, Err(command)));
        for (who, step) in created.map(|(who, events)| (who, Ok(events))).into_iter().chain(commands) {
            let events = match step {
                Ok(events) => events,
                Err(command) => users[who].decide(command).unwrap_or_default(),
            };
            let claims: Vec<_> = events.iter().flat_map(EventFacts::claims).collect();
            // The journal refuses keys of another holder.
            let taken = |claim: &Claim| matches!(claim, Claim::Take(key) if claimed.get(key).is_some_and(|by| *by != who));
            if claims.iter().any(taken) {
                continue;
            }
            for claim in claims {
                match claim {
                    Claim::Take(key) => prop_assert_eq!(claimed.insert(key, who), None, "taken twice"),
                    Claim::Release(key) => prop_assert_eq!(claimed.remove(&key), Some(who), "released without being held"),
                }
            }
            events.into_iter().for_each(|event| users[who].apply(event));
            let held = [0, 1].map(|who| held(&users[who]).into_iter().map(move |key| (key, who)));
            let held: Vec<_> = held.into_iter().flatten().collect();
            let number = held.len();
            let held: HashMap<_, _> = held.into_iter().collect();
            prop_assert_eq!(held.len(), number, "an address is held twice");
            prop_assert_eq!(&held, &claimed);
        }
    }
}
