//! Themes: brands that organizations point at. System admins write them, admins of organizations choose one.

use crate::app::{Identity, Person, ids};
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Conflict, Create, List, Resource, member, query, times};
use crate::matrix::world::{Request, World, amendment, document};
use crate::on_both_stores;
use crate::suite::Suite;
use registrar::processes::membership::FirstGrant;
use registrar_aggregates::user::SystemRole;
use serde_json::{Value, json};
use uuid::Uuid;

const KIND: &str = "organization-themes";
pub const THEMES: &str = "/v1/organization-themes/";

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-organization-themes", themes_are_listed_by_domain_support_address_and_time::TEST),
        ("create-organization-theme", a_theme_is_created_shown_and_changed::TEST),
        ("get-organization-theme", a_theme_is_created_shown_and_changed::TEST),
        ("update-organization-theme", a_theme_is_created_shown_and_changed::TEST),
    ],
    table: "
        list-organization-themes   403 participant provider leader operator auditor, 200 others
        create-organization-theme  201 administrator system, 403 others
        get-organization-theme     403 participant provider leader operator auditor, 200 others
        update-organization-theme  200 administrator system, 403 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[RESOURCE],
};

const READS_ALL: &str = "every admin may choose among all themes";

const RESOURCE: Resource = Resource {
    kind: KIND,
    caller: "system",
    create: Has(Create {
        operation: "create-organization-theme",
        listed: Has(|_, data| query(format!("filter[domain]={}", member(data, "domain")))),
    }),
    read: Has("get-organization-theme"),
    update: Has("update-organization-theme"),
    list: Has(List {
        operation: "list-organization-themes",
        rows: |world| {
            Box::pin(async move {
                times(world, "create-organization-theme", 3).await;
                String::new()
            })
        },
        paged: Has(()),
        scope: Lacks(READS_ALL),
    }),
    hidden: Lacks(READS_ALL),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/domain" }),
};

/// The creation of a theme with a domain that no other has.
pub fn creation(world: &World) -> Value {
    theme(json!({ "domain": format!("{}.example.com", world.name("brand")) }))
}

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    let creation = creation(world);
    Some(match operation {
        "create-organization-theme" => Request::to(THEMES).json(creation),
        "update-organization-theme" => {
            let id = world.made_id(THEMES, creation).await;
            Request::to(path(&id)).json(change(&id, json!({ "support-email-name": world.name("Care") })))
        }
        _ => return None,
    })
}

fn theme(attributes: Value) -> Value {
    document(KIND, attributes)
}

fn change(id: &str, attributes: Value) -> Value {
    amendment(KIND, id, attributes)
}

fn path(id: &str) -> String {
    format!("{THEMES}{id}/")
}

fn id_of(answer: &Value) -> &str {
    answer["data"]["id"].as_str().unwrap()
}

/// A user as the author of a theme.
fn author(person: &Person) -> Value {
    let (first_name, _) = person.email.split_once('@').unwrap();
    json!({ "first-name": first_name, "id": person.id, "last-name": "Example" })
}

impl Identity {
    /// Creates a theme with a domain and nothing else; answers its identifier.
    pub async fn theme(&self, domain: &str) -> String {
        id_of(&self.post(&self.system, THEMES, &theme(json!({ "domain": domain }))).await).to_owned()
    }
}

on_both_stores! {
    async fn a_theme_is_created_shown_and_changed(database) {
        let it = Identity::open(&database).await;
        let attributes = json!({
            "domain": "Care.Example.com", "support-email": "Help@Example.com", "support-email-name": " Example Care "
        });
        let created = it.post(&it.system, THEMES, &theme(attributes)).await;
        let (id, shown) = (id_of(&created), &created["data"]["attributes"]);
        assert_eq!(created["data"]["type"], KIND);
        assert_eq!((&shown["domain"], &shown["support-email"]), (&json!("Care.Example.com"), &json!("Help@Example.com")));
        assert_eq!(shown["support-email-name"], "Example Care");
        assert_eq!((&shown["created-by"], &shown["last-modified-by"]), (&author(&it.system), &author(&it.system)));
        assert_eq!(shown["created-time"].as_str().unwrap().len(), 19);
        assert_eq!(it.get(&it.system, &path(id)).await, created);

        let other = it.person_as("other@example.com", Some(FirstGrant::System(SystemRole::Admin))).await;
        let part = change(id, json!({ "domain": "example.org", "support-email-name": "" }));
        let changed = it.patch(&other, &path(id), &part).await;
        let shown = &changed["data"]["attributes"];
        assert_eq!((&shown["domain"], &shown["support-email"]), (&json!("example.org"), &json!("Help@Example.com")));
        assert!(shown["support-email-name"].is_null());
        assert_eq!((&shown["created-by"], &shown["last-modified-by"]), (&author(&it.system), &author(&other)));
        let head = it.head().await;
        assert_eq!(it.patch(&it.system, &path(id), &part).await, changed);
        assert_eq!(it.head().await, head, "what is so already is no event");

        let plain = it.get(&it.system, &path(&it.theme("plain.example.com").await)).await;
        let shown = &plain["data"]["attributes"];
        assert!(shown["support-email"].is_null() && shown["support-email-name"].is_null());
    }

    async fn the_authors_of_a_theme_are_shown_to_callers_who_see_them(database) {
        let it = Identity::open(&database).await;
        let administrator = Person { token: it.app.token.clone(), ..it.system.clone() };
        let created = it.post(&administrator, THEMES, &theme(json!({ "domain": "example.com" }))).await;
        let id = id_of(&created);
        let grace = json!({ "first-name": "Grace", "id": it.app.caller, "last-name": "Hopper" });
        assert_eq!(created["data"]["attributes"]["created-by"], grace);
        it.patch(&it.system, &path(id), &change(id, json!({ "support-email": "help@example.com" }))).await;
        for (caller, maker, modifier) in [
            (&it.system, grace, author(&it.system)),
            (&it.service, Value::Null, author(&it.system)),
            (&it.admin, Value::Null, Value::Null),
            (&it.other_admin, Value::Null, Value::Null),
        ] {
            let one = it.get(caller, &path(id)).await;
            let shown = &one["data"]["attributes"];
            assert_eq!((&shown["created-by"], &shown["last-modified-by"]), (&maker, &modifier), "{caller:?}");
            assert_eq!(it.get(caller, THEMES).await["data"], json!([one["data"]]));
        }
    }

    async fn a_domain_is_taken_once_in_any_spelling(database) {
        let it = Identity::open(&database).await;
        let (one, two) = (it.theme("Bücher.Example").await, it.theme("example.com").await);
        for spelling in ["Bücher.Example", "BÜCHER.example", "xn--bcher-kva.example"] {
            let taken = json!({ "domain": spelling });
            let error = it.post_refused(&it.system, THEMES, &theme(taken.clone()), 409, "conflict").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/domain");
            let error = it.patch_refused(&it.system, &path(&two), &change(&two, taken), 409, "conflict").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/domain");
        }
        // A theme may spell its own domain in another way.
        let own = change(&one, json!({ "domain": "xn--bcher-kva.example" }));
        let changed = it.patch(&it.system, &path(&one), &own).await;
        assert_eq!(changed["data"]["attributes"]["domain"], "xn--bcher-kva.example");
        it.post_refused(&it.system, THEMES, &theme(json!({ "domain": "bücher.example" })), 409, "conflict").await;
        // A released domain is free for other themes.
        it.patch(&it.system, &path(&one), &change(&one, json!({ "domain": "example.org" }))).await;
        it.theme("bücher.example").await;
    }

    async fn an_invalid_theme_is_refused(database) {
        let it = Identity::open(&database).await;
        let id = it.theme("example.com").await;
        let long = "a".repeat(256);
        for (attributes, member) in [
            (json!({ "domain": "" }), "domain"),
            (json!({ "domain": "localhost" }), "domain"),
            (json!({ "domain": "https://example.org/" }), "domain"),
            (json!({ "domain": "a b.example.org" }), "domain"),
            (json!({ "domain": "ex\u{ad}ample.org" }), "domain"),
            (json!({ "domain": format!("{}example.org", "a.".repeat(122)) }), "domain"),
            (json!({ "domain": null }), "domain"),
            (json!({ "domain": "example.org", "support-email": "example.org" }), "support-email"),
            (json!({ "domain": "example.org", "support-email": null }), "support-email"),
            (json!({ "domain": "example.org", "support-email-name": "Care\r\nBcc: x" }), "support-email-name"),
            (json!({ "domain": "example.org", "support-email-name": "Care\u{202e}" }), "support-email-name"),
            (json!({ "domain": "example.org", "support-email-name": long }), "support-email-name"),
            (json!({ "domain": "example.org", "created-by": it.admin.id }), "created-by"),
        ] {
            let (new, part) = (theme(attributes.clone()), change(&id, attributes));
            let pointer = format!("/data/attributes/{member}");
            let error = it.post_refused(&it.system, THEMES, &new, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer, "{new}");
            let error = it.patch_refused(&it.system, &path(&id), &part, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer, "{part}");
        }
        let without = theme(json!({ "support-email": "help@example.org" }));
        let error = it.post_refused(&it.system, THEMES, &without, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/data/attributes/domain");
    }

    async fn only_system_admins_write_themes_and_only_admins_read_them(database) {
        let it = Identity::open(&database).await;
        let id = it.theme("example.com").await;
        let (new, part) = (json!({ "domain": "example.org" }), json!({ "support-email-name": "Care" }));
        for caller in [&it.service, &it.admin, &it.other_admin, &it.provider, &it.participant] {
            it.post_refused(caller, THEMES, &theme(new.clone()), 403, "forbidden").await;
            it.patch_refused(caller, &path(&id), &change(&id, part.clone()), 403, "forbidden").await;
        }
        for caller in [&it.provider, &it.participant] {
            it.get_refused(caller, THEMES, 403, "forbidden").await;
            it.get_refused(caller, &path(&id), 403, "forbidden").await;
        }
        let unknown = Uuid::now_v7().to_string();
        for caller in [&it.system, &it.admin] {
            it.get_refused(caller, &path(&unknown), 404, "not-found").await;
            it.patch_refused(caller, &path(&unknown), &change(&unknown, part.clone()), 404, "not-found").await;
        }
        it.patch_refused(&it.system, &path(&id), &change(&unknown, part), 409, "conflict").await;
    }

    async fn an_organization_points_at_a_theme_that_exists(database) {
        let it = Identity::open(&database).await;
        let (organization, id) = (format!("/v1/organizations/{}/", it.acme), it.theme("example.com").await);
        let points_at = |theme: Value| amendment("organizations", &it.acme.to_string(), json!({ "theme-id": theme }));
        let pointing = it.patch(&it.admin, &organization, &points_at(json!(id))).await;
        assert_eq!(pointing["data"]["attributes"]["theme-id"], json!(id));
        assert_eq!(it.get(&it.participant, &organization).await, pointing);
        for caller in [&it.admin, &it.system] {
            let error =
                it.patch_refused(caller, &organization, &points_at(json!(Uuid::now_v7())), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/theme-id");
            // An identifier of something else names no theme either.
            let error =
                it.patch_refused(caller, &organization, &points_at(json!(it.other)), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/theme-id");
        }
        it.patch_refused(&it.provider, &organization, &points_at(Value::Null), 403, "forbidden").await;
        it.patch_refused(&it.other_admin, &organization, &points_at(Value::Null), 404, "not-found").await;
        let detached = it.patch(&it.admin, &organization, &points_at(Value::Null)).await;
        assert!(detached["data"]["attributes"]["theme-id"].is_null());
    }

    async fn themes_are_listed_by_domain_support_address_and_time(database) {
        let it = Identity::open(&database).await;
        let [one, two] = [it.theme("Care.Example.com").await, it.theme("bücher.example").await];
        let contact = json!({ "domain": "example.org", "support-email": "Help@Example.org" });
        let three = id_of(&it.post(&it.system, THEMES, &theme(contact)).await).to_owned();
        let all = [&one, &two, &three];
        for (filters, expected) in [
            ("", &all[..]),
            ("filter[include-inactive]=true", &all),
            ("filter[domain]=CARE.example.com", &[&one]),
            ("filter[domain]=xn--bcher-kva.example", &[&two]),
            ("filter[domain]=example.com", &[]),
            ("filter[domain]=no+domain", &[]),
            ("filter[support-email]=help@EXAMPLE.org", &[&three]),
            ("filter[support-email]=help@example.com", &[]),
            ("filter[domain]=example.org&filter[support-email]=help@example.org", &[&three]),
            ("filter[cmp-last-modified-time]=%3E2000-01-01", &all),
            ("filter[cmp-last-modified-time]=%3E2000-01-01&filter[cmp-last-modified-time]=%3C2000-01-02", &[]),
            ("page[limit]=1&page[offset]=1", &[&two]),
        ] {
            let list = it.get(&it.admin, &format!("{THEMES}?{filters}")).await;
            assert_eq!(ids(&list).iter().collect::<Vec<_>>(), expected, "{filters}");
        }
        let list = it.get(&it.admin, &format!("{THEMES}?page[limit]=2")).await;
        assert_eq!(list["meta"], json!({ "page[limit]": 2, "page[offset]": 0, "page[total]": 3 }));
        for wrong in [
            "filter[cmp-last-modified-time]=2000-01-01", "filter[cmp-last-modified-time]=%3E%3D2000-01-01",
            "filter[support-email]=example.org", "filter[include-inactive]=maybe", "page[limit]=0", "filter[name]=x",
        ] {
            let error = it.get_refused(&it.admin, &format!("{THEMES}?{wrong}"), 400, "validation-error").await;
            assert!(error["source"]["parameter"].is_string(), "{error}");
        }
    }
}
