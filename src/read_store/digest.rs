//! Keyed digests of documents. Rights follow from documents, so a document used for decisions must have been written by
//! this installation: its digest covers the collection, the identifier and the stored body, and only the vault's key
//! makes one. Key columns have none: they follow from the body, and are compared with it when a document was found by
//! one.
//!
//! A digest does not distinguish an older body of the same document from the present one, nor reveal a missing
//! document. `registrar projections verify` does.
//!
//! Single look-ups, `Documents::verified` and folds verify the digest; pages for display do not. A document stays
//! verified in the cache as long as its text is unchanged, so a digest is computed once per change: 2 us for 1 KiB
//! (HMAC-SHA-256). Digests are part of the layout of a generation: another form of them raises
//! `store::schema::LAYOUT`, and the release with it rebuilds.

use crate::security;
use crate::store::{Body, JournalError, JournalResult};
use crate::vault::Vault;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use registrar_projections::query::Query;
use registrar_projections::{CollectionId, Document, KeyValue};
use subtle::ConstantTimeEq;

/// Computes the digest of a document, base64.
pub(crate) fn digest(vault: &Vault, collection: CollectionId, id: &str, text: &str) -> String {
    BASE64.encode(raw(vault, collection, id, text))
}

fn raw(vault: &Vault, collection: CollectionId, id: &str, text: &str) -> [u8; 32] {
    let collection = collection.collection().name;
    vault.digest("document", &[collection.as_bytes(), id.as_bytes(), text.as_bytes()])
}

/// Parses a document from a row of [`crate::store::sql::digested_page`].
///
/// # Errors
/// `Corrupt` for text in another form.
pub(super) fn parse(row: &str) -> JournalResult<Body> {
    let shapeless = |_| JournalError::corrupt("a row of a page does not have its shape");
    let (id, text, digest) = serde_json::from_str(row).map_err(shapeless)?;
    Ok(Body::new(id, text, digest))
}

/// Checks that this installation wrote the document under its identifier.
///
/// # Errors
/// `Corrupt`, naming the document; also writes a line to the security log.
pub(crate) fn verify(vault: &Vault, collection: CollectionId, body: &Body) -> JournalResult<()> {
    let stored = body.digest.as_deref().and_then(|digest| BASE64.decode(digest).ok()).unwrap_or_default();
    match bool::from(raw(vault, collection, &body.id, &body.text).ct_eq(&stored)) {
        true => Ok(()),
        false => Err(altered(collection, &body.id, "the digest of a stored document is not right")),
    }
}

/// Checks that a document found by a scalar key has the value looked up.
///
/// # Errors
/// As [`verify`].
pub(super) fn verify_key<D: Document>(document: &D, key: &str, value: &str) -> JournalResult<()> {
    match document.key(key) {
        Some(KeyValue::Text(text)) if text == value => Ok(()),
        _ => Err(misplaced(document)),
    }
}

/// Checks that a document found by a query matches its filters.
///
/// # Errors
/// As [`verify`].
pub(super) fn verify_filters<D: Document>(document: &D, query: &Query<D>) -> JournalResult<()> {
    if query.fits(document) { Ok(()) } else { Err(misplaced(document)) }
}

fn misplaced<D: Document>(document: &D) -> JournalError {
    altered(D::ID, &document.id(), "a stored document was found by a key that it does not have")
}

fn altered(collection: CollectionId, id: &str, reason: &str) -> JournalError {
    let document = format!("{}/{id}", collection.collection().name);
    security::altered(&document, reason);
    JournalError::corrupt(format!("the document {document} is not as it was written"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::MasterKey;

    async fn vault(folder: &tempfile::TempDir, key: &str) -> Vault {
        let settings =
            crate::store::StoreSettings { database_url: None, data: folder.path().to_owned(), archives: None };
        let store = crate::store::Store::open(&settings).unwrap();
        store.migrate().await.unwrap();
        Vault::open(&MasterKey::parse(key, "here").unwrap(), &store).await.unwrap()
    }

    fn body(vault: &Vault, collection: CollectionId, id: &str, text: &str) -> Body {
        Body { id: id.into(), text: text.into(), digest: Some(digest(vault, collection, id, text).into()) }
    }

    #[tokio::test]
    async fn a_digest_is_good_for_one_body_in_one_place_under_one_key() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let vault_here = vault(&folders[0], "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").await;
        let elsewhere = vault(&folders[1], "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").await;
        let good = body(&vault_here, CollectionId::Users, "a", "{}");
        assert!(verify(&vault_here, CollectionId::Users, &good).is_ok());
        let wrong = [
            (CollectionId::Users, Body { id: "b".into(), ..good.clone() }),
            (CollectionId::Users, Body { text: "{} ".into(), ..good.clone() }),
            (CollectionId::Users, Body { digest: None, ..good.clone() }),
            (CollectionId::Users, Body { digest: Some("".into()), ..good.clone() }),
            (CollectionId::Users, Body { digest: Some("*".into()), ..good.clone() }),
            (CollectionId::Users, body(&elsewhere, CollectionId::Users, "a", "{}")),
            (CollectionId::Admins, good),
        ];
        for (collection, body) in wrong {
            let refused = verify(&vault_here, collection, &body);
            assert!(matches!(refused, Err(JournalError::Corrupt(_))), "{collection:?} {body:?}");
        }
    }
}
