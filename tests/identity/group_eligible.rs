//! People eligible for a group.

use crate::app::{Identity, Person};
use crate::ecg_app::NOBODY;
use crate::groups::{V1, new_group_with, system_group};
use crate::on_both_stores;
use registrar::executor::RequestContext;
use registrar::processes::membership;
use registrar_aggregates::granting::Granter;
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{OrganizationId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

impl Identity {
    async fn eligible(&self, caller: &Person, group: &str, query: &str) -> Vec<String> {
        let list = self.get(caller, &format!("{V1}{group}/eligible-members/?{query}")).await;
        let rows = list["data"].as_array().unwrap();
        assert_eq!(list["meta"]["page[total]"], rows.len(), "{list}");
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn of(people: &[&Person]) -> Vec<String> {
    people.iter().map(|person| person.id.to_string()).collect()
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

on_both_stores! {
    async fn users_without_the_post_are_eligible(database) {
        let identity = Identity::open(&database).await;
        let (admin, provider, participant) = (&identity.admin, &identity.provider, &identity.participant);
        let (own, owned) = (participant.individual.unwrap(), identity.individual(identity.acme).await);
        let colleague = &identity.person("colleague", identity.acme, Some(Role::Provider)).await;
        let gone = identity.person("gone", identity.acme, Some(Role::Provider)).await;
        identity.shut_out(&gone).await;
        let ward = identity.new_node("Ward 7", &json!({"leader-ids": [provider.id], "individual-ids": [owned]})).await;
        identity.staffed(&ward, "add-members", &json!({"user-ids": [admin.id]})).await;
        // Users join groups to work there, so participants are not eligible as users.
        assert_eq!(identity.eligible(admin, &ward, "").await, of(&[admin, colleague]));
        assert_eq!(identity.eligible(admin, &ward, "member-type=leader").await, of(&[admin, colleague]));
        assert_eq!(identity.eligible(admin, &ward, "member-type=member").await, of(&[provider, colleague]));
        assert_eq!(identity.eligible(admin, &ward, "member-type=individual").await, texts(&[own]));

        let list = identity.get(admin, &format!("{V1}{ward}/eligible-members/?page[limit]=1&page[offset]=1")).await;
        assert_eq!(list, json!({
            "data": [{
                "id": colleague.id, "individual-id": null, "first-name": "colleague", "last-name": "Example",
                "email": "colleague@example.com", "email-verified": true, "phone-verified": false, "verified": true,
                "communication-preferences": {}, "member-type": "leader",
            }],
            "meta": {"page[limit]": 1, "page[offset]": 1, "page[total]": 2},
        }));
        let list = identity.get(admin, &format!("{V1}{ward}/eligible-members/?member-type=individual")).await;
        let row = &list["data"][0];
        assert_eq!([&row["id"], &row["individual-id"]], [&json!(own); 2]);
        let texts = [&row["member-type"], &row["email"], &row["first-name"]];
        assert_eq!(texts, ["individual", "participant@example.com", "participant"]);
    }

    async fn eligible_people_are_filtered_by_their_attributes(database) {
        let identity = Identity::open(&database).await;
        let (admin, provider) = (&identity.admin, &identity.provider);
        let (own, owned) = (identity.participant.individual.unwrap(), identity.individual(identity.acme).await);
        let ward = identity.ward("Ward 7").await;
        for (query, expected) in [
            ("filter[text]=PROV", of(&[provider])),
            ("filter[text]=example", of(&[admin, provider])),
            ("filter[text]=nobody", vec![]),
            ("filter[verified]=true", of(&[admin, provider])),
            ("filter[verified]=false", vec![]),
            ("filter[registration-invite]=none", of(&[admin, provider])),
            ("filter[registration-invite]=sent", vec![]),
            ("member-type=individual", texts(&[own, owned])),
            ("member-type=individual&filter[text]=", texts(&[own, owned])),
            ("member-type=individual&filter[text]=participant", texts(&[own])),
            ("member-type=individual&filter[text]=provider", vec![]),
            ("member-type=individual&filter[verified]=true", texts(&[own])),
            ("member-type=individual&filter[verified]=false", texts(&[owned])),
            ("member-type=individual&filter[registration-invite]=accepted", vec![]),
        ] {
            assert_eq!(identity.eligible(admin, &ward, query).await, expected, "{query}");
        }
        for wrong in
            ["member-type=patient", "filter[registration-invite]=x", "filter[verified]=1", "for-children=x", "x=y"]
        {
            let path = format!("{V1}{ward}/eligible-members/?{wrong}");
            identity.get_refused(admin, &path, 400, "validation-error").await;
        }
    }

    async fn a_group_that_takes_none_has_none_eligible(database) {
        let identity = Identity::open(&database).await;
        let admin = &identity.admin;
        let north = identity.new_division("North").await;
        let staff = identity.new_node("Staff", &json!({"type": "provider_only"})).await;
        for (group, member_type, count) in [
            (&north, "leader", 2), (&north, "member", 0), (&north, "individual", 0),
            (&staff, "leader", 2), (&staff, "member", 2), (&staff, "individual", 0),
            (&system_group(SystemGroup::Unassigned, identity.acme), "individual", 0),
            (&system_group(SystemGroup::AllParticipants, identity.acme), "leader", 0),
        ] {
            let eligible = identity.eligible(admin, group, &format!("member-type={member_type}")).await;
            assert_eq!(eligible.len(), count, "{member_type}");
        }
    }

    async fn for_children_asks_for_any_node_below(database) {
        let identity = Identity::open(&database).await;
        let (admin, provider) = (&identity.admin, &identity.provider);
        let (own, owned) = (identity.participant.individual.unwrap(), identity.individual(identity.acme).await);
        let north = identity.new_node("North", &json!({"node-type": "division", "leader-ids": [admin.id]})).await;
        let people = json!({"leader-ids": [admin.id, provider.id], "individual-ids": [own, owned]});
        let ward = identity.new_node("Ward 7", &people).await;
        let other = identity.new_node("Ward 8", &json!({"leader-ids": [admin.id], "individual-ids": [own]})).await;
        for group in [&ward, &other] {
            identity.hang_group(group, Some(&north)).await;
        }
        let all = async |member_type: &str| {
            identity.eligible(admin, &north, &format!("for-children=true&member-type={member_type}")).await
        };
        assert_eq!(all("individual").await, texts(&[owned]));
        assert_eq!(all("leader").await, of(&[provider]));
        assert_eq!(all("member").await.len(), 2);
        let single = "for-children=true&member-type=individual";
        assert_eq!(identity.eligible(admin, &ward, single).await, texts(&[]));
        let empty = identity.ward("Ward 9").await;
        identity.hang_group(&empty, Some(&north)).await;
        assert_eq!(all("individual").await, texts(&[own, owned]));
        assert_eq!(identity.eligible(admin, &north, "member-type=individual").await, texts(&[]));
    }

    async fn only_visible_people_are_eligible(database) {
        let identity = Identity::open(&database).await;
        let closed = identity.organization("Closed", Authorization::Restricted).await;
        let admin = identity.person("closed-admin", closed, Some(Role::Admin)).await;
        let leader = identity.person("leader", closed, Some(Role::Provider)).await;
        let lay = identity.person("lay", closed, Some(Role::Member)).await;
        let (context, granter, organization) = (RequestContext::system(), Granter::system(), OrganizationId(closed));
        let user = UserId(lay.id);
        membership::grant(identity.node(), &context, &granter, user, organization, Role::Provider).await.unwrap();
        let [seen, unseen] = [identity.individual(closed).await, identity.individual(closed).await];
        let create = async |name: &str, more: Value| {
            let body = new_group_with(closed, name, &more);
            identity.post(&admin, V1, &body).await["data"]["id"].as_str().unwrap().to_owned()
        };
        create("Ward 7", json!({"leader-ids": [leader.id], "individual-ids": [seen]})).await;
        let ward = create("Ward 8", json!({"leader-ids": [leader.id, lay.id]})).await;
        let individuals = "member-type=individual";
        assert_eq!(identity.eligible(&leader, &ward, individuals).await, texts(&[seen]));
        let everybody = texts(&[lay.individual.unwrap(), seen, unseen]);
        assert_eq!(identity.eligible(&admin, &ward, individuals).await, everybody);
        assert_eq!(identity.eligible(&leader, &ward, "member-type=member").await, of(&[&admin, &leader, &lay]));
        // Participants are not eligible.
        let other = identity.person("other", closed, Some(Role::Member)).await;
        for caller in [&lay, &leader] {
            assert_eq!(identity.eligible(caller, &ward, "member-type=member").await, of(&[&admin, &leader, &lay]));
        }

        let path = format!("{V1}{ward}/eligible-members/");
        let unknown = path.replace(&ward, NOBODY);
        for (caller, path) in [(&identity.admin, &path), (&other, &path), (&admin, &unknown)] {
            identity.get_refused(caller, path, 404, "not-found").await;
        }
        let open = identity.ward("Open").await;
        identity.get_refused(&identity.provider, &format!("{V1}{open}/eligible-members/"), 403, "forbidden").await;
    }
}
