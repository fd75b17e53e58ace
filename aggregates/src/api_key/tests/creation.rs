use super::*;

#[test]
fn a_key_is_created() {
    given([]).when(create(creation())).then_expect_events(vec![created()]);
}

#[test]
fn a_key_may_be_created_with_an_end_and_out_of_use() {
    let edit = |creation: &mut Creation| {
        creation.expires_at = Some(at(1));
        creation.enabled = false;
    };
    given([]).when(create(creation_with(edit))).then_expect_events(vec![created_with(edit)]);
}

#[test]
fn space_around_a_name_is_dropped() {
    given([])
        .when(create(creation_with(|creation| creation.name = "  Nightly\t".into())))
        .then_expect_events(vec![created()]);
}

#[test]
fn a_name_has_1_to_255_characters() {
    let longest = "ä".repeat(NAME_LENGTH_MAX);
    let named = |name: &str| creation_with(|creation| creation.name = name.to_owned());
    given([])
        .when(create(named(&longest)))
        .then_expect_events(vec![created_with(|creation| creation.name = longest.clone())]);
    for (name, problem) in [
        ("", Problem::Blank),
        (" \t", Problem::Blank),
        ("a\0b", Problem::Nul),
        (&format!("{longest}x"), Problem::TooLong { max: NAME_LENGTH_MAX }),
    ] {
        given([]).when(create(named(name))).then_expect_error(ApiKeyError::UnfitName(problem));
    }
}

#[test]
fn a_key_without_a_role_is_not_created() {
    given([]).when(create(creation_with(|creation| creation.roles.clear()))).then_expect_error(ApiKeyError::NoRole);
}

#[test]
fn a_key_that_has_ended_already_is_not_created() {
    for end in [at(-1), at(0)] {
        given([])
            .when(create(creation_with(|creation| creation.expires_at = Some(end))))
            .then_expect_error(ApiKeyError::PastExpiry);
    }
}

#[test]
fn there_is_no_place_beyond_the_last() {
    let at_place = |place| creation_with(|creation| creation.place = place);
    given([]).when(create(at_place(KEYS_MAX))).then_expect_error(ApiKeyError::NoSuchPlace);
    given([])
        .when(create(at_place(KEYS_MAX - 1)))
        .then_expect_events(vec![ApiKeyEvent::Created(at_place(KEYS_MAX - 1))]);
}

#[test]
fn a_key_is_created_once() {
    given([created()]).when(create(creation())).then_expect_error(ApiKeyError::AlreadyExists);
    given([created(), deleted()]).when(create(creation())).then_expect_error(ApiKeyError::AlreadyExists);
}

#[test]
fn a_place_is_taken_by_a_key_and_free_when_it_is_gone() {
    let place = || ClaimKey::api_key_place(creation().organization_id, 7);
    assert_eq!(created().claims(), [Claim::Take(place())]);
    assert_eq!(deleted().claims(), [Claim::Release(place())]);
}

#[test]
fn places_differ_by_organization_and_number() {
    let place = |organization, place| ClaimKey::api_key_place(OrganizationId(Uuid::from_u128(organization)), place);
    assert_ne!(place(1, 1), place(2, 1));
    assert_ne!(place(1, 1), place(1, 11));
}
