//! Lists: what a user has access to, and those who have access to a resource.

use super::{ACCESSORS, Clinic, RESOURCES, found, question, set};
use crate::app::{Identity, Person, ids};
use crate::on_both_stores;
use serde_json::json;
use uuid::Uuid;

on_both_stores! {
    async fn the_accessible_resources_are_listed(database) {
        let it = Identity::open(&database).await;
        let clinic = Clinic::open(&it).await;
        let all = |user: &Person| question(user.id, &["individual::read".into()]);
        let patient = clinic.patient.individual.unwrap();
        let visitor = clinic.visitor.individual.unwrap();
        assert_eq!(it.listed(&it.service, &all(&clinic.nurse)).await, set(&[patient]));
        assert_eq!(it.listed(&clinic.head, &all(&clinic.head)).await, set(&[patient]));
        assert_eq!(it.listed(&it.service, &all(&it.other_admin)).await, set(&[patient, visitor]));
        assert!(it.listed(&it.service, &question(Uuid::now_v7(), &["individual::read".into()])).await.is_empty());
        let everything = it.listed(&it.service, &all(&it.system)).await;
        assert_eq!(everything, set(&[patient, visitor, it.participant.individual.unwrap()]));

        let mut within = all(&it.system);
        within["organization-id"] = json!(it.acme);
        assert_eq!(it.listed(&it.service, &within).await, set(&[it.participant.individual.unwrap()]));
        for group in [clinic.ward, clinic.division] {
            let inside = question(it.other_admin.id, &["individual::write".into(), format!("group:{group}:contain")]);
            assert_eq!(it.listed(&it.other_admin, &inside).await, set(&[patient]));
        }
        let groups = question(clinic.head.id, &["group::write".into()]);
        assert_eq!(it.listed(&clinic.head, &groups).await, set(&[clinic.ward, clinic.division]));
        let inside = question(clinic.head.id, &["group::write".into(), format!("group:{}:contain", clinic.ward)]);
        assert_eq!(it.listed(&clinic.head, &inside).await, set(&[clinic.ward]));
        let organizations = question(it.admin.id, &["organization::write".into()]);
        assert_eq!(it.listed(&it.admin, &organizations).await, set(&[it.acme]));
        // The other queries of the request must hold as well.
        let both = question(it.other_admin.id, &["individual::read".into(), format!("organization:{}:write", it.acme)]);
        assert!(it.listed(&it.service, &both).await.is_empty());

        let mut page = all(&it.other_admin);
        page["page[limit]"] = json!(1);
        let first = it.post(&it.service, RESOURCES, &page).await;
        page["page[offset]"] = json!(1);
        let second = it.post(&it.service, RESOURCES, &page).await;
        assert_eq!(second["meta"], json!({ "page[limit]": 1, "page[offset]": 1, "page[total]": 2 }));
        assert_eq!(&found(&first) | &found(&second), set(&[patient, visitor]));
    }

    async fn the_users_with_access_are_listed(database) {
        let it = Identity::open(&database).await;
        let clinic = Clinic::open(&it).await;
        let (patient, participant) = (clinic.patient.individual.unwrap(), it.participant.individual.unwrap());
        let of = |id: Uuid| format!("resource-type=individual&operation=read&resource-id={id}");
        let around = set(&[clinic.patient.id, clinic.nurse.id, clinic.head.id, it.other_admin.id, it.system.id]);
        assert_eq!(it.accessors(&of(patient)).await, around);
        let two = format!("{}&resource-id={participant}&resource-id={}", of(patient), Uuid::now_v7());
        let open = set(&[it.participant.id, it.provider.id, it.admin.id, it.system.id]);
        assert_eq!(it.accessors(&two).await, &around | &open);
        assert_eq!(it.accessors(&format!("{two}&organization-id={}", it.acme)).await, &open - &set(&[it.system.id]));
        assert!(it.accessors(&of(Uuid::now_v7())).await.is_empty());
        let acme = it.acme;
        let organization = |operation| format!("resource-type=organization&operation={operation}&resource-id={acme}");
        assert_eq!(it.accessors(&organization("read")).await, open);
        assert_eq!(it.accessors(&organization("write")).await, set(&[it.admin.id, it.system.id]));
        let page = it.get(&it.service, &format!("{ACCESSORS}?{}&page[limit]=1&page[offset]=1", of(patient))).await;
        assert_eq!(page["meta"], json!({ "page[limit]": 1, "page[offset]": 1, "page[total]": 5 }));
        assert_eq!(ids(&page).len(), 1);

        let many: Vec<_> = (0..51).map(|_| format!("resource-id={}", Uuid::now_v7())).collect();
        for query in [
            format!("resource-type=individual&operation=read&{}", many.join("&")),
            "resource-type=individual&operation=read".into(),
            format!("resource-type=group&operation=read&resource-id={patient}"),
            format!("resource-type=individual&operation=contain&resource-id={patient}"),
            format!("{}&page[limit]=100001", of(patient)),
        ] {
            it.get_refused(&it.service, &format!("{ACCESSORS}?{query}"), 400, "validation-error").await;
        }
    }
}
