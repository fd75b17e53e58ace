//! User sessions in the site API: admins of an organization change it but cannot end it; other members see it in the
//! identity API alone.

use crate::app::{Identity, Person};
use crate::on_both_stores;
use registrar::auth::Permission;
use serde_json::{Value, json};

const ORGANIZATIONS: &str = "/ec-site-svc/rest/v1.0/organizations";
const LIST: &str = "/ec-site-svc/rest/v2.0/organizations";

/// A replacement that changes the status alone.
fn with_status(status: &str) -> Value {
    json!({"organization": {"name": "Acme", "statusCodeValue": status}, "modes": [], "orgAddressesDetails": []})
}

/// Sends a request that must be refused as forbidden and must store nothing.
async fn forbidden(it: &Identity, caller: &Person, method: &str, path: &str, body: &Value) {
    let before = it.head().await;
    let answer = it.call(caller, method, path).json(body).send().await;
    assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
    assert_eq!(it.head().await, before, "{method} {path}");
}

on_both_stores! {
    async fn an_admin_of_an_organization_neither_deletes_nor_retires_it(database) {
        let it = Identity::open(&database).await;
        let own = format!("{ORGANIZATIONS}/{}", it.acme);
        let retire = format!("{ORGANIZATIONS}/deleteOrganization/{}", it.acme);
        assert_eq!(it.call(&it.admin, "GET", &own).send().await.status, 200);
        forbidden(&it, &it.admin, "DELETE", &own, &json!({})).await;
        forbidden(&it, &it.admin, "PUT", &retire, &json!({})).await;
        forbidden(&it, &it.admin, "PUT", &own, &with_status("Retired")).await;
        let restricted = it.call(&it.admin, "PUT", &own).json(&with_status("Restricted")).send().await;
        assert_eq!(restricted.status, 204, "{restricted:?}");
        // The system admin retires it, and no member of the organization can undo that.
        assert_eq!(it.call(&it.system, "PUT", &retire).json(&json!({})).send().await.status, 204);
        let revived = it.call(&it.system, "GET", &own).send().await;
        assert_eq!(revived.status, 200);
        let ended = it.call(&it.system, "DELETE", &own).send().await;
        assert_eq!(ended.status, 204, "{ended:?}");
    }

    async fn an_admin_token_without_the_permission_ends_no_organization(database) {
        let it = Identity::open(&database).await;
        let own = format!("{ORGANIZATIONS}/{}", it.acme);
        let writer = it.app.token_of(&it.app.caller, Some(vec![Permission::OrganizationsWrite])).await;
        let before = it.head().await;
        let retired = it.app.call("PUT", &own).token(Some(&writer)).json(&with_status("Retired")).send().await;
        assert_eq!(retired.status, 403, "{retired:?}");
        assert_eq!(it.app.call("DELETE", &own).token(Some(&writer)).send().await.status, 403);
        assert_eq!(it.head().await, before);
        let retire = format!("{ORGANIZATIONS}/deleteOrganization/{}", it.acme);
        assert_eq!(it.app.call("PUT", &retire).json(&json!({})).send().await.status, 204);
        let head = it.head().await;
        let revived = it.app.call("PUT", &own).token(Some(&writer)).json(&with_status("Active")).send().await;
        assert_eq!((revived.status.as_u16(), it.head().await), (403, head), "{revived:?}");
        assert_eq!(it.app.call("PUT", &own).json(&with_status("Active")).send().await.status, 204);
    }

    async fn providers_and_participants_have_no_part_in_the_site_api(database) {
        let it = Identity::open(&database).await;
        let own = format!("{ORGANIZATIONS}/{}", it.acme);
        for person in [&it.provider, &it.participant] {
            for path in [own.as_str(), LIST] {
                forbidden(&it, person, "GET", path, &json!({})).await;
            }
            forbidden(&it, person, "PUT", &own, &with_status("Active")).await;
            forbidden(&it, person, "DELETE", &own, &json!({})).await;
            // They still see it in the identity API.
            it.get(person, &format!("/v1/organizations/{}/", it.acme)).await;
        }
    }
}
