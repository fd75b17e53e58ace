//! Lists of groups: filters, and visibility.

use crate::app::{Identity, Person, ids};
use crate::ecg_app::NOBODY;
use crate::groups::{V1, V2, change, new_group, path, system_group};
use crate::on_both_stores;
use registrar::executor::RequestContext;
use registrar::processes::groups::GroupRef;
use registrar::processes::moves;
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{GroupId, OrganizationId, TaskId};
use registrar_projections::groups::GroupDocument;
use registrar_projections::stamped::time_key;
use serde_json::json;
use uuid::Uuid;

impl Identity {
    /// Moves a group of Acme under a division, or to the top.
    pub async fn hang_group(&self, group: &str, under: Option<&str>) {
        let id = |text: &str| GroupId(text.parse().unwrap());
        let group = GroupRef { organization: OrganizationId(self.acme), id: id(group) };
        let (task, context) = (TaskId(Uuid::now_v7()), RequestContext::system());
        moves::queue(self.node(), &context, task, group, under.map(id)).await.unwrap();
        moves::carry_out(self.node(), task).await.unwrap();
    }

    async fn groups_listed(&self, caller: &Person, query: &str) -> Vec<String> {
        let list = self.get(caller, &format!("{V2}?{query}")).await;
        let v1 = self.get(caller, &format!("{V1}?{query}")).await;
        assert_eq!(ids(&list), ids(&v1), "{query}");
        assert_eq!(list["meta"], v1["meta"]);
        ids(&list)
    }
}

/// A comparison, percent-encoded for a query.
fn encoded(comparison: &str) -> String {
    comparison.replace(' ', "+").replace('<', "%3C").replace('>', "%3E")
}

on_both_stores! {
    async fn lists_are_filtered_by_attributes_of_groups(database) {
        let identity = Identity::open(&database).await;
        let (admin, acme) = (&identity.admin, identity.acme);
        let north = identity.new_division("North").await;
        let ward = identity.new_node("Ward 7", &json!({"tags": ["night", "paid"]})).await;
        let staff = identity.new_node("Staff", &json!({"type": "provider_only", "tags": ["night"]})).await;
        identity.hang_group(&ward, Some(&north)).await;
        let all = [&north, &ward, &staff];
        let system = SystemGroup::ALL.map(|group| system_group(group, acme));
        for (query, expected) in [
            ("", &all[..]),
            ("type=regular", &[&north, &ward]),
            ("type=provider_only", &[&staff]),
            ("type=all_participants", &[&system[0]]),
            ("type=unassigned&type=provider_only", &[&system[1], &staff]),
            ("filter[node-type]=division", &[&north]),
            ("filter[node-type]=group", &[&ward, &staff]),
            ("filter[tree-node-type]=leaf", &[&ward, &staff]),
            ("filter[tree-node-type]=non-leaf", &[&north]),
            ("filter[tags]=night", &[&ward, &staff]),
            ("filter[tags]=night&filter[tags]=paid", &[&ward]),
            ("filter[tags]=Night", &[]),
            ("filter[text]=ARD", &[&ward]),
            ("filter[text]=t", &[&north, &staff]),
            ("filter[text]=%25", &[]),
            ("name=ward+7", &[&ward]),
            ("name=ward", &[]),
            ("filter[include-inactive]=true", &all),
            ("page[limit]=2", &[&north, &ward]),
            ("page[limit]=2&page[offset]=2", &[&staff]),
            ("page[offset]=9", &[]),
        ] {
            assert_eq!(identity.groups_listed(admin, query).await.iter().collect::<Vec<_>>(), expected, "{query}");
        }
        for (query, expected) in [
            (format!("filter[parent-group-id]={north}"), &[&ward][..]),
            (format!("filter[parent-group-id]={ward}"), &[]),
            (format!("filter[parent-group-id]={NOBODY}"), &[]),
            (format!("ids={ward}&ids={}&ids={NOBODY}", staff.to_uppercase()), &[&ward, &staff]),
            (format!("ids={ward}&ids={staff}&filter[exclude-ids]={ward}"), &[&staff]),
            (format!("filter[exclude-ids]={ward}"), &[&north, &staff]),
            (format!("organization-id={acme}"), &all),
            (format!("organization-id={}", identity.other), &[]),
            (format!("organization-id={NOBODY}"), &[]),
        ] {
            assert_eq!(identity.groups_listed(admin, &query).await.iter().collect::<Vec<_>>(), expected, "{query}");
        }
        let page = identity.get(admin, &format!("{V2}?page[limit]=1&page[offset]=1")).await;
        assert_eq!(page["meta"], json!({"page[limit]": 1, "page[offset]": 1, "page[total]": 3}));
        let under = identity.get(admin, &format!("{V2}{ward}/")).await;
        assert_eq!(under["data"]["attributes"]["parent-group"], json!({"id": north, "name": "North"}));
        for query in [
            "type=leaf", "filter[node-type]=x", "filter[tree-node-type]=root", "ids=x", "page[limit]=0",
            "page[limit]=1001", "page[offset]=-1", "filter[cmp-last-modified-time]=2024-01-01", "filter[cmp-last-modified-time]=%3Ex",
            "filter[tags]=%00", "filter[leader-id]=x", "with-people=true", "filter[include-inactive]=maybe",
        ] {
            for path in [V1, V2] {
                identity.get_refused(admin, &format!("{path}?{query}"), 400, "validation-error").await;
            }
        }
        identity.get_refused(admin, &format!("{V2}?with-individuals=true"), 400, "validation-error").await;
    }

    async fn lists_are_filtered_by_the_time_of_the_last_change(database) {
        let identity = Identity::open(&database).await;
        let (old, new) = (identity.ward("Old").await, identity.ward("New").await);
        identity.patch(&identity.admin, &path(&old), &change(&old, &json!({"tags": ["x"]}))).await;
        let times = async |query: &str| {
            let query = format!("filter[cmp-last-modified-time]={}", encoded(query));
            identity.groups_listed(&identity.admin, &query).await
        };
        let both = [old.clone(), new.clone()];
        assert_eq!(times(">2020-01-01 00:00:00").await, both);
        assert_eq!(times("<2020-01-01 00:00:00").await, [""; 0]);
        assert_eq!(times(">=2020-01-01 00:00:00&filter[cmp-last-modified-time]=<2120-01-01T00:00:00Z").await, both);
        // Milliseconds count, though the response omits them.
        let exact = async |id: &str| {
            let found = identity.node().documents.find::<GroupDocument>(id).await.unwrap().value.unwrap();
            time_key(found.updated_at)
        };
        let (changed, created) = (exact(&old).await, exact(&new).await);
        assert!(created < changed);
        assert_eq!(times(&format!("<={created}")).await, std::slice::from_ref(&new));
        assert_eq!(times(&format!(">{created}")).await, std::slice::from_ref(&old));
        assert_eq!(times(&format!(">={changed}")).await, std::slice::from_ref(&old));
        assert_eq!(times(&format!("<{changed}")).await, std::slice::from_ref(&new));
        let thrice = format!("{V2}?{}", "filter[cmp-last-modified-time]=%3C2120-01-01T00:00:00Z&".repeat(3));
        identity.get_refused(&identity.admin, &thrice, 400, "validation-error").await;
    }

    async fn lists_are_filtered_by_the_people_of_groups(database) {
        let identity = Identity::open(&database).await;
        let (admin, own) = (&identity.admin, identity.participant.individual.unwrap());
        let led = json!({"node-type": "division", "leader-ids": [identity.provider.id]});
        let north = identity.new_node("North", &led).await;
        let ward = identity.new_node("Ward 7", &json!({"individual-ids": [own]})).await;
        let empty = identity.new_node("Ward 8", &json!({"leader-ids": [identity.provider.id, admin.id]})).await;
        let staff = identity.new_node("Staff", &json!({"type": "provider_only"})).await;
        identity.hang_group(&ward, Some(&north)).await;
        let unassigned = format!("type=all_participants&type=unassigned&filter[individual-id]={own}");
        for (query, expected) in [
            // Groups led through a division do not count as the leader's own.
            (format!("filter[leader-id]={}", identity.provider.id), &[&north, &empty][..]),
            (format!("filter[leader-id]={}", admin.id), &[&empty]),
            (format!("filter[leader-id]={}", identity.other_admin.id), &[]),
            (format!("filter[leader-id]={NOBODY}"), &[]),
            (format!("filter[individual-id]={own}"), &[&ward]),
            (format!("filter[individual-id]={NOBODY}"), &[]),
            (format!("exclude[individual-id]={own}"), &[&north, &empty, &staff]),
            (format!("exclude[individual-id]={NOBODY}"), &[&north, &ward, &empty, &staff]),
            (format!("filter[eligible-individual-id]={own}"), &[&empty]),
            (format!("filter[eligible-individual-id]={NOBODY}"), &[]),
            (unassigned, &[&system_group(SystemGroup::AllParticipants, identity.acme)]),
        ] {
            assert_eq!(identity.groups_listed(admin, &query).await.iter().collect::<Vec<_>>(), expected, "{query}");
        }
        let foreign = identity.individual(identity.other).await;
        assert_eq!(identity.groups_listed(admin, &format!("filter[eligible-individual-id]={foreign}")).await, [""; 0]);
    }

    async fn users_see_the_groups_that_they_may_read(database) {
        let identity = Identity::open(&database).await;
        let closed = identity.organization("Closed", Authorization::Restricted).await;
        let admin = identity.person("closed-admin", closed, Some(Role::Admin)).await;
        let leader = identity.person("leader", closed, Some(Role::Provider)).await;
        let mut made = Vec::new();
        for name in ["North", "Ward 7", "Ward 8"] {
            let mut body = new_group(closed, name);
            if name == "North" {
                body["data"]["attributes"]["node-type"] = json!("division");
            }
            made.push(identity.post(&admin, V1, &body).await["data"]["id"].as_str().unwrap().to_owned());
        }
        let [north, ward, other] = <[String; 3]>::try_from(made).unwrap();
        assert_eq!(identity.groups_listed(&leader, "").await, [""; 0]);
        assert_eq!(identity.groups_listed(&admin, "").await, [north.clone(), ward.clone(), other.clone()]);
        let (task, group) = (TaskId(Uuid::now_v7()), GroupId(ward.parse().unwrap()));
        let group = GroupRef { organization: OrganizationId(closed), id: group };
        let under = Some(GroupId(north.parse().unwrap()));
        moves::queue(identity.node(), &RequestContext::system(), task, group, under).await.unwrap();
        moves::carry_out(identity.node(), task).await.unwrap();

        let works = json!({"user-ids": [leader.id]});
        identity.post(&admin, &format!("{V1}{ward}/add-members/"), &works).await;
        assert_eq!(identity.groups_listed(&leader, "").await, std::slice::from_ref(&ward));
        // The leader does not see the division, so the filter yields nothing, as for an unknown one.
        assert_eq!(identity.groups_listed(&leader, &format!("filter[parent-group-id]={north}")).await, [""; 0]);
        identity.post(&admin, &format!("{V1}{ward}/remove-members/"), &works).await;
        identity.post(&admin, &format!("{V1}{north}/add-leaders/"), &works).await;
        assert_eq!(identity.groups_listed(&leader, "").await, [north.clone(), ward.clone()]);
        assert_eq!(identity.groups_listed(&leader, &format!("filter[parent-group-id]={north}")).await, [ward]);
        assert_eq!(identity.groups_listed(&identity.participant, "").await, [""; 0]);
        assert_eq!(identity.groups_listed(&identity.admin, "").await, [""; 0]);
        assert_eq!(identity.groups_listed(&identity.system, &format!("organization-id={closed}")).await.len(), 3);
    }

    async fn individuals_of_a_subtree_are_counted_once(database) {
        let identity = Identity::open(&database).await;
        let [first, second] = [identity.individual(identity.acme).await, identity.individual(identity.acme).await];
        let (north, east) = (identity.new_division("North").await, identity.new_division("East").await);
        let ward = identity.new_node("Ward 7", &json!({"individual-ids": [first, second]})).await;
        let other = identity.new_node("Ward 8", &json!({"individual-ids": [first]})).await;
        identity.hang_group(&east, Some(&north)).await;
        identity.hang_group(&ward, Some(&east)).await;
        let count = async |id: &str| {
            let shown = identity.get(&identity.admin, &format!("{V2}{id}/")).await;
            let shown = &shown["data"]["attributes"];
            (shown["individuals-count"].as_u64().unwrap(), shown["child-count"].as_u64().unwrap())
        };
        assert_eq!([count(&north).await, count(&east).await, count(&ward).await], [(2, 1), (2, 1), (2, 0)]);
        identity.hang_group(&other, Some(&north)).await;
        assert_eq!([count(&north).await, count(&other).await], [(2, 2), (1, 0)]);
        identity.hang_group(&ward, None).await;
        assert_eq!([count(&north).await, count(&east).await], [(1, 2), (0, 0)]);
        let all = system_group(SystemGroup::AllParticipants, identity.acme);
        assert_eq!(count(&all).await, (3, 0));
        let rows = identity.get(&identity.admin, V1).await;
        let counts = rows["data"].as_array().unwrap().iter().map(|row| row["attributes"]["individuals-count"].clone());
        assert_eq!(counts.collect::<Vec<_>>(), [json!(1), json!(0), json!(2), json!(1)]);
    }

    async fn the_older_list_carries_the_people_as_well(database) {
        let identity = Identity::open(&database).await;
        let own = identity.participant.individual.unwrap();
        let people = json!({"individual-ids": [own], "leader-ids": [identity.admin.id]});
        let ward = identity.new_node("Ward 7", &people).await;
        let empty = identity.ward("Ward 8").await;
        identity.staffed(&ward, "add-members", &json!({"user-ids": [identity.provider.id]})).await;
        let list = identity.get(&identity.provider, &format!("{V1}?with-individuals=true")).await;
        assert_eq!(ids(&list), [ward.clone(), empty.clone()]);
        for (row, id) in [(0, &ward), (1, &empty)] {
            assert_eq!(list["data"][row]["attributes"], identity.shown(&identity.provider, id).await);
        }
        let shown = &list["data"][0]["attributes"];
        assert_eq!(shown["individual-ids"], json!([own]));
        assert_eq!(shown["members"][0]["id"], json!(identity.provider.id));
        assert_eq!(shown["members"][0].get("enabled"), None);
        let list = identity.get(&identity.provider, V1).await;
        let shown = list["data"][0]["attributes"].as_object().unwrap();
        let has = ["members", "individuals", "individual-ids"].map(|name| shown.contains_key(name));
        assert_eq!(has, [true, false, false]);
    }
}
