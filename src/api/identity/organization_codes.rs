//! Sign-up codes of organizations, kept by their admins. The purpose of a code is public: people look at it before they
//! sign up.

use super::call::{Attributes, Call, HandlerResult, Parameters, Parsed, QueryExt, nullable, whole};
use super::documents::{Reply, Resource};
use super::refusals::into_api_error;
use super::times;
use super::users::Viewer;
use super::users::filters::email_key;
use crate::access::resource::{Guarded, OrganizationAct};
use crate::api::common::ApiError;
use crate::api::common::error::Source;
use crate::journal::JournalResult;
use crate::processes::codes::CodeGuard;
use crate::processes::{DirectoryError, organization_codes};
use chrono::{DateTime, Utc};
use registrar_aggregates::organization_code::{Amendment, CodeSpelling, OrganizationCodeId, Terms};
use registrar_aggregates::user::UserState;
use registrar_aggregates::values::{GroupId, OrganizationId};
use registrar_projections::groups::GroupDocument;
use registrar_projections::organization_codes::{BY_CREATION, OrganizationCodeDocument, SignUpCountDocument};
use registrar_projections::{Direction, OrganizationDocument, Query, UserDocument, users};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Most codes of a list, oldest first. The contract has no pages here.
const LISTED_MAX: u64 = 1_000;
/// Code unknown, closed, or without an organization that people may sign up to: one answer for all.
const NO_CODE: ApiError = ApiError::NotFound(OrganizationCodeDocument::NOT_FOUND);

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewCode {
    id: Parsed<CodeSpelling>,
    organization_id: OrganizationId,
    individual_group_id: Option<GroupId>,
    expires_at: Option<Parsed<DateTime<Utc>>>,
    enrollment_schema: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changes {
    #[serde(default, deserialize_with = "nullable")]
    individual_group_id: Option<Option<GroupId>>,
    #[serde(default, deserialize_with = "nullable")]
    expires_at: Option<Option<Parsed<DateTime<Utc>>>>,
    #[serde(default, deserialize_with = "nullable")]
    enrollment_schema: Option<Option<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SignUpFilters {
    email: Option<String>,
    email_verified: Option<bool>,
    state: Option<UserState>,
    text: Option<String>,
}

/// Codes of all organizations that the caller administers.
pub(super) async fn list(call: Call) -> HandlerResult {
    let query = Query::<OrganizationCodeDocument>::sorted(&BY_CREATION, Direction::Ascending);
    let query = call.access().only_organization_codes(query, &call.holder).await?;
    let codes = call.documents().page(query.uncounted().page(0, LISTED_MAX)).await?.value.items;
    let mut names = Names::default();
    codes.iter().for_each(|code| names.add(&code.id, &code.terms));
    let related = names.look_up(&call).await?;
    Ok(whole(codes.iter().map(|code| related.resource(code)).collect()))
}

pub(super) async fn create(call: Call, Attributes(new): Attributes<NewCode>) -> HandlerResult {
    let (at, owner) = (Source::attribute("organization-id"), new.organization_id);
    call.named::<OrganizationDocument>(at, owner, OrganizationAct::Administer).await?;
    let Parsed(spelling) = new.id;
    let terms = Terms {
        organization_id: owner,
        individual_group_id: new.individual_group_id,
        expires_at: new.expires_at.map(|Parsed(end)| end),
        enrollment_schema: new.enrollment_schema,
    };
    let id = spelling.id();
    let mut names = Names::default();
    names.add(&id, &terms);
    let related = Arc::new(names.look_up(&call).await?);
    call.commit_document::<OrganizationCodeDocument, DirectoryError, _>(
        id.to_string(),
        Reply::created,
        move |code: &OrganizationCodeDocument| related.resource(code),
        |node, context| organization_codes::create(node, context, spelling, terms),
    )
    .await
}

pub(super) async fn get(call: Call) -> HandlerResult {
    let code = call.load::<OrganizationCodeDocument>(()).await?;
    let mut names = Names::default();
    names.add(&code.id, &code.terms);
    Ok(Reply::found(names.look_up(&call).await?.resource(&code)))
}

pub(super) async fn update(call: Call, Attributes(changes): Attributes<Changes>) -> HandlerResult {
    let code = call.load::<OrganizationCodeDocument>(()).await?;
    let expected = call.expected(&*code)?;
    let amendment = Amendment {
        individual_group_id: changes.individual_group_id,
        expires_at: changes.expires_at.map(|end| end.map(|Parsed(end)| end)),
        enrollment_schema: changes.enrollment_schema,
    };
    let mut names = Names::default();
    names.add(&code.id, &code.terms);
    names.groups.extend(amendment.individual_group_id.flatten().map(|group| group.to_string()));
    let related = Arc::new(names.look_up(&call).await?);
    call.commit_document::<OrganizationCodeDocument, DirectoryError, _>(
        code.id.to_string(),
        Reply::found,
        move |code: &OrganizationCodeDocument| related.resource(code),
        |node, context| organization_codes::amend(node, context, &code, amendment, expected),
    )
    .await
}

/// The terms of a code, for people who know it.
pub(super) async fn info(call: Call) -> HandlerResult {
    let code = look_up(&call, call.path_text()).await?.ok_or(NO_CODE)?;
    let organization = code.terms.organization_id.to_string();
    let organization = call.documents().find::<OrganizationDocument>(&organization).await?.value.ok_or(NO_CODE)?;
    let attributes = json!({
        "enrollment-schema": code.terms.enrollment_schema,
        "organization": {
            "display-name": organization.name,
            "logo-url": "",
            "name": organization.handle(),
        },
    });
    Ok(Reply::found(Resource::new("organization-code-info", &code.spelling, attributes)))
}

/// The people who signed up by a code, as far as the caller sees them.
pub(super) async fn list_users(call: Call, Parameters(filters): Parameters<SignUpFilters>) -> HandlerResult {
    let code = call.load::<OrganizationCodeDocument>(()).await?;
    let query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
        .equal(&users::SIGN_UP_CODE, code.id.to_string())
        .when(filters.email, |query, email| query.equal(&users::EMAIL, email_key(&email)))
        .when(filters.email_verified, |query, flag| query.equal(&users::EMAIL_VERIFIED, flag.to_string()))
        .when(filters.state, |query, state| query.equal(&users::STATE, state.name()))
        .when(filters.text, |query, text| query.search(&users::SEARCH, &text));
    let page = call.page(call.holder.only_seen(query)).await?;
    let viewer = Viewer::of(&call, &page.items).await?;
    Ok(page.show(|user| viewer.sign_up(user)))
}

/// The code that a public request names, if people may sign up by it. Wrong ones count for the client's network
/// ([`CodeGuard`]), so that codes are not guessed.
///
/// # Errors
/// `TooManyRequests` after too many wrong ones, for right ones as well; `Unavailable`.
pub(super) async fn look_up(call: &Call, code: &str) -> Result<Option<Arc<OrganizationCodeDocument>>, ApiError> {
    let (node, failures, client_info) = (&call.app.node, &call.app.failures, call.client_info());
    let found = CodeGuard::look_up(node, failures, &client_info, organization_codes::open(node, code));
    found.await.map_err(into_api_error)
}

/// Identifiers of the records that attributes of codes show beside the codes.
#[derive(Default)]
struct Names {
    codes: BTreeSet<String>,
    organizations: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl Names {
    fn add(&mut self, id: &OrganizationCodeId, terms: &Terms) {
        self.codes.insert(id.to_string());
        self.organizations.insert(terms.organization_id.to_string());
        self.groups.extend(terms.individual_group_id.map(|group| group.to_string()));
    }

    async fn look_up(self, call: &Call) -> JournalResult<Related> {
        let documents = call.documents();
        let (counts, organizations, groups) = futures::try_join!(
            documents.find_all::<SignUpCountDocument>(self.codes),
            documents.find_all::<OrganizationDocument>(self.organizations),
            documents.find_all::<GroupDocument>(self.groups),
        )?;
        Ok(Related {
            sign_ups: counts.iter().map(|count| (count.id.clone(), count.sign_ups)).collect(),
            organizations: organizations.into_iter().map(|found| (found.id, found)).collect(),
            groups: groups.into_iter().map(|found| (found.id, found)).collect(),
        })
    }
}

/// Records that attributes of codes show beside the codes.
struct Related {
    sign_ups: HashMap<OrganizationCodeId, u64>,
    organizations: HashMap<OrganizationId, Arc<OrganizationDocument>>,
    groups: HashMap<GroupId, Arc<GroupDocument>>,
}

impl Related {
    fn resource(&self, code: &OrganizationCodeDocument) -> Resource {
        let terms = &code.terms;
        let owner = self.organizations.get(&terms.organization_id);
        let group = terms.individual_group_id.and_then(|group| self.groups.get(&group));
        let group = group.filter(|group| group.organization_id == terms.organization_id);
        let attributes = json!({
            "enrollment-schema": terms.enrollment_schema,
            "expires-at": terms.expires_at.map(times::write),
            "individual-group": group.map(|group| json!({ "id": group.id, "name": group.name })),
            "organization": {
                "id": terms.organization_id,
                "name": owner.map(|owner| owner.handle()).unwrap_or_default(),
                "display-name": owner.map(|owner| owner.name.as_str()).unwrap_or_default(),
            },
            "sign-up-requests-count": self.sign_ups.get(&code.id).copied().unwrap_or_default(),
        });
        Resource::new("organization-codes", &code.spelling, attributes).at(code)
    }
}
