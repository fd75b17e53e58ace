//! The text form of an access question: `type:id:operation`.

use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId};
use uuid::Uuid;

/// The operation in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Read the resource.
    Read,
    /// Change the resource.
    Write,
    /// For groups: whether the holder is in the group or in one below it.
    Contain,
}

/// The resource in question; an omitted identifier stands for any resource of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// An individual.
    Individual(Option<IndividualId>),
    /// An organization.
    Organization(Option<OrganizationId>),
    /// A group.
    Group(Option<GroupId>),
    /// A part of the system, by its name.
    System(String),
    /// A resource of an application; no role grants these yet.
    Application,
}

/// An access question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessQuery {
    /// The resource.
    pub resource: Resource,
    /// The operation.
    pub operation: Operation,
}

impl AccessQuery {
    /// Parses `type:id:operation`; `None` for any other form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (id, operation) = rest.split_once(':')?;
        let operation = match operation {
            "read" => Operation::Read,
            "write" => Operation::Write,
            "contain" if kind == "group" => Operation::Contain,
            _ => return None,
        };
        let uuid = || match id {
            "" => Some(None),
            id if id.len() == 36 => Uuid::try_parse(id).ok().map(Some),
            _ => None,
        };
        let resource = match kind {
            "individual" => Resource::Individual(uuid()?.map(IndividualId)),
            "organization" => Resource::Organization(uuid()?.map(OrganizationId)),
            "group" => Resource::Group(uuid()?.map(GroupId)),
            "system" => Resource::System(id.to_owned()),
            kind if kind.strip_prefix("app.").is_some_and(|name| !name.is_empty()) => Resource::Application,
            _ => return None,
        };
        Some(AccessQuery { resource, operation })
    }

    /// Whether the query asks about any resource of its kind.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.resource, Resource::Individual(None) | Resource::Organization(None) | Resource::Group(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_type_id_and_operation() {
        let id = "0191b7a0-0000-7000-8000-000000000001";
        let parsed = AccessQuery::parse(&format!("individual:{id}:read")).expect("a query");
        assert_eq!(parsed.resource, Resource::Individual(Some(IndividualId(id.parse().expect("a UUID")))));
        assert_eq!(parsed.operation, Operation::Read);
        assert!(AccessQuery::parse("individual::write").is_some_and(|query| query.is_open()));
        assert!(AccessQuery::parse(&format!("group:{}:contain", id.to_uppercase())).is_some());
        assert_eq!(
            AccessQuery::parse("system:reports:read").map(|query| query.resource),
            Some(Resource::System("reports".into()))
        );
        assert_eq!(AccessQuery::parse("app.x:1:write").map(|query| query.resource), Some(Resource::Application));
        let simple = format!("individual:{}:read", id.replace('-', ""));
        for text in [
            "",
            ":",
            "::",
            "individual",
            "individual:read",
            "individual::",
            "individual::contain",
            "group::fly",
            "user::read",
            "app.:1:read",
            "app:1:read",
            "system:a:contain",
            "individual:1:read",
            "individual::read:",
            "Individual::read",
            "system:a:b:read",
            &simple,
        ] {
            assert_eq!(AccessQuery::parse(text), None, "{text}");
        }
    }
}
