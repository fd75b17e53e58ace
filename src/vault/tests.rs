use super::sealing_key::NONCE_LENGTH;
use super::*;
use crate::store::{Batch, StoreSettings};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use registrar_aggregates::personal::{ERASED, SEALED};
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

const PERSONAL: &[&str] = &["/name", "/addresses/*/city"];

fn master() -> MasterKey {
    MasterKey([7; KEY_LENGTH])
}

fn other_master() -> MasterKey {
    MasterKey([8; KEY_LENGTH])
}

fn document() -> Value {
    json!({"name": "Ada", "addresses": [{"city": "London"}, {"city": null}], "kept": 1})
}

/// An empty store, with the folder that it lives in.
async fn empty() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store =
        Store::open(&StoreSettings { database_url: None, data: folder.path().to_owned(), archives: None }).unwrap();
    store.migrate().await.unwrap();
    (store, folder)
}

async fn open(store: &Store, masters: impl Into<MasterKeys>) -> Result<Vault, VaultError> {
    Vault::open(masters, store).await
}

/// A vault over an empty journal, with the folder that it lives in.
async fn vault() -> (Vault, tempfile::TempDir) {
    let (store, folder) = empty().await;
    (open(&store, &master()).await.unwrap(), folder)
}

/// Wraps a person's key as earlier releases did.
fn wrapped_without_a_name(master: &MasterKey, subject_id: &str, key: &[u8]) -> Vec<u8> {
    SealingKey::new(&master.derive("wrap")).seal(subject_id.as_bytes(), b"", key)
}

async fn store(place: &Store, steps: Vec<SubjectKeyStep>) {
    let batch = Batch { subject_keys: steps, ..Batch::default() };
    place.journal_store().writer().await.unwrap().commit(&batch).await.unwrap();
}

fn sealed_by(key: &SubjectKey, mut document: Value, context: &str) -> Value {
    key.seal(&mut document, PERSONAL, context).unwrap();
    document
}

fn keys(entries: &[(&str, Option<&Arc<SubjectKey>>)]) -> SubjectKeys {
    SubjectKeys(entries.iter().map(|(id, key)| ((*id).to_owned(), key.map(Arc::clone))).collect())
}

#[tokio::test]
async fn a_sealed_document_hides_its_values_and_opens_to_the_original() {
    let (vault, _folder) = vault().await;
    let (key, _) = vault.new_subject("p").unwrap();
    let mut sealed = sealed_by(&key, document(), "c");
    let text = sealed.to_string();
    assert!(may_be_sealed(&text) && !may_be_sealed(&json!({"name": "Ada"}).to_string()));
    assert!(!text.contains("Ada") && !text.contains("London"), "{text}");
    assert_eq!(
        (&sealed["name"], &sealed["addresses"][1]["city"], &sealed["kept"]),
        (&json!(SEALED), &json!(null), &json!(1))
    );
    keys(&[("p", Some(&key))]).open(&mut sealed).unwrap();
    assert_eq!(sealed, document());
}

#[tokio::test]
async fn sealing_twice_gives_the_same_bytes_and_in_another_place_others() {
    let (vault, _folder) = vault().await;
    let (key, _) = vault.new_subject("p").unwrap();
    let (other, _) = vault.new_subject("q").unwrap();
    assert_eq!(sealed_by(&key, document(), "c"), sealed_by(&key, document(), "c"));
    let boxed = |key: &SubjectKey, context| sealed_by(key, document(), context)["sealed"][&key.subject_id].clone();
    assert_ne!(boxed(&key, "c"), boxed(&key, "d"));
    assert_ne!(boxed(&key, "c"), boxed(&other, "c"));
}

#[tokio::test]
async fn a_document_without_personal_values_is_left_alone() {
    let (vault, _folder) = vault().await;
    let (key, _) = vault.new_subject("p").unwrap();
    for plain in [json!({"kept": 1}), json!({"name": null, "addresses": []})] {
        assert_eq!(sealed_by(&key, plain.clone(), "c"), plain);
    }
}

#[tokio::test]
async fn altered_ciphertext_and_that_of_another_person_do_not_open() {
    let (vault, _folder) = vault().await;
    let ((key, _), (other, _)) = (vault.new_subject("p").unwrap(), vault.new_subject("q").unwrap());
    let sealed = sealed_by(&key, document(), "c");
    let boxed = BASE64.decode(sealed["sealed"]["p"].as_str().unwrap()).unwrap();
    for at in [0, 1, NONCE_LENGTH, NONCE_LENGTH + 1, boxed.len() - 1] {
        let mut altered = boxed.clone();
        altered[at] ^= 1;
        let mut document = sealed.clone();
        document["sealed"]["p"] = json!(BASE64.encode(altered));
        assert!(keys(&[("p", Some(&key))]).open(&mut document).is_err(), "byte {at}");
    }
    for short in ["", "AQ==", "not base64"] {
        let mut document = sealed.clone();
        document["sealed"]["p"] = json!(short);
        assert!(keys(&[("p", Some(&key))]).open(&mut document).is_err(), "{short:?}");
    }
    let mut moved = sealed.clone();
    moved["sealed"] = json!({"q": sealed["sealed"]["p"]});
    assert!(keys(&[("q", Some(&other))]).open(&mut moved.clone()).is_err());
    assert!(keys(&[("q", Some(&key))]).open(&mut moved).is_err());
}

#[tokio::test]
async fn two_persons_open_each_by_their_own_key() {
    let (vault, _folder) = vault().await;
    let ((key, _), (other, _)) = (vault.new_subject("p").unwrap(), vault.new_subject("q").unwrap());
    let mut sealed = json!({"name": "Ada", "actor": "Grace"});
    key.seal(&mut sealed, &["/name"], "c").unwrap();
    other.seal(&mut sealed, &["/actor"], "c").unwrap();
    let mut both = sealed.clone();
    keys(&[("p", Some(&key)), ("q", Some(&other))]).open(&mut both).unwrap();
    assert_eq!(both, json!({"name": "Ada", "actor": "Grace"}));
    let mut one = sealed.clone();
    keys(&[("p", None), ("q", Some(&other))]).open(&mut one).unwrap();
    assert_eq!(one, json!({"name": ERASED, "actor": "Grace"}));
    assert!(keys(&[("q", Some(&other))]).open(&mut sealed).is_err(), "a key that never was is no erasure");
}

#[tokio::test]
async fn keys_come_back_from_the_journal_with_the_right_master_key_only() {
    let (place, _folder) = empty().await;
    let vault = open(&place, &master()).await.unwrap();
    let (key, step) = vault.new_subject("p").unwrap();
    store(&place, vec![step]).await;
    let sealed = sealed_by(&key, document(), "c");

    let fresh = open(&place, &master()).await.unwrap();
    let mut opened = sealed.clone();
    fresh.keys_of(std::iter::once(&sealed)).await.unwrap().open(&mut opened).unwrap();
    assert_eq!(opened, document());
    assert!(fresh.subject_key("nobody").await.unwrap().is_none());

    assert!(matches!(open(&place, &other_master()).await, Err(VaultError::WrongMasterKey)));
}

#[tokio::test]
async fn a_key_under_a_master_key_that_is_not_at_hand_is_not_available() {
    let (place, _folder) = empty().await;
    let vault = open(&place, &master()).await.unwrap();
    let stranger = WrappingKeys::of(&MasterKeys::from(&other_master()));
    let wrapped = stranger.configured.wrap(Kind::Key, b"p", &[1; KEY_LENGTH]);
    store(&place, vec![SubjectKeyStep { subject_id: "p".into(), wrapped }]).await;
    assert!(matches!(vault.subject_key("p").await, Err(JournalError::Unavailable(_))));

    let altered = wrapped_without_a_name(&other_master(), "q", &[1; KEY_LENGTH]);
    store(&place, vec![SubjectKeyStep { subject_id: "q".into(), wrapped: altered }]).await;
    assert!(matches!(vault.subject_key("q").await, Err(JournalError::Corrupt(_))));
}

#[tokio::test]
async fn digests_tell_scopes_and_parts_apart_and_depend_on_the_journal() {
    let (vault, _folder) = vault().await;
    let digest = |scope: &str, parts: &[&str]| {
        vault.digest(scope, &parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>())
    };
    assert_eq!(digest("s", &["a", "b"]), digest("s", &["a", "b"]));
    for other in [digest("s", &["ab"]), digest("s", &["a", "b", ""]), digest("sa", &["b"]), digest("s", &["b", "a"])] {
        assert_ne!(other, digest("s", &["a", "b"]));
    }
    // Another journal has other digests, even under the same master key.
    let (elsewhere, _there) = self::vault().await;
    assert_ne!(elsewhere.digest("s", &[b"a", b"b"]), digest("s", &["a", "b"]));
}

/// The digests of claims and secrets of a journal without a digest key of its own stay valid for ever.
#[tokio::test]
async fn a_journal_of_an_earlier_release_keeps_its_digests_and_its_keys() {
    let (place, _folder) = empty().await;
    let wrapped = wrapped_without_a_name(&master(), "p", &[1; KEY_LENGTH]);
    store(&place, vec![SubjectKeyStep { subject_id: "p".into(), wrapped }]).await;
    assert!(matches!(open(&place, &other_master()).await, Err(VaultError::WrongMasterKey)));
    assert_eq!(
        place.journal_store().subject_keys(&[DIGEST_KEY_ID.into()]).await.unwrap().len(),
        0,
        "something was stored"
    );

    // The former key, if it is not the new one, is the one that the journal was written with.
    let both = MasterKeys::new(other_master(), Some(master())).unwrap();
    for masters in [both, MasterKeys::from(&master())] {
        let vault = open(&place, masters).await.unwrap();
        let digest: String = vault.digest("s", &[b"a"]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, "ea0829eb1d0f515d88e54f7ebcdee089f48c2c6a929be9616bc0df3f2ac1a99b");
        assert!(vault.subject_key("p").await.unwrap().is_some_and(|key| key.is_some()));
    }
}

#[tokio::test]
async fn of_two_first_starts_one_makes_the_digest_key() {
    let (place, _folder) = empty().await;
    let master = master();
    let (one, other) = tokio::join!(open(&place, &master), open(&place, &master));
    assert_eq!(one.unwrap().digest("s", &[]), other.unwrap().digest("s", &[]));
}

#[tokio::test]
async fn a_key_that_another_server_destroyed_is_not_kept_beyond_its_age() {
    let (place, folder) = empty().await;
    let mut vault = open(&place, &master()).await.unwrap();
    let (key, step) = vault.new_subject("p").unwrap();
    store(&place, vec![step]).await;
    vault.remember("p".into(), Arc::clone(&key));
    let mut sqlite =
        SqliteConnection::connect(folder.path().join("registrar.sqlite3").to_str().unwrap()).await.unwrap();
    let erase = sqlx::query("UPDATE subject_keys SET wrapped_key = NULL WHERE subject_id = 'p'");
    erase.execute(&mut sqlite).await.unwrap();

    let known = vault.subject_key("p").await.unwrap().flatten().unwrap();
    assert!(Arc::ptr_eq(&known, &key) && vault.are_current(&KeysBySubject::from([("p".into(), Some(known))])));
    vault.key_age_max = Duration::ZERO;
    assert!(vault.subject_key("p").await.unwrap().unwrap().is_none());
    assert!(!vault.are_current(&KeysBySubject::from([("p".into(), Some(key))])));
    vault.forget_old();
    assert_eq!(vault.unwrapped.len(), 0);
    assert!(KEY_AGE_MAX <= Duration::from_secs(60), "as the documents say");
}

#[tokio::test]
async fn an_answer_opens_under_its_own_key_only() {
    let (vault, _folder) = vault().await;
    let sealed = vault.seal_answer(b"k", b"answer").unwrap();
    assert_eq!(&**vault.open_answer(b"k", &sealed).unwrap(), b"answer");
    assert!(matches!(vault.open_answer(b"l", &sealed), Err(JournalError::Corrupt(_))));
}

#[test]
fn a_master_key_is_32_bytes_of_base64() {
    let good = BASE64.encode([7; KEY_LENGTH]);
    assert_eq!(MasterKey::parse(&format!(" {good}\n"), "here").unwrap().0, [7; KEY_LENGTH]);
    let (short, long) = (BASE64.encode([7; 31]), BASE64.encode([7; 33]));
    for bad in ["", "secret", &short, &long, &good[1..]] {
        let error = MasterKey::parse(bad, "REGISTRAR_MASTER_KEY").err().expect(bad);
        assert!(error.to_string().starts_with("REGISTRAR_MASTER_KEY"));
        assert!(bad.is_empty() || !error.to_string().contains(bad));
    }
}

#[test]
fn a_key_file_is_made_once_and_only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let made: Vec<MasterKey> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| MasterKey::from_file(&path).unwrap())).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    let kept = MasterKey::from_file(&path).unwrap();
    assert!(made.iter().all(|key| key.0 == kept.0));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something was left aside");
    std::fs::write(&path, "not a key").unwrap();
    assert!(matches!(MasterKey::from_file(&path), Err(MasterKeyError::Malformed { .. })));
    assert!(matches!(MasterKey::from_file(folder.path()), Err(MasterKeyError::File { .. })));
}

#[test]
fn a_key_file_that_others_may_use_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKey::from_file(&path).unwrap();
    for (mode, fits) in [(0o644, false), (0o606, false), (0o620, false), (0o640, true), (0o400, true), (0o600, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let read = MasterKey::from_file(&path);
        assert_eq!(read.is_ok(), fits, "{mode:o}");
        if let Err(error) = read {
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }
}
