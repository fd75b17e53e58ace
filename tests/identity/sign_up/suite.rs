//! The public operations of people who sign up with A.

use super::{CODES, CONFIRM, RESEND, SIGN_UP, form};
use crate::matrix::world::{Request, World};
use crate::organization_codes::code;
use crate::suite::Suite;
use serde_json::{Value, json};

pub const SUITE: Suite = Suite {
    tests: &[
        ("sign-up", super::by_code::a_person_signs_up_by_the_code_of_an_organization::TEST),
        ("confirm-sign-up", super::confirming::a_code_confirms_an_account_once::TEST),
        ("resend-invitation", super::resending::another_code_is_sent_and_the_former_one_is_void::TEST),
    ],
    table: "
        sign-up            201 anonymous keys others
        confirm-sign-up    201 anonymous keys others
        resend-invitation  201 anonymous keys others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[],
};

/// The form of a person who has not signed up yet, with the address.
async fn somebody(world: &World) -> (String, Value) {
    let id = world.made_id(CODES, code(world.identity.acme, &world.name("Code"), json!({}))).await;
    let address = format!("{}@example.com", world.name("new"));
    let form = form(&address, json!({ "organization-code": id }));
    (address, form)
}

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    if !["sign-up", "confirm-sign-up", "resend-invitation"].contains(&operation) {
        return None;
    }
    let (address, form) = somebody(world).await;
    if operation == "sign-up" {
        return Some(Request::to(SIGN_UP).json(form));
    }
    world.made("POST", SIGN_UP, form).await;
    if operation == "resend-invitation" {
        return Some(Request::to(RESEND).json(json!({ "username": address })));
    }
    let code = world.identity.inbox_code(&address).await;
    Some(Request::to(CONFIRM).json(json!({ "username": address, "confirmation-code": code })))
}
