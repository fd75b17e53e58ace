use super::*;
use crate::group::staffing::{
    PLACES_MAX, Post, Staffing, StaffingCommand, StaffingError, StaffingEvent, check_eligible,
};
use crate::user::{Contacts, Creation, Locale, Membership, Names, Profile, UserState, Username};
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
fn only_enabled_members_of_an_organization_have_posts_there() {
    let creation = |state| Creation {
        id: user(),
        state,
        names: Names { first_name: "Ada".into(), last_name: "Lovelace".into() },
        birth_date: None,
        contacts: Contacts::default(),
        username: Username::Email,
        locale: Locale::EnUs,
        time_zone: None,
        classification: None,
        password_hash: None,
    };
    let profile = |state, memberships: &[OrganizationId]| Profile {
        memberships: memberships.iter().map(|id| (*id, Membership { number: 1, roles: set([]) })).collect(),
        ..creation(state).into()
    };
    let other = OrganizationId(Uuid::from_u128(0xB));
    let eligible = |profile: &Profile| check_eligible(profile, organization());
    assert_eq!(eligible(&profile(UserState::Confirmed, &[organization(), other])), Ok(()));
    assert_eq!(eligible(&profile(UserState::Confirmed, &[other])), Err(StaffingError::NotEligible));
    assert_eq!(eligible(&profile(UserState::Disabled, &[organization()])), Err(StaffingError::NotEligible));
}
