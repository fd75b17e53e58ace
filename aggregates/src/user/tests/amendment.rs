use super::*;

fn amend(edit: impl FnOnce(&mut Amendment)) -> UserCommand {
    let mut amendment = Amendment::default();
    edit(&mut amendment);
    UserCommand::Amend(Box::new(amendment))
}

#[test]
fn only_changed_values_are_recorded() {
    given([created()]).when(amend(|_| {})).then_expect_events(vec![]);
    given([created()])
        .when(amend(|change| {
            change.first_name = Some(" Ada ".into());
            change.email = Some(email("ada@example.com"));
            change.username = Some(Username::Email);
            change.preferences = Some(Preferences::new());
        }))
        .then_expect_events(vec![]);
    given([created()])
        .when(amend(|change| {
            change.last_name = Some("King".into());
            change.birth_date = BirthDate::parse("1815-12-10").ok();
            change.classification = Some(Classification::Customer);
        }))
        .then_expect_events(vec![
            UserEvent::NamesAmended { names: Names { first_name: "Ada".into(), last_name: "King".into() } },
            UserEvent::BirthDateAmended { birth_date: BirthDate::parse("1815-12-10").expect("a date") },
            UserEvent::Classified { classification: Classification::Customer },
        ]);
}

#[test]
fn choosing_the_present_locale_or_time_zone_is_recorded_once() {
    let chosen = || vec![UserEvent::LocaleChosen { locale: Locale::EnUs }];
    let choose = || amend(|change| change.locale = Some(Locale::EnUs));
    given([created()]).when(choose()).then_expect_events(chosen());
    given([vec![created()], chosen()].concat()).when(choose()).then_expect_events(vec![]);
    let zone = |text: &str| amend(|change| change.time_zone = Some(text.into()));
    let zoned = || UserEvent::TimeZoneChosen { time_zone: "Europe/London".into() };
    let at_home = || created_with(|creation| creation.time_zone = Some("Europe/London".into()));
    given([at_home()]).when(zone("Europe/London")).then_expect_events(vec![zoned()]);
    given([at_home(), zoned()]).when(zone("Europe/London")).then_expect_events(vec![]);
    let problem = Finding { field: "timeZone".into(), problem: Problem::UnknownTimeZone };
    given([at_home()]).when(zone("Nowhere")).then_expect_error(UserError::Invalid(vec![problem]));
}

#[test]
fn the_user_name_is_a_contact_that_there_is_also_one_given_at_once() {
    let by_phone = |number: Option<&str>| {
        amend(|change| (change.username, change.phone) = (Some(Username::Phone), number.map(phone)))
    };
    given([created()]).when(by_phone(None)).then_expect_error(UserError::NoSuchContact);
    given([created()]).when(by_phone(Some("+12025550123"))).then_expect_events(vec![
        UserEvent::PhoneAmended { former: None, phone: phone("+12025550123"), kept: None },
        UserEvent::UsernameChosen { username: Username::Phone },
    ]);
}

#[test]
fn preferences_are_replaced_channel_by_channel() {
    let wishes = |wished: &str| [(wished.to_owned(), json!(true))].into_iter().collect::<serde_json::Map<_, _>>();
    let set =
        |channel, wished| amend(|change| change.preferences = Some(Preferences::from([(channel, wishes(wished))])));
    let first = Preferences::from([(Channel::Email, wishes("news"))]);
    let event = |preferences| UserEvent::PreferencesAmended { preferences };
    given([created()]).when(set(Channel::Email, "news")).then_expect_events(vec![event(first.clone())]);
    let mut both = first.clone();
    both.insert(Channel::Sms, wishes("alerts"));
    given([created(), event(first)]).when(set(Channel::Sms, "alerts")).then_expect_events(vec![event(both)]);
}
