//! Comments of users on the product: written by every user, read by their authors and by system admins.

use crate::app::{Identity, ids};
use crate::conformance::resource::Resource;
use crate::matrix::world::{Request, document};
use crate::on_both_stores;
use crate::suite::Suite;
use serde_json::{Value, json};
use std::future::ready;
use uuid::Uuid;

const COMMENTS: &str = "/v1/feedback-comments/";

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-feedback-comments", users_list_their_own_comments_and_system_admins_all_of_them::TEST),
        ("create-feedback-comment", a_comment_is_stamped_with_its_author::TEST),
        ("get-feedback-comment", a_comment_is_stamped_with_its_author::TEST),
    ],
    table: "
        list-feedback-comments   403 operator auditor narrowed, 200 others
        create-feedback-comment  403 ecg-admins, 201 others
        get-feedback-comment     200 participant system administrator, 404 others
    ",
    request: |world, operation, _| {
        let create = || Request::to(COMMENTS).json(comment(json!({ "comment": world.name("comment") })));
        Box::pin(ready((operation == "create-feedback-comment").then(create)))
    },
    resources: &[Resource::record(
        "feedback-comments",
        ["create-feedback-comment", "get-feedback-comment", "list-feedback-comments"],
    )],
};

fn comment(attributes: Value) -> Value {
    document("feedback-comments", attributes)
}

on_both_stores! {
    async fn a_comment_is_stamped_with_its_author(database) {
        let it = Identity::open(&database).await;
        let (author, individual) = (&it.participant, it.participant.individual);
        let mut shown = json!({ "comment": "Slow.\n🙁", "current-page": "/groups", "individual-id": individual });
        let created = it.post(author, COMMENTS, &comment(shown.clone())).await;
        let attributes = &created["data"]["attributes"];
        assert_eq!(attributes["created-time"].as_str().unwrap().len(), 19);
        shown["created-time"] = attributes["created-time"].clone();
        shown["created-by"] = json!(author.id);
        shown["email"] = json!(author.email);
        assert_eq!(*attributes, shown);
        let path = format!("{COMMENTS}{}/", created["data"]["id"].as_str().unwrap());
        assert_eq!(it.get(&it.system, &path).await, created);
    }

    async fn users_list_their_own_comments_and_system_admins_all_of_them(database) {
        let it = Identity::open(&database).await;
        let mut all = Vec::new();
        for number in 0..101 {
            let author = if number == 50 { &it.admin } else { &it.participant };
            let created = it.post(author, COMMENTS, &comment(json!({ "comment": "Slow." }))).await;
            all.insert(0, created["data"]["id"].as_str().unwrap().to_owned());
        }
        let list = it.get(&it.system, COMMENTS).await;
        assert_eq!(ids(&list), all[..100], "the newest hundred");
        assert_eq!(list["meta"], json!({ "page[limit]": 100, "page[offset]": 0, "page[total]": 101 }));
        let other = all.remove(50);
        assert_eq!(ids(&it.get(&it.participant, COMMENTS).await), all);
        assert_eq!(ids(&it.get(&it.admin, COMMENTS).await), [other]);
        assert_eq!(it.get(&it.provider, COMMENTS).await["meta"]["page[total]"], 0);
    }

    async fn a_comment_on_a_foreign_or_unknown_individual_is_forbidden(database) {
        let it = Identity::open(&database).await;
        let about = |individual: Uuid| comment(json!({ "comment": "Slow.", "individual-id": individual }));
        let owned = about(it.individual(it.acme).await);
        for author in [&it.participant, &it.other_admin, &it.service] {
            let foreign = it.post_refused(author, COMMENTS, &owned, 403, "forbidden").await;
            let unknown = it.post_refused(author, COMMENTS, &about(Uuid::now_v7()), 403, "forbidden").await;
            assert_eq!(unknown, foreign);
        }
        it.post(&it.provider, COMMENTS, &owned).await;
    }

    async fn a_comment_that_is_blank_misread_or_forged_is_refused(database) {
        let it = Identity::open(&database).await;
        for (attributes, member) in [
            (json!({ "comment": " \n\u{200b}" }), "comment"),
            (json!({ "comment": "Slow.", "current-page": "/\u{202e}" }), "current-page"),
            (json!({ "comment": "Slow.", "created-by": it.admin.id }), "created-by"),
        ] {
            let body = comment(attributes);
            let error = it.post_refused(&it.participant, COMMENTS, &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], format!("/data/attributes/{member}"));
        }
    }
}
