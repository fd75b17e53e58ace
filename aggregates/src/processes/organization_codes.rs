//! Sign-up codes of an organization: a retired one gets no further codes, those of a deleted one are unknown. The group
//! of a code is one of its organization that takes individuals.

use super::organizations::{check_takes_additions, exists};
use super::{Step, Streams, check_version, refused};
use crate::group::{Group, SystemGroup};
use crate::organization_code::{
    Amendment, CodeSpelling, OrganizationCode, OrganizationCodeCommand, OrganizationCodeError, OrganizationCodeId,
    Terms,
};
use crate::values::{GroupId, OrganizationId};
use serde_json::Value;

/// The check that data can be checked by a form within bounds of time and memory; the error is the broken rule. It is a
/// pure function, and given from outside, since JSON Schema is not part of the domain.
pub type FormCheck = fn(&Value) -> Result<(), String>;

/// Creates a code.
///
/// # Errors
/// `AlreadyExists`, `UnfitForm`, `UnknownGroup`, `UnfitGroup`; `NotFound` and `Retired` of the organization.
pub fn create(streams: &mut Streams, spelling: &CodeSpelling, terms: &Terms, check: FormCheck) -> Step<()> {
    let command = OrganizationCodeCommand::Create { spelling: spelling.clone(), terms: terms.clone() };
    streams.execute::<OrganizationCode>(spelling.id(), command)?;
    check_takes_additions(streams, terms.organization_id)?;
    check_group(streams, terms.organization_id, terms.individual_group_id)?;
    check_form(terms.enrollment_schema.as_ref(), check)
}

/// Changes a code, also of a retired organization. Codes of a deleted one are unknown.
///
/// # Errors
/// `NotFound`, `UnfitForm`, `UnknownGroup`, `UnfitGroup`; `OtherVersion` if the code is not at the `expected` version.
pub fn amend(
    streams: &mut Streams,
    id: &OrganizationCodeId,
    amendment: &Amendment,
    expected: Option<u64>,
    check: FormCheck,
) -> Step<()> {
    let organization = streams.state::<OrganizationCode>(id)?.terms().map(|terms| terms.organization_id);
    let Some(organization) = organization else { return refused(OrganizationCodeError::NotFound) };
    if !exists(streams, organization)? {
        return refused(OrganizationCodeError::NotFound);
    }
    check_version::<OrganizationCode>(streams, id, expected)?;
    let changed = streams.execute::<OrganizationCode>(id, OrganizationCodeCommand::Amend(amendment.clone()))?;
    check_group(streams, organization, amendment.individual_group_id.flatten())?;
    if changed { check_form(amendment.enrollment_schema.as_ref().and_then(Option::as_ref), check) } else { Ok(()) }
}

/// Refuses a group of another organization exactly like an unknown one.
fn check_group(streams: &mut Streams, organization: OrganizationId, group: Option<GroupId>) -> Step<()> {
    let Some(group) = group else { return Ok(()) };
    if SystemGroup::of(group, organization).is_some() {
        return refused(OrganizationCodeError::UnfitGroup);
    }
    match streams.state::<Group>(group)?.node().filter(|node| node.organization_id == organization) {
        None => refused(OrganizationCodeError::UnknownGroup),
        Some(node) if node.check_takes_individuals().is_err() => refused(OrganizationCodeError::UnfitGroup),
        Some(_) => Ok(()),
    }
}

/// The form is checked last: the check takes longer than all others together.
fn check_form(schema: Option<&Value>, check: FormCheck) -> Step<()> {
    match schema.map(check) {
        Some(Err(rule)) => refused(OrganizationCodeError::UnfitForm(rule)),
        Some(Ok(())) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{GroupEvent, GroupKind, Node, NodeType};
    use crate::organization::OrganizationError;
    use crate::organization_code::OrganizationCodeEvent;
    use crate::processes::testing::*;
    use serde_json::json;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    const WARD: GroupId = GroupId(Uuid::from_u128(6));

    fn spelling() -> CodeSpelling {
        CodeSpelling::parse("Spring").expect("a code")
    }

    fn terms() -> Terms {
        Terms { organization_id: ACME, individual_group_id: None, expires_at: None, enrollment_schema: None }
    }

    fn stored(terms: Terms) -> History {
        let created = OrganizationCodeEvent::Created { id: spelling().id(), spelling: spelling(), terms };
        events::<OrganizationCode>(spelling().id(), [created])
    }

    fn amended(terms: Terms) -> History {
        events::<OrganizationCode>(spelling().id(), [OrganizationCodeEvent::Amended { terms }])
    }

    fn group_of(organization_id: OrganizationId, kind: GroupKind, node_type: NodeType) -> History {
        let node = Node {
            id: WARD,
            organization_id,
            name: "Ward".into(),
            kind,
            node_type,
            tags: BTreeSet::new(),
            parent: None,
        };
        events::<Group>(WARD, [GroupEvent::Created(Box::new(node))])
    }

    fn ward() -> History {
        group_of(ACME, GroupKind::Regular, NodeType::Group)
    }

    /// Forms without a title.
    fn check(schema: &Value) -> Result<(), String> {
        if schema.get("title").is_some() { Err("has a title".to_owned()) } else { Ok(()) }
    }

    fn never(_: &Value) -> Result<(), String> {
        panic!("the form was checked")
    }

    fn create_on(streams: impl IntoIterator<Item = History>, terms: &Terms) -> ProcessOutcome {
        given(streams).when(|streams| create(streams, &spelling(), terms, check))
    }

    fn amend_on(streams: impl IntoIterator<Item = History>, amendment: &Amendment) -> ProcessOutcome {
        given(streams).when(|streams| amend(streams, &spelling().id(), amendment, None, check))
    }

    fn into_group(group: GroupId) -> Amendment {
        Amendment { individual_group_id: Some(Some(group)), ..Amendment::default() }
    }

    #[test]
    fn an_organization_gets_codes_until_it_is_retired_or_deleted() {
        create_on([organization(ACME)], &terms()).then([stored(terms())]);
        create_on([retired(ACME)], &terms()).then_refused(OrganizationError::Retired);
        create_on([deleted(ACME)], &terms()).then_refused(OrganizationError::NotFound);
        create_on([], &terms()).then_refused(OrganizationError::NotFound);
    }

    #[test]
    fn a_code_of_another_organization_is_taken() {
        let of_other = stored(Terms { organization_id: OTHER, ..terms() });
        create_on([organization(ACME), of_other], &terms()).then_refused(OrganizationCodeError::AlreadyExists);
    }

    #[test]
    fn a_code_is_amended_until_its_organization_is_deleted() {
        let change = Amendment { expires_at: Some(Some(at(0))), ..Amendment::default() };
        let closed = || amended(Terms { expires_at: Some(at(0)), ..terms() });
        amend_on([organization(ACME), stored(terms())], &change).then([closed()]);
        amend_on([retired(ACME), stored(terms())], &change).then([closed()]);
        amend_on([deleted(ACME), stored(terms())], &change).then_refused(OrganizationCodeError::NotFound);
        amend_on([organization(ACME)], &change).then_refused(OrganizationCodeError::NotFound);
    }

    #[test]
    fn a_code_at_another_version_is_not_changed() {
        given([organization(ACME), stored(terms())])
            .when(|streams| amend(streams, &spelling().id(), &Amendment::default(), Some(2), check))
            .then_other_version();
    }

    #[test]
    fn the_group_of_a_code_takes_individuals_of_its_organization() {
        let placed = || Terms { individual_group_id: Some(WARD), ..terms() };
        create_on([organization(ACME), ward()], &placed()).then([stored(placed())]);
        amend_on([organization(ACME), ward(), stored(terms())], &into_group(WARD)).then([amended(placed())]);
        for (kind, node_type) in [
            (GroupKind::Regular, NodeType::Division),
            (GroupKind::ProviderOnly, NodeType::Group),
            (GroupKind::ProviderOnly, NodeType::Division),
        ] {
            let unfit = || group_of(ACME, kind, node_type);
            create_on([organization(ACME), unfit()], &placed()).then_refused(OrganizationCodeError::UnfitGroup);
            amend_on([organization(ACME), unfit(), stored(terms())], &into_group(WARD))
                .then_refused(OrganizationCodeError::UnfitGroup);
        }
        for system in SystemGroup::ALL {
            let terms = Terms { individual_group_id: Some(system.id(ACME)), ..terms() };
            create_on([organization(ACME)], &terms).then_refused(OrganizationCodeError::UnfitGroup);
        }
    }

    #[test]
    fn a_group_of_another_organization_is_refused_like_an_unknown_one() {
        let foreign = || group_of(OTHER, GroupKind::Regular, NodeType::Group);
        let placed = |group| Terms { individual_group_id: Some(group), ..terms() };
        create_on([organization(ACME), foreign()], &placed(WARD)).then_refused(OrganizationCodeError::UnknownGroup);
        create_on([organization(ACME)], &placed(WARD)).then_refused(OrganizationCodeError::UnknownGroup);
        let system = SystemGroup::Unassigned.id(OTHER);
        create_on([organization(ACME)], &placed(system)).then_refused(OrganizationCodeError::UnknownGroup);
        amend_on([organization(ACME), foreign(), stored(terms())], &into_group(WARD))
            .then_refused(OrganizationCodeError::UnknownGroup);
    }

    #[test]
    fn a_form_that_data_cannot_be_checked_by_is_refused() {
        let titled = || json!({ "title": "Form" });
        let refusal = || OrganizationCodeError::UnfitForm("has a title".to_owned());
        let with = |schema| Terms { enrollment_schema: Some(schema), ..terms() };
        create_on([organization(ACME)], &with(titled())).then_refused(refusal());
        create_on([organization(ACME)], &with(json!({}))).then([stored(with(json!({})))]);
        let change = Amendment { enrollment_schema: Some(Some(titled())), ..Amendment::default() };
        amend_on([organization(ACME), stored(terms())], &change).then_refused(refusal());
        // The present form was checked when it was stored.
        given([organization(ACME), stored(with(titled()))])
            .when(|streams| amend(streams, &spelling().id(), &change, None, never))
            .then_nothing();
        let closed = Amendment { expires_at: Some(Some(at(0))), ..Amendment::default() };
        let both = Terms { expires_at: Some(at(0)), ..with(titled()) };
        given([organization(ACME), stored(with(titled()))])
            .when(|streams| amend(streams, &spelling().id(), &closed, None, never))
            .then([amended(both)]);
    }
}
