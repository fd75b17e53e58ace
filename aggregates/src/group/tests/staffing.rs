use super::*;
use crate::group::staffing::{
    PLACES_MAX, Post, Staffing, StaffingCommand, StaffingError, StaffingEvent, check_eligible, keeps_posts,
};
use crate::user::{Contacts, Creation, Locale, Membership, Names, Profile, Role, UserState, Username};
use crate::values::UserId;

fn user() -> UserId {
    UserId(Uuid::from_u128(0x2))
}

fn appoint(post: Post, number: u128, instead_of: Option<u128>) -> StaffingCommand {
    let (group, instead_of) = (group(number), instead_of.map(group));
    StaffingCommand::Appoint { organization_id: organization(), user_id: user(), post, group, instead_of }
}

fn appointed(post: Post, number: u128) -> StaffingEvent {
    StaffingEvent::Appointed { organization_id: organization(), user_id: user(), post, group: group(number) }
}

fn relieve(post: Post, number: u128) -> StaffingCommand {
    StaffingCommand::Relieve { post, group: group(number) }
}

fn relieved(post: Post, number: u128) -> StaffingEvent {
    StaffingEvent::Relieved { post, group: group(number) }
}

#[test]
fn posts_are_given_and_taken_each_by_itself() {
    for (post, other) in [(Post::Leader, Post::Member), (Post::Member, Post::Leader)] {
        given::<Staffing>([]).when(appoint(post, 1, None)).then_expect_events(vec![appointed(post, 1)]);
        let one = || [appointed(post, 1)];
        given::<Staffing>(one()).when(appoint(post, 1, None)).then_expect_events(vec![]);
        given::<Staffing>(one()).when(appoint(other, 1, None)).then_expect_events(vec![appointed(other, 1)]);
        given::<Staffing>(one()).when(relieve(post, 1)).then_expect_events(vec![relieved(post, 1)]);
        given::<Staffing>(one()).when(relieve(other, 1)).then_expect_events(vec![]);
        given::<Staffing>([appointed(post, 1), relieved(post, 1)]).when(relieve(post, 1)).then_expect_events(vec![]);
    }
}

#[test]
fn a_post_goes_from_one_group_to_another_in_one_step() {
    let one = || [appointed(Post::Leader, 1)];
    given::<Staffing>(one())
        .when(appoint(Post::Leader, 2, Some(1)))
        .then_expect_events(vec![appointed(Post::Leader, 2), relieved(Post::Leader, 1)]);
    given::<Staffing>(one())
        .when(appoint(Post::Member, 2, Some(1)))
        .then_expect_events(vec![appointed(Post::Member, 2)]);
    given::<Staffing>(one()).when(appoint(Post::Leader, 1, Some(1))).then_expect_events(vec![]);
}

#[test]
fn all_posts_end_at_once() {
    given::<Staffing>([appointed(Post::Leader, 1), appointed(Post::Member, 2), appointed(Post::Leader, 3)])
        .when(StaffingCommand::RelieveOfAll)
        .then_expect_events(vec![relieved(Post::Leader, 1), relieved(Post::Leader, 3), relieved(Post::Member, 2)]);
    given::<Staffing>([]).when(StaffingCommand::RelieveOfAll).then_expect_events(vec![]);
}

#[test]
fn posts_of_one_user_have_their_number() {
    let full = || (0..PLACES_MAX).map(|number| appointed(Post::Member, number as u128));
    let next = PLACES_MAX as u128;
    given::<Staffing>(full()).when(appoint(Post::Member, next, None)).then_expect_error(StaffingError::TooManyPlaces);
    given::<Staffing>(full())
        .when(appoint(Post::Member, next, Some(0)))
        .then_expect_events(vec![appointed(Post::Member, next), relieved(Post::Member, 0)]);
}

#[test]
fn only_enabled_providers_and_admins_of_an_organization_are_given_posts_there() {
    let other = OrganizationId(Uuid::from_u128(0xB));
    let eligible = |profile: &Profile| check_eligible(profile, organization());
    for role in [Role::Provider, Role::Admin] {
        let works = [(organization(), set([role])), (other, set([]))];
        assert_eq!(eligible(&profile(UserState::Confirmed, works.clone())), Ok(()), "{role:?}");
        // Disabled users keep posts but get no new ones.
        let disabled = profile(UserState::Disabled, works);
        assert_eq!(eligible(&disabled), Err(StaffingError::NotEligible), "{role:?}");
        assert!(keeps_posts(&disabled, organization()));
        let elsewhere = profile(UserState::Confirmed, [(other, set([role]))]);
        assert_eq!(eligible(&elsewhere), Err(StaffingError::NotEligible), "{role:?}");
        assert!(!keeps_posts(&elsewhere, organization()));
    }
    for roles in [set([]), set([Role::Member])] {
        let takes_part = profile(UserState::Confirmed, [(organization(), roles)]);
        assert_eq!(eligible(&takes_part), Err(StaffingError::NotEligible));
        assert!(!keeps_posts(&takes_part, organization()));
    }
}

fn profile(state: UserState, memberships: impl IntoIterator<Item = (OrganizationId, BTreeSet<Role>)>) -> Profile {
    let creation = Creation {
        id: user(),
        state,
        names: Names { first_name: "Ada".into(), last_name: "Lovelace".into() },
        birth_date: None,
        home: None,
        sign_up_code: None,
        contacts: Contacts::default(),
        username: Username::Email,
        locale: Locale::EnUs,
        time_zone: None,
        classification: None,
        onboarding: None,
        password_hash: None,
        password_expires_at: None,
    };
    let memberships = memberships.into_iter().map(|(id, roles)| (id, Membership { number: 1, roles }));
    Profile { memberships: memberships.collect(), ..creation.into() }
}
