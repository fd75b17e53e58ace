//! The people who signed up by a code.

use super::*;
use registrar_aggregates::user::UserState;
use registrar_aggregates::values::UserId;

on_both_stores! {
    async fn people_who_signed_up_by_a_code_are_listed(database) {
        let it = Identity::open(&database).await;
        it.sign_up_code("Spring", json!({})).await;
        let ada = it.signed_up("ada", "spring", |_| {}).await;
        let bob = it.signed_up("bob", "spring", |creation| {
            creation.state = UserState::Registered;
            creation.contacts.email_verified = false;
        }).await;
        it.signed_up("carl", "autumn", |_| {}).await;
        let users = format!("{}users/", path("SPRING"));
        let listed = async |query: &str| ids(&it.get(&it.admin, &format!("{users}?{query}")).await);
        assert_eq!(listed("").await, [ada.clone(), bob.clone()]);
        for (query, found) in [
            ("email=ADA@example.com", vec![&ada]),
            ("email=carl@example.com", vec![]),
            ("email=nonsense", vec![]),
            ("email-verified=true", vec![&ada]),
            ("email-verified=false", vec![&bob]),
            ("state=confirmed", vec![&ada]),
            ("state=registered", vec![&bob]),
            ("state=archived", vec![]),
            ("text=BOB", vec![&bob]),
            ("text=example", vec![&ada, &bob]),
            ("text=ada&state=registered", vec![]),
            ("page[limit]=1&page[offset]=1", vec![&bob]),
        ] {
            assert_eq!(listed(query).await.iter().collect::<Vec<_>>(), found, "{query}");
        }
        for (query, parameter) in
            [("state=unheard", "state"), ("email-verified=perhaps", "email-verified"), ("sort-by=email", "sort-by")]
        {
            let error = it.get_refused(&it.admin, &format!("{users}?{query}"), 400, "validation-error").await;
            assert_eq!(error["source"]["parameter"], parameter);
        }

        let list = it.get(&it.system, &users).await;
        assert_eq!(list["meta"], json!({ "page[limit]": 100, "page[offset]": 0, "page[total]": 2 }));
        assert_eq!(list["data"][0]["type"], "organization-code-users");
        let mut shown = it.get(&it.system, &format!("/v1/users/{ada}/")).await["data"]["attributes"].take();
        for beside in
            ["additional-individuals", "organization-admin", "organization-count", "organizations", "shared-with"]
        {
            shown.as_object_mut().unwrap().remove(beside).unwrap();
        }
        assert_eq!(list["data"][0]["attributes"], shown);
    }

    async fn people_who_have_left_are_hidden_from_the_admins_of_a_code(database) {
        let it = Identity::open(&database).await;
        it.sign_up_code("Spring", json!({})).await;
        let ada = it.signed_up("ada", "spring", |_| {}).await;
        let user = UserId(ada.parse().unwrap());
        let context = RequestContext::system();
        membership::leave(it.node(), &context, user, OrganizationId(it.acme)).await.unwrap();
        let users = format!("{}users/", path("Spring"));
        it.find_nothing(&it.admin, &users).await;
        assert_eq!(ids(&it.get(&it.system, &users).await), [ada]);
        let shown = it.get(&it.admin, &path("Spring")).await;
        assert_eq!(shown["data"]["attributes"]["sign-up-requests-count"], 1);
    }

    async fn a_user_is_shown_with_the_code_on_request(database) {
        let it = Identity::open(&database).await;
        it.sign_up_code("Spring", json!({})).await;
        let ada = it.signed_up("ada", "spring", |_| {}).await;
        let shown = async |user: &str, query: &str| {
            let mut user = it.get(&it.admin, &format!("/v1/users/{user}/{query}")).await;
            user["data"]["attributes"]["org-code-signup-requests"].take()
        };
        let request = json!([{ "id": ada, "organization-code-id": "Spring" }]);
        assert_eq!(shown(&ada, "?with-signups=true").await, request);
        assert_eq!(shown(&ada, "").await, Value::Null);
        assert_eq!(shown(&it.participant.id.to_string(), "?with-signups=true").await, json!([]));
    }
}
