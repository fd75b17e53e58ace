use super::*;
use registrar_aggregates::values::OrganizationId;
use registrar_projections::admins::{BY_NAME, PERSON_ID, POLICIES, SEARCH};
use registrar_projections::audit_trail::{ACTION, AGGREGATE_ID, BY_TIME, TRAIL};
use registrar_projections::users::{BY_ID, ENABLED, PLACES, PRIMARY_INDIVIDUAL, VERIFIED, holding, member_of};
use registrar_projections::{AdminDocument, AuditEntry, Query, UserDocument};
use uuid::Uuid;

fn sql(query: &AnyQuery, dialect: Dialect) -> String {
    page(7, query, dialect).sql
}

fn admins() -> Query<AdminDocument> {
    Query::sorted(&BY_NAME, Direction::Ascending)
}

fn entries() -> Query<AuditEntry> {
    Query::sorted(&BY_TIME, Direction::Ascending)
}

fn users() -> Query<UserDocument> {
    Query::sorted(&BY_ID, Direction::Ascending)
}

/// Enabled and verified users, for whom a count is stored.
fn members() -> Query<UserDocument> {
    users().equal(&VERIFIED, "true").equal(&ENABLED, "true")
}

#[test]
fn a_total_that_is_kept_is_looked_up() {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        assert!(sql(&admins(), dialect).contains("FROM counts_g7"));
        assert!(sql(&entries().equal(&TRAIL, "admin"), dialect).contains("FROM counts_g7"));
        let both = entries().equal(&ACTION, "UPDATE").equal(&TRAIL, "admin");
        assert!(sql(&both, dialect).contains("FROM counts_g7"));
        let members = members().contains(&PLACES, member_of(OrganizationId(Uuid::nil())));
        assert!(sql(&members, dialect).contains("FROM counts_g7"));
    }
}

#[test]
fn any_other_total_is_counted() {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        for query in [admins().search(&SEARCH, "a"), admins().contains(&POLICIES, "p"), admins().equal(&PERSON_ID, "p")]
        {
            assert!(sql(&query, dialect).contains("SELECT count(*)"), "{query:?}");
        }
        let organization = OrganizationId(Uuid::nil());
        let related =
            || members().contains(&PLACES, member_of(organization)).related(&PRIMARY_INDIVIDUAL, users(), true);
        for query in [members().contains(&PLACES, holding(organization.0)), related()] {
            assert!(sql(&query, dialect).contains("SELECT count(*)"), "{query:?}");
        }
        let of_one = entries().equal(&TRAIL, "admin").equal(&AGGREGATE_ID, "a");
        for query in [entries(), entries().equal(&ACTION, "UPDATE"), entries().at_least(&TRAIL, "admin"), of_one] {
            assert!(sql(&query, dialect).contains("SELECT count(*)"), "{query:?}");
        }
    }
}

#[test]
fn searches_and_list_filters_read_the_table_once() {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        for query in [admins().search(&SEARCH, "ada"), admins().contains(&POLICIES, "p")] {
            let sql = sql(&query, dialect);
            assert_eq!(sql.matches(" admins_g7 d WHERE").count(), 1, "{sql}");
        }
        let ordered = sql(&entries().equal(&AGGREGATE_ID, "a"), dialect);
        assert_eq!(ordered.matches(" audit_entries_g7 d WHERE").count(), 2, "{ordered}");
    }
}

#[test]
fn many_texts_are_hashed() {
    let sought = |number: usize| {
        let policies = (0..number).map(|policy| policy.to_string()).collect();
        page(7, &admins().contains_any(&POLICIES, policies), Dialect::Postgres)
    };
    let (few, many) = (sought(SOUGHT_BY_INDEX_MAX), sought(SOUGHT_BY_INDEX_MAX + 1));
    assert!(few.sql.contains(" && ") && !few.arguments.iter().any(Argument::is_long), "{}", few.sql);
    assert!(!many.sql.contains(" && ") && many.arguments.iter().any(Argument::is_long), "{}", many.sql);
}

#[test]
fn an_unrequested_total_is_not_counted() {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let sql = sql(&entries().equal(&TRAIL, "admin").at_least(&ACTION, "A").uncounted(), dialect);
        assert!(!sql.contains("count") && sql.contains("0 AS total"), "{sql}");
    }
}

#[test]
fn no_value_stands_in_the_text() {
    let query = entries().equal(&TRAIL, "'marked").at_least(&ACTION, "marked\\").page(3, 5);
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let statement = page(7, &query, dialect);
        assert!(!statement.sql.contains("marked"), "{}", statement.sql);
        assert_eq!(statement.arguments.len(), 4, "{:?}", statement.arguments);
        let search = page(7, &admins().search(&SEARCH, "\"marked%"), dialect);
        assert!(!search.sql.contains("marked"), "{}", search.sql);
    }
}
