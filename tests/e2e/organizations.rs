//! Organizations from command to document, without a dialect.

use crate::on_both_stores;
use crate::support::context;
use chrono::Utc;
use registrar::executor::{ExecuteError, Outcome};
use registrar::node::Node;
use registrar_aggregates::organization::{Content, Organization, OrganizationCommand, OrganizationError, Stamp};
use registrar_aggregates::values::OrganizationId;
use registrar_projections::OrganizationDocument;
use uuid::Uuid;

async fn execute(
    node: &Node,
    id: Uuid,
    command: OrganizationCommand,
) -> Result<Outcome, ExecuteError<OrganizationError>> {
    node.executor.execute::<Organization>(&context(), &id.to_string(), command, None).await
}

fn register(id: Uuid, name: &str) -> OrganizationCommand {
    let content = Box::new(Content::named(name));
    OrganizationCommand::Register { id: OrganizationId(id), content, stamp: Stamp::at(Utc::now()) }
}

on_both_stores! {
    async fn an_organization_is_registered_renamed_and_deleted(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        let outcome = execute(&node, id, register(id, "Acme")).await.unwrap();
        let document = outcome.document::<OrganizationDocument>().unwrap();
        assert_eq!((document.name.as_str(), document.version), ("Acme", 1));
        let rename = OrganizationCommand::Rename { name: "Acme CRO".into(), stamp: Stamp::at(Utc::now()) };
        execute(&node, id, rename).await.unwrap();
        let found = node.documents.find::<OrganizationDocument>(&id.to_string()).await.unwrap().value.unwrap();
        assert_eq!((found.name.as_str(), found.version, found.id.0), ("Acme CRO", 2, id));
        assert!(found.created_at <= found.updated_at);
        execute(&node, id, OrganizationCommand::Delete(Stamp::at(Utc::now()))).await.unwrap();
        assert!(node.documents.find::<OrganizationDocument>(&id.to_string()).await.unwrap().value.is_none());
        let again = execute(&node, id, register(id, "Acme")).await;
        assert!(matches!(again, Err(ExecuteError::Refused(OrganizationError::AlreadyRegistered))));
    }
}
