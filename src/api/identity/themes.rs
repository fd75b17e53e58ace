//! Themes: brands that organizations point at. System admins write them; admins of organizations, who choose one, and
//! programs read them all.

use super::call::{Attributes, Call, HandlerResult, Parameters, Parsed, QueryExt, StrictComparison, compared};
use super::documents::{Reply, Resource};
use super::times;
use crate::access::resource::CatalogueAct;
use crate::api::common::ApiError;
use crate::api::common::precondition::Revision;
use registrar_aggregates::theme::{Amendment, Brand, DomainName, Theme, ThemeCommand};
use registrar_aggregates::values::{EmailAddress, ThemeId};
use registrar_projections::themes::{BY_CREATION, DOMAIN, SUPPORT_EMAIL, ThemeDocument, UPDATED_AT};
use registrar_projections::{AdminDocument, Direction, Query, UserDocument, users};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// Filters of the list. No operation makes a theme inactive, so `filter[include-inactive]` adds none.
#[derive(Deserialize)]
pub(super) struct ThemeFilters {
    #[serde(rename = "filter[domain]")]
    domain: Option<String>,
    #[serde(rename = "filter[support-email]")]
    support_email: Option<Parsed<EmailAddress>>,
    #[serde(default, rename = "filter[cmp-last-modified-time]")]
    modified: Vec<Parsed<StrictComparison>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewTheme {
    domain: Parsed<DomainName>,
    support_email: Option<Parsed<EmailAddress>>,
    support_email_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changes {
    domain: Option<Parsed<DomainName>>,
    support_email: Option<Parsed<EmailAddress>>,
    support_email_name: Option<String>,
}

pub(super) async fn list(call: Call, Parameters(filters): Parameters<ThemeFilters>) -> HandlerResult {
    // A text that is no domain name is the domain of no theme.
    let Ok(domain) = filters.domain.as_deref().map(DomainName::parse).transpose() else { return call.nothing() };
    let query = Query::<ThemeDocument>::sorted(&BY_CREATION, Direction::Ascending)
        .when(domain, |query, domain| query.equal(&DOMAIN, domain.comparable()))
        .when(filters.support_email, |query, Parsed(email)| query.equal(&SUPPORT_EMAIL, users::email_key(&email)));
    let page = call.page(compared(query, &UPDATED_AT, filters.modified)).await?;
    let authors = Authors::of(&call, &page.items).await?;
    Ok(page.show(|theme| authors.resource(theme)))
}

pub(super) async fn create(call: Call, Attributes(new): Attributes<NewTheme>) -> HandlerResult {
    call.require(call.holder.holds_everything())?;
    let NewTheme { domain: Parsed(domain), support_email, support_email_name } = new;
    let support_email = support_email.map(|Parsed(email)| email);
    let id = ThemeId(Uuid::now_v7());
    let command = ThemeCommand::Create { id, brand: Brand { domain, support_email, support_email_name } };
    let authors = Authors::of(&call, &[]).await?;
    let resource = move |theme: &ThemeDocument| authors.resource(theme);
    call.execute::<Theme, ThemeDocument>(id.to_string(), None, command, Reply::created, resource).await
}

pub(super) async fn get(call: Call) -> HandlerResult {
    let theme = call.load::<ThemeDocument>(CatalogueAct::See).await?;
    let authors = Authors::of(&call, std::slice::from_ref(&*theme)).await?;
    Ok(Reply::found(authors.resource(&theme)))
}

pub(super) async fn update(call: Call, Attributes(changes): Attributes<Changes>) -> HandlerResult {
    let theme = call.load::<ThemeDocument>(CatalogueAct::Change).await?;
    let amendment = Amendment {
        domain: changes.domain.map(|Parsed(domain)| domain),
        support_email: changes.support_email.map(|Parsed(email)| email),
        support_email_name: changes.support_email_name,
    };
    let authors = Authors::of(&call, std::slice::from_ref(&*theme)).await?;
    let resource = move |theme: &ThemeDocument| authors.resource(theme);
    let (id, revision, command) = (theme.id.to_string(), Some(Revision::from(&*theme)), ThemeCommand::Amend(amendment));
    call.execute::<Theme, ThemeDocument>(id, revision, command, Reply::found, resource).await
}

/// People who made and changed themes, by the identifiers of their accounts, as far as the caller sees them. All other
/// actors, the server itself among them, are shown as null.
#[derive(Clone)]
struct Authors(Arc<HashMap<String, Value>>);

impl Authors {
    /// The authors of some themes, and the caller, who is the author of what this request changes.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    async fn of(call: &Call, themes: &[ThemeDocument]) -> Result<Self, ApiError> {
        let caller = call.caller.iter().map(|caller| &caller.principal.actor.id);
        let authors = themes.iter().flat_map(|theme| [&theme.created_by, &theme.updated_by]);
        let ids: BTreeSet<String> = authors.chain(caller).cloned().collect();
        let users = call.documents().find_all::<UserDocument>(ids.iter().cloned()).await?;
        let seen = users.iter().filter(|user| call.holder.sees(user));
        let mut people: HashMap<_, _> = seen
            .map(|user| {
                let id = user.profile.id.to_string();
                let person = person(&id, &user.names.first_name, &user.names.last_name);
                (id, person)
            })
            .collect();
        // Other callers see no admin of the ECG API.
        if call.holder.holds_everything() {
            let admins = call.documents().find_all::<AdminDocument>(ids).await?;
            people.extend(admins.iter().map(|admin| {
                let id = admin.id.to_string();
                let person = person(&id, &admin.person.first_name, &admin.person.last_name);
                (id, person)
            }));
        }
        Ok(Authors(Arc::new(people)))
    }

    fn resource(&self, theme: &ThemeDocument) -> Resource {
        let brand = &theme.brand;
        let attributes = json!({
            "created-by": self.0.get(&theme.created_by),
            "created-time": times::write(theme.created_at),
            "domain": brand.domain,
            "last-modified-by": self.0.get(&theme.updated_by),
            "last-modified-time": times::write(theme.updated_at),
            "support-email": brand.support_email,
            "support-email-name": brand.support_email_name,
        });
        Resource::new("organization-themes", theme.id, attributes).at(theme)
    }
}

fn person(id: &str, first_name: &str, last_name: &str) -> Value {
    json!({ "first-name": first_name, "id": id, "last-name": last_name })
}
