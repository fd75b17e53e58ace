use super::*;

fn operation(id: &str) -> &'static Operation {
    CONTRACT.operation(id).expect("an operation")
}

/// Places of the findings, in order.
fn sources(wrong: Vec<RequestViolation>) -> Vec<String> {
    let text = |source| match source {
        Source::Pointer(text) | Source::Parameter(text) => text,
    };
    wrong.into_iter().map(|wrong| text(wrong.source)).collect()
}

fn wrong_in_query(id: &str, query: &str) -> Vec<String> {
    sources(operation(id).arguments(query).expect_err("something is wrong"))
}

fn wrong_in_body(id: &str, body: Value) -> Vec<String> {
    let mut found = sources(operation(id).body(Some(body.clone())).expect_err("something is wrong"));
    found.sort();
    found
}

#[test]
fn every_published_operation_is_there() {
    // The published operations, and eight more: without these sessions could not be listed and ended, tasks followed,
    // forgotten passwords replaced, changed contacts confirmed, nor onboarding requests claimed by people who have an
    // account.
    assert_eq!(CONTRACT.operations().count(), 158 + 8);
    for operation in CONTRACT.operations() {
        operation.make_ready();
    }
    let users = operation("list-users");
    assert_eq!(
        (&users.method, users.path.as_str(), users.tags.as_slice()),
        (&Method::GET, "/v1/users/", &["users".to_owned()][..])
    );
}

#[test]
fn parameters_are_read_by_their_types_and_have_their_defaults() {
    let query = "organization-id=0191b3a0-0000-7000-8000-000000000001&filter%5Bemail-verified%5D=true&page[limit]=7\
                 &filter[registration-invite]=sent&filter[registration-invite]=none&text=a+b%20c";
    let arguments = operation("list-users").arguments(query).expect("nothing wrong");
    assert_eq!(arguments.text("organization-id"), Some("0191b3a0-0000-7000-8000-000000000001"));
    let values = arguments.to_value();
    assert_eq!(values["filter[email-verified]"], json!(true));
    assert_eq!((arguments.number("page[limit]"), arguments.number("page[offset]")), (Some(7), Some(0)));
    assert_eq!(values["filter[registration-invite]"], json!(["sent", "none"]));
    assert_eq!(arguments.text("text"), Some("a b c"));
    assert_eq!(values["filter[include-inactive]"], json!(false));
    assert!(values.get("filter[enabled]").is_none());
}

#[test]
fn everything_wrong_with_a_query_is_named_at_once() {
    let query =
        "organization-id=x&page[limit]=0&page[offset]=-1&filter[enabled]=yes&text=a&text=b&unheard=of&sort-by=age";
    let mut wrong = wrong_in_query("list-users", query);
    wrong.sort();
    assert_eq!(
        wrong,
        ["filter[enabled]", "organization-id", "page[limit]", "page[offset]", "sort-by", "text", "unheard"]
    );
    for query in ["page[limit]=1001", "page[limit]=", "page[limit]=1e3", "page[limit]=%", "text=%00", "text=%ff"] {
        assert_eq!(wrong_in_query("list-users", query).len(), 1, "{query}");
    }
    assert_eq!(wrong_in_query("list-authz-individuals", ""), ["operation", "user-id"]);
    let many: Vec<String> = (0..200).map(|n| format!("x{n}=1")).collect();
    assert_eq!(wrong_in_query("list-users", &many.join("&")).len(), FINDINGS_MAX);
}

#[test]
fn everything_wrong_with_a_body_is_named_by_its_pointer() {
    let group = |attributes: Value| json!({ "data": { "type": "individual-groups", "attributes": attributes } });
    let fit = json!({ "name": "Ward", "organization-id": "0191b3a0-0000-7000-8000-000000000001", "type": "regular" });
    assert!(operation("create-individual-group").body(Some(group(fit))).is_ok());
    let unfit = json!({ "name": "", "organization-id": 5, "unheard": "of", "tags": ["a".repeat(128)] });
    assert_eq!(
        wrong_in_body("create-individual-group", group(unfit)),
        [
            "/data/attributes/name",
            "/data/attributes/organization-id",
            "/data/attributes/tags/0",
            "/data/attributes/type",
            "/data/attributes/unheard",
        ]
    );
    assert_eq!(wrong_in_body("create-individual-group", json!([])), [""]);
    assert_eq!(sources(operation("login").body(None).expect_err("needed")), [""]);
    assert!(operation("disable-user").body(None).is_ok());
}

#[test]
fn another_type_contradicts_and_does_not_only_break_the_description() {
    let body = json!({ "data": { "type": "users", "attributes": { "name": "n", "type": "regular",
        "organization-id": "0191b3a0-0000-7000-8000-000000000001" } } });
    let wrong = operation("create-individual-group").body(Some(body.clone())).expect_err("another type");
    assert_eq!(wrong.iter().map(|wrong| wrong.contradicts).collect::<Vec<_>>(), [true]);
}

#[test]
fn of_alternatives_the_closest_one_speaks() {
    let id = "0191b3a0-0000-7000-8000-000000000001";
    for body in [json!({ "user-ids": [id] }), json!({ "user-emails": ["a@example.com"], "remove-from-group": id })] {
        assert!(operation("add-group-leaders").body(Some(body.clone())).is_ok());
    }
    assert_eq!(wrong_in_body("add-group-leaders", json!({ "user-ids": [] })), ["/user-ids"]);
    assert!(!wrong_in_body("add-group-leaders", json!({})).is_empty());
    assert!(
        !wrong_in_body("add-group-leaders", json!({ "user-ids": [id], "user-emails": ["a@example.com"] })).is_empty()
    );
}

#[test]
fn violations_repeat_no_values_of_the_request() {
    let body = json!({ "username": 5, "password": ["marked"], "totp-code": { "marked": 1 } });
    for wrong in operation("login").body(Some(body.clone())).expect_err("wrong types") {
        assert!(!wrong.detail.contains("marked"), "{wrong:?}");
    }
    for wrong in operation("list-users").arguments("organization-id=marked&sort-by=marked").expect_err("wrong values") {
        assert!(!wrong.detail.contains("marked"), "{wrong:?}");
    }
}
