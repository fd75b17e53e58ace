//! Check-ins of devices, and activities of users.

use crate::app::{Identity, Person, ids, token};
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Create, LISTED_ONLY, List, NOT_CHANGED, Resource};
use crate::matrix::request;
use crate::matrix::world::{Request, World, document};
use crate::on_both_stores;
use crate::suite::Suite;
use registrar::executor::RequestContext;
use registrar::processes::membership::FirstGrant;
use registrar::processes::user_by_id;
use registrar_aggregates::user::{Amendment, Classification, Role, SystemRole, User, UserCommand};
use registrar_aggregates::values::UserId;
use serde_json::{Value, json};
use uuid::Uuid;

const CHECKINS: &str = "/v1/user-checkins/";
const ACTIVITIES: &str = "/v1/user-activities/";

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-user-checkins", check_ins_of_devices_are_stored::TEST),
        ("create-user-checkin", check_ins_of_devices_are_stored::TEST),
        ("list-user-activities", activities_of_users_are_listed::TEST),
    ],
    table: "
        list-user-checkins    200 provider leader managers, 404 others
        create-user-checkin   403 ecg-admins, 201 others
        list-user-activities  200 administrator service system, 403 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[USER_CHECKINS, USER_ACTIVITIES],
};

const USER_CHECKINS: Resource = Resource {
    kind: "user-checkins",
    caller: "participant",
    create: Has(Create { operation: "create-user-checkin", listed: Has(|world, _| Box::pin(own_checkins(world))) }),
    read: Lacks(LISTED_ONLY),
    update: Lacks(NOT_CHANGED),
    list: Has(List {
        operation: "list-user-checkins",
        rows: |world| {
            Box::pin(async move {
                let participant = world.caller("participant");
                for _ in 0..3 {
                    let create = request(world, "create-user-checkin", participant).await;
                    world.send("POST", &create, participant.authorization.as_deref(), &[]).await;
                }
                own_checkins(world).await
            })
        },
        paged: Has(()),
        scope: Has("individual-id"),
    }),
    hidden: Lacks(LISTED_ONLY),
    conflict: Lacks("every check-in is a new one"),
};

const USER_ACTIVITIES: Resource = Resource {
    kind: "user-activities",
    caller: "system",
    create: Lacks("is written by signing in"),
    read: Lacks(LISTED_ONLY),
    update: Lacks(NOT_CHANGED),
    list: Has(List {
        operation: "list-user-activities",
        rows: |world| {
            Box::pin(async move {
                let login = request(world, "login", world.caller("anonymous")).await;
                let mut user = Value::Null;
                for _ in 0..3 {
                    user = world.send("POST", &login, None, &[]).await.json()["user-id"].take();
                }
                format!("filter[user-id]={}", user.as_str().unwrap())
            })
        },
        paged: Has(()),
        scope: Lacks("only programs and the system list them"),
    }),
    hidden: Lacks(LISTED_ONLY),
    conflict: Lacks(NOT_CHANGED),
};

/// The query for the check-ins of the participant.
async fn own_checkins(world: &World) -> String {
    let path = format!("/v1/users/{}/", world.caller("participant").id);
    let user = world.made("GET", &path, Value::Null).await;
    format!("individual-id={}", user["data"]["attributes"]["primary-individual-id"].as_str().unwrap())
}

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    Some(match operation {
        "list-user-checkins" => {
            let person = world.shared_person(Some(Role::Member)).await;
            Request::to(format!("/v1/user-checkins/?individual-id={}", person.individual.unwrap()))
        }
        "create-user-checkin" => {
            let attributes =
                json!({ "source": "web", "app-version": "1", "model": world.name("model"), "os-version": "2" });
            Request::to("/v1/user-checkins/").json(document("user-checkins", attributes))
        }
        "list-user-activities" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/user-activities/?filter[user-id]={}", person.id))
        }
        _ => return None,
    })
}

fn checkin(source: &str, version: &str) -> Value {
    let attributes = json!({ "app-version": version, "model": "m", "os-version": "17", "source": source });
    json!({ "data": { "type": "user-checkins", "attributes": attributes } })
}

impl Identity {
    async fn checkins(&self, caller: &Person, query: &str) -> Vec<String> {
        let list = self.get(caller, &format!("{CHECKINS}?{query}")).await;
        let rows = list["data"].as_array().unwrap().iter();
        rows.map(|row| row["attributes"]["app-version"].as_str().unwrap().to_owned()).collect()
    }

    /// Kind and user of each activity.
    async fn activities(&self, caller: &Person, query: &str) -> Vec<(String, String)> {
        let list = self.get(caller, &format!("{ACTIVITIES}?{query}")).await;
        let rows = list["data"].as_array().unwrap().iter().map(|row| &row["attributes"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows.map(|row| (text(&row["event-type"]), text(&row["user-id"]))).collect()
    }
}

on_both_stores! {
    async fn check_ins_of_devices_are_stored(database) {
        let it = Identity::open(&database).await;
        let first = it.post(&it.participant, CHECKINS, &checkin("ios", "1")).await;
        assert_eq!(first["data"]["type"], "user-checkins");
        let shown = &first["data"]["attributes"];
        assert_eq!((&shown["model"], &shown["os-version"]), (&json!("m"), &json!("17")));
        assert_eq!((&shown["source"], &shown["app-version"]), (&json!("ios"), &json!("1")));
        assert_eq!(shown["user-id"], json!(it.participant.id));
        assert_eq!(shown["created-time"].as_str().unwrap().len(), 19);
        for (source, version) in [("web", "2"), ("ios", "3"), ("android", "4"), ("web", "5")] {
            it.post(&it.participant, CHECKINS, &checkin(source, version)).await;
        }
        it.post(&it.provider, CHECKINS, &checkin("web", "of somebody else")).await;
        let of = format!("individual-id={}", it.participant.individual.unwrap());
        for caller in [&it.participant, &it.provider, &it.admin] {
            assert_eq!(it.checkins(caller, &of).await, ["1", "2", "3", "4", "5"]);
        }
        assert_eq!(it.checkins(&it.provider, &format!("{of}&filter[source]=web")).await, ["2", "5"]);
        assert_eq!(it.checkins(&it.provider, &format!("{of}&summary=true")).await, ["3", "4", "5"]);
        assert_eq!(it.checkins(&it.provider, &format!("{of}&summary=true&filter[source]=ios")).await, ["3"]);
        let page = it.get(&it.provider, &format!("{CHECKINS}?{of}&summary=true&page[limit]=1&page[offset]=1")).await;
        assert_eq!(page["data"][0]["attributes"]["app-version"], "4");
        assert_eq!(page["meta"], json!({ "page[limit]": 1, "page[offset]": 1, "page[total]": 3 }));
        let page = it.get(&it.provider, &format!("{CHECKINS}?{of}&page[limit]=2")).await;
        assert_eq!((ids(&page).len(), &page["meta"]["page[total]"]), (2, &json!(5)));
        // An individual that an organization owns has no user.
        let owned = it.individual(it.acme).await;
        assert!(it.checkins(&it.provider, &format!("individual-id={owned}")).await.is_empty());
        assert!(it.checkins(&it.provider, &format!("individual-id={owned}&summary=true")).await.is_empty());
    }

    async fn invalid_check_ins_are_refused(database) {
        let it = Identity::open(&database).await;
        it.post_refused(&it.participant, CHECKINS, &checkin("fridge", "1"), 400, "validation-error").await;
        let less = json!({ "data": { "type": "user-checkins", "attributes": { "source": "ios", "model": "m" } } });
        it.post_refused(&it.participant, CHECKINS, &less, 400, "validation-error").await;
        it.post_refused(&it.participant, CHECKINS, &checkin("ios", "\u{0}"), 400, "validation-error").await;
        // An admin of the other dialects is no user and has no device.
        let admin = Person { token: it.app.token.clone(), ..it.system.clone() };
        it.post_refused(&admin, CHECKINS, &checkin("ios", "1"), 403, "forbidden").await;

        it.get_refused(&it.participant, CHECKINS, 400, "validation-error").await;
        let of = |id: Uuid| format!("{CHECKINS}?individual-id={id}");
        let foreign = it.get_refused(&it.other_admin, &of(it.participant.individual.unwrap()), 404, "not-found").await;
        let unknown = it.get_refused(&it.other_admin, &of(Uuid::now_v7()), 404, "not-found").await;
        assert_eq!(foreign, unknown);
        let own = of(it.participant.individual.unwrap());
        for wrong in ["page[limit]=1001", "page[offset]=-1", "filter[source]=fridge", "summary=perhaps"] {
            it.get_refused(&it.participant, &format!("{own}&{wrong}"), 400, "validation-error").await;
        }
    }

    async fn activities_of_users_are_listed(database) {
        let it = Identity::open(&database).await;
        let all = it.activities(&it.service, "").await;
        assert!(all.iter().all(|(kind, _)| kind == "login"), "{all:?}");
        let of = |person: &Person| format!("filter[user-id]={}", person.id);
        token(&it.app, it.provider.id).await;
        let own = it.activities(&it.system, &of(&it.provider)).await;
        let signed_in = ("login".to_owned(), it.provider.id.to_string());
        assert_eq!(own, [signed_in.clone(), signed_in]);
        assert_eq!(it.activities(&it.service, "").await.len(), all.len() + 1);
        assert!(it.activities(&it.service, "filter[event-types]=refr&filter[event-types]=sreg").await.is_empty());
        let either = "filter[event-types]=refr&filter[event-types]=login";
        assert_eq!(it.activities(&it.service, either).await.len(), all.len() + 1);

        let list = it.get(&it.service, &format!("{ACTIVITIES}?{}", of(&it.provider))).await;
        let shown = &list["data"][1];
        assert_eq!(shown["type"], "user-activities");
        assert_eq!(shown["attributes"]["carium-employee"], false);
        assert_eq!(list["meta"]["page[limit]"], 500);
        let second = format!("{ACTIVITIES}?{}&page[limit]=1&page[offset]=1", of(&it.provider));
        let page = it.get(&it.service, &second).await;
        assert_eq!(page["data"], json!([shown]));

        // A time window, with each comparison operator.
        let user = user_by_id(it.node(), UserId(it.provider.id)).await.unwrap().unwrap();
        let at = user.last_login_at.unwrap().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let compare = async |signs: &[&str]| {
            let window: Vec<_> = signs.iter().map(|sign| format!("filter[cmp-timestamp]={sign}{at}")).collect();
            it.activities(&it.service, &format!("{}&{}", of(&it.provider), window.join("&"))).await.len()
        };
        assert_eq!(compare(&["%3C="]).await, 2);
        assert_eq!(compare(&["%3C"]).await + compare(&["%3E="]).await, 2);
        assert_eq!(compare(&["%3E"]).await, 0);
        assert!(compare(&["%3E=", "%3C="]).await >= 1);
        assert_eq!(compare(&["%3E=", "%3C"]).await, 0);
    }

    async fn staff_are_left_out_unless_asked_for(database) {
        let it = Identity::open(&database).await;
        let staff = it.person_as("staff@example.com", Some(FirstGrant::System(SystemRole::Support))).await;
        let change = Amendment { classification: Some(Classification::Carium), ..Amendment::default() };
        let command = UserCommand::Amend(Box::new(change));
        let context = RequestContext::system();
        it.node().executor.execute::<User>(&context, &staff.id.to_string(), command, None).await.unwrap();
        token(&it.app, staff.id).await;
        let of = format!("filter[user-id]={}", staff.id);
        assert_eq!(it.activities(&it.service, &of).await.len(), 1, "staff since the first one");
        let list = it.get(&it.service, &format!("{ACTIVITIES}?{of}&filter[exclude-carium-activity]=false")).await;
        let marks = list["data"].as_array().unwrap().iter().map(|row| &row["attributes"]["carium-employee"]);
        assert_eq!(marks.collect::<Vec<_>>(), [&json!(false), &json!(true)]);
    }

    async fn activities_are_hidden_from_callers_without_the_right(database) {
        let it = Identity::open(&database).await;
        for caller in [&it.admin, &it.provider, &it.participant] {
            it.get_refused(caller, ACTIVITIES, 403, "forbidden").await;
        }
        for wrong in [
            "filter[cmp-timestamp]=2024-01-01%2000:00:00", "filter[cmp-timestamp]=!2024-01-01%2000:00:00",
            "filter[cmp-timestamp]=%3Eyesterday", "filter[event-types]=other", "page[limit]=1001", "filter[user-id]=x",
        ] {
            it.get_refused(&it.service, &format!("{ACTIVITIES}?{wrong}"), 400, "validation-error").await;
        }
        let three = ["filter[cmp-timestamp]=%3E2024-01-01%2000:00:00"; 3].join("&");
        it.get_refused(&it.service, &format!("{ACTIVITIES}?{three}"), 400, "validation-error").await;
    }
}
