use super::*;

fn amend(edit: impl FnOnce(&mut Amendment)) -> UserCommand {
    let mut amendment = Amendment::default();
    edit(&mut amendment);
    UserCommand::Amend(Box::new(amendment))
}

fn to(text: &str) -> UserCommand {
    amend(|change| change.email = Some(email(text)))
}

fn amended(former: Option<&str>, to: &str, kept: Option<&str>) -> UserEvent {
    UserEvent::EmailAmended { former: former.map(email), email: email(to), kept: kept.map(email) }
}

fn call(text: &str) -> UserCommand {
    amend(|change| change.phone = Some(phone(text)))
}

fn numbered(former: Option<&str>, to: &str, kept: Option<&str>) -> UserEvent {
    UserEvent::PhoneAmended { former: former.map(phone), phone: phone(to), kept: kept.map(phone) }
}

fn restored(former: &str) -> UserEvent {
    UserEvent::EmailRestored { former: email(former), email: email("ada@example.com") }
}

/// Ada, with a pending new address.
fn waiting() -> Vec<UserEvent> {
    vec![created(), amended(None, "king@example.com", Some("ada@example.com"))]
}

/// Ada, without any verified contact.
fn unverified() -> UserEvent {
    created_with(|creation| creation.contacts.email_verified = false)
}

fn take(text: &str) -> Claim {
    Claim::Take(ClaimKey::account_email(&email(text)))
}

fn release(text: &str) -> Claim {
    Claim::Release(ClaimKey::account_email(&email(text)))
}

const ONE: &str = "+12025550123";
const OTHER: &str = "+12025550124";
const THIRD: &str = "+12025550125";

/// Ada with a verified telephone number.
fn reachable() -> UserEvent {
    created_with(|creation| (creation.contacts.phone, creation.contacts.phone_verified) = (Some(phone(ONE)), true))
}

#[test]
fn a_new_address_waits_beside_the_verified_one() {
    given([created()]).when(to("king@example.com")).then_expect_events(waiting().split_off(1));
    let Profile { contacts, .. } = profile(waiting());
    assert_eq!((contacts.email.clone(), contacts.email_verified), (Some(email("king@example.com")), false));
    assert_eq!(contacts.proven_email(), Some(&email("ada@example.com")));
    assert_eq!(contacts.waiting_email(), Some(&email("king@example.com")));
    assert_eq!(waiting()[1].claims(), [take("king@example.com")]);
}

#[test]
fn an_address_that_is_replaced_while_it_waits_is_free_at_once() {
    let again = || amended(Some("king@example.com"), "byron@example.com", Some("ada@example.com"));
    given(waiting()).when(to("byron@example.com")).then_expect_events(vec![again()]);
    assert_eq!(again().claims(), [release("king@example.com"), take("byron@example.com")]);
    let Profile { contacts, .. } = profile([waiting(), vec![again()]].concat());
    assert_eq!(contacts.proven_email(), Some(&email("ada@example.com")));
}

#[test]
fn going_back_to_the_verified_address_needs_no_code() {
    for spelling in ["ada@example.com", "Ada@Example.com"] {
        given(waiting()).when(to(spelling)).then_expect_events(vec![restored("king@example.com")]);
    }
    assert_eq!(restored("king@example.com").claims(), [release("king@example.com")]);
    let profile = profile([waiting(), vec![restored("king@example.com")]].concat());
    assert_eq!((profile.contacts, profile.epoch), (creation().contacts, 0));
}

#[test]
fn the_same_address_in_other_letters_is_no_change() {
    given([created()]).when(to("ADA@Example.com")).then_expect_events(vec![]);
    given(waiting()).when(to("King@example.com")).then_expect_events(vec![]);
}

#[test]
fn an_address_that_was_never_verified_is_free_at_once() {
    let event = || amended(Some("ada@example.com"), "king@example.com", None);
    given([unverified()]).when(to("king@example.com")).then_expect_events(vec![event()]);
    assert_eq!(event().claims(), [release("ada@example.com"), take("king@example.com")]);
    let Profile { contacts, .. } = profile([unverified(), event()]);
    assert_eq!((contacts.proven_email(), contacts.waiting_email()), (None, None));
}

#[test]
fn a_confirmed_address_frees_the_former_one_and_ends_sessions() {
    let confirm = |text: &str| UserCommand::ConfirmEmail(email(text));
    let confirmed = |former: Option<&str>, text: &str| UserEvent::EmailConfirmed {
        former: former.map(email),
        email: email(text),
        ends_sessions: true,
    };
    let event = || confirmed(Some("ada@example.com"), "king@example.com");
    given(waiting()).when(confirm("KING@example.com")).then_expect_events(vec![event()]);
    given([waiting(), vec![event()]].concat()).when(confirm("king@example.com")).then_expect_events(vec![]);
    given(waiting()).when(confirm("ada@example.com")).then_expect_error(UserError::OtherEmail);
    given([unverified()]).when(confirm("ada@example.com")).then_expect_events(vec![confirmed(None, "ada@example.com")]);
    assert_eq!(event().claims(), [release("ada@example.com")]);
    let profile = profile([waiting(), vec![event()]].concat());
    assert_eq!(profile.contacts.proven_email(), Some(&email("king@example.com")));
    assert_eq!((profile.contacts.waiting_email(), profile.contacts.verified_email.as_ref()), (None, None));
    assert_eq!(profile.epoch, 1);
}

#[test]
fn an_address_that_waits_too_long_is_put_back_unless_another_one_waits_by_now() {
    let revert = |text: &str| UserCommand::RevertEmail(email(text));
    given(waiting()).when(revert("king@example.com")).then_expect_events(vec![restored("king@example.com")]);
    given(waiting()).when(revert("byron@example.com")).then_expect_events(vec![]);
    for events in [vec![created()], vec![unverified()], vec![created(), archived()]] {
        given(events).when(revert("ada@example.com")).then_expect_events(vec![]);
    }
    given([]).when(revert("ada@example.com")).then_expect_error(UserError::NotFound);
}

#[test]
fn a_telephone_number_waits_and_comes_back_like_an_address() {
    let event = || numbered(None, OTHER, Some(ONE));
    let restored = |former: &str| UserEvent::PhoneRestored { former: phone(former), phone: phone(ONE) };
    given([reachable()]).when(call(OTHER)).then_expect_events(vec![event()]);
    let waits = || vec![reachable(), event()];
    given(waits()).when(call(OTHER)).then_expect_events(vec![]);
    given(waits()).when(call(THIRD)).then_expect_events(vec![numbered(Some(OTHER), THIRD, Some(ONE))]);
    given(waits()).when(call(ONE)).then_expect_events(vec![restored(OTHER)]);
    given(waits()).when(UserCommand::RevertPhone(phone(OTHER))).then_expect_events(vec![restored(OTHER)]);
    given(waits()).when(UserCommand::RevertPhone(phone(THIRD))).then_expect_events(vec![]);
    assert_eq!(restored(OTHER).claims(), [Claim::Release(ClaimKey::user_phone(&phone(OTHER)))]);
    let Profile { contacts, .. } = profile([waits(), vec![restored(OTHER)]].concat());
    assert_eq!((contacts.proven_phone(), contacts.waiting_phone()), (Some(&phone(ONE)), None));
}

#[test]
fn a_telephone_number_is_confirmed_if_it_is_the_one_that_is_shown() {
    let confirm = |text: &str| UserCommand::ConfirmPhone(phone(text));
    let confirmed = |former: Option<&str>| UserEvent::PhoneConfirmed { former: former.map(phone), ends_sessions: true };
    let new = || vec![created(), numbered(None, ONE, None)];
    given([created()]).when(call(ONE)).then_expect_events(new().split_off(1));
    given([created()]).when(confirm(ONE)).then_expect_error(UserError::OtherPhone);
    given(new()).when(confirm(OTHER)).then_expect_error(UserError::OtherPhone);
    given(new()).when(confirm(ONE)).then_expect_events(vec![confirmed(None)]);
    given([new(), vec![confirmed(None)]].concat()).when(confirm(ONE)).then_expect_events(vec![]);
    let waits = || vec![reachable(), numbered(None, OTHER, Some(ONE))];
    given(waits()).when(confirm(ONE)).then_expect_error(UserError::OtherPhone);
    given(waits()).when(confirm(OTHER)).then_expect_events(vec![confirmed(Some(ONE))]);
    let profile = profile([waits(), vec![confirmed(Some(ONE))]].concat());
    assert_eq!((profile.contacts.proven_phone(), profile.epoch), (Some(&phone(OTHER)), 1));
}

#[test]
fn an_archived_user_frees_the_addresses_that_were_kept() {
    let both = || {
        vec![reachable(), amended(None, "king@example.com", Some("ada@example.com")), numbered(None, OTHER, Some(ONE))]
    };
    let archived = UserEvent::Archived {
        email: Some(email("king@example.com")),
        phone: Some(phone(OTHER)),
        kept_email: Some(email("ada@example.com")),
        kept_phone: Some(phone(ONE)),
    };
    let number = |text: &str| Claim::Release(ClaimKey::user_phone(&phone(text)));
    assert_eq!(
        archived.claims(),
        [release("king@example.com"), release("ada@example.com"), number(OTHER), number(ONE)]
    );
    given(both()).when(UserCommand::Archive).then_expect_events(vec![archived]);
}

#[test]
fn the_sign_in_name_is_a_verified_contact_if_there_is_one() {
    let name = |events: Vec<UserEvent>| {
        profile(events).sign_in_name().map(|name| name.as_str().to_owned()).unwrap_or_default()
    };
    let by_phone = || UserEvent::UsernameChosen { username: Username::Phone };
    assert_eq!(name(vec![created()]), "ada@example.com");
    assert_eq!(name(waiting()), "ada@example.com");
    assert_eq!(name(vec![reachable(), by_phone()]), ONE);
    assert_eq!(name(vec![reachable(), by_phone(), numbered(None, OTHER, Some(ONE))]), ONE);
    // An unverified number is no sign-in name as long as the address is verified.
    assert_eq!(name(vec![created(), numbered(None, ONE, None), by_phone()]), "ada@example.com");
    let number_alone = created_with(|creation| {
        creation.contacts.email_verified = false;
        (creation.contacts.phone, creation.contacts.phone_verified) = (Some(phone(ONE)), true);
    });
    assert_eq!(name(vec![number_alone]), ONE);
    // Without a verified contact, the chosen one is the only candidate.
    assert_eq!(name(vec![unverified()]), "ada@example.com");
    assert_eq!(name(vec![unverified(), numbered(None, ONE, None), by_phone()]), ONE);
    assert_eq!(name(vec![created(), archived()]), "");
}

fn mail(text: &str) -> Contact {
    Contact::Email(email(text))
}

fn line(text: &str) -> Contact {
    Contact::Phone(phone(text))
}

#[test]
fn a_forgotten_password_is_replaced_by_way_of_verified_contacts() {
    let by = |events: Vec<UserEvent>| {
        let profile = profile(events);
        [Username::Email, Username::Phone].map(|kind| profile.recovery_contact(kind))
    };
    assert_eq!(by(vec![created()]), [Some(mail("ada@example.com")), None]);
    assert_eq!(by(vec![reachable()]), [Some(mail("ada@example.com")), Some(line(ONE))]);
    // A pending contact is none.
    assert_eq!(by(waiting()), [Some(mail("ada@example.com")), None]);
    assert_eq!(by(vec![unverified(), numbered(None, ONE, None)]), [None, None]);
}

#[test]
fn before_the_sign_up_is_confirmed_a_password_is_replaced_by_way_of_the_sign_in_name() {
    let in_state = |state, username| {
        let created = created_with(|creation| {
            (creation.state, creation.username, creation.contacts.email_verified) = (state, username, false);
            creation.contacts.phone = Some(phone(ONE));
        });
        let profile = profile([created]);
        [Username::Email, Username::Phone].map(|kind| profile.recovery_contact(kind))
    };
    assert_eq!(in_state(UserState::Registered, Username::Email), [Some(mail("ada@example.com")), None]);
    assert_eq!(in_state(UserState::Registered, Username::Phone), [None, Some(line(ONE))]);
    for state in [UserState::Init, UserState::Disabled, UserState::RegisteredDisabled, UserState::Archived] {
        assert_eq!(in_state(state, Username::Email), [None, None]);
    }
}

#[test]
fn an_amendment_tells_the_contacts_that_it_changes() {
    let changes = |events: Vec<UserEvent>, to: &str, number: &str| {
        let amendment = Amendment { email: Some(email(to)), phone: Some(phone(number)), ..Amendment::default() };
        profile(events).contacts.changes(&amendment)
    };
    let change = |to: Contact, kept: Option<Contact>| ContactChange { to, kept };
    assert_eq!(
        changes(vec![reachable()], "king@example.com", OTHER),
        [change(mail("king@example.com"), Some(mail("ada@example.com"))), change(line(OTHER), Some(line(ONE)))]
    );
    assert_eq!(
        changes(vec![unverified()], "king@example.com", ONE),
        [change(mail("king@example.com"), None), change(line(ONE), None)]
    );
    // The same address, in any spelling, and the return to the verified one are none.
    assert_eq!(changes(vec![reachable()], "ADA@example.com", ONE), []);
    assert_eq!(changes(waiting(), "ada@example.com", ONE), [change(line(ONE), None)]);
    assert_eq!(changes(waiting(), "king@example.com", ONE), [change(line(ONE), None)]);
}

#[test]
fn contacts_without_verification_wait_whether_a_verified_one_is_kept_or_not() {
    let waits = |events: Vec<UserEvent>| profile(events).contacts.unverified().collect::<Vec<_>>();
    assert_eq!(waits(vec![reachable()]), []);
    assert_eq!(waits(waiting()), [mail("king@example.com")]);
    assert_eq!(waits(vec![unverified(), numbered(None, ONE, None)]), [mail("ada@example.com"), line(ONE)]);
}

#[test]
fn a_creation_keeps_no_address_beside_the_shown_one() {
    let more = creation_with(|creation| creation.contacts.verified_email = Some(email("other@example.com")));
    given([]).when(create(more)).then_expect_events(vec![created()]);
}

#[test]
fn events_of_earlier_releases_are_read() {
    let read = |payload: serde_json::Value| serde_json::from_value::<UserEvent>(payload).expect("an old event");
    let old = read(json!({ "type": "user.email-amended", "former": "ada@example.com", "email": "king@example.com" }));
    assert_eq!(old.claims(), [release("ada@example.com"), take("king@example.com")]);
    assert_eq!(profile([created(), old]).contacts.proven_email(), None);
    let spelled =
        read(json!({ "type": "user.email-amended", "former": "ada@example.com", "email": "ADA@example.com" }));
    assert_eq!(spelled.claims(), []);
    let confirmed = read(json!({ "type": "user.phone-confirmed" }));
    assert_eq!(confirmed, UserEvent::PhoneConfirmed { former: None, ends_sessions: false });
    assert_eq!(profile([created(), numbered(None, ONE, None), confirmed]).epoch, 0);
    let gone = read(json!({ "type": "user.archived", "email": "ada@example.com" }));
    assert_eq!(gone.claims(), [release("ada@example.com")]);
}
