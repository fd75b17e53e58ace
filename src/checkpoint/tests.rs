//! Notes, compared with those of an independent implementation.

use super::*;
use crate::merkle::leaf_hash;
use signed_note::{Note, StandardVerifier, VerifierList};

fn signer() -> NoteSigner {
    let private = SigningKey::from_bytes(&[7; 32]);
    let key = NoteKey {
        name: "registrar/test".into(),
        public_key: BASE64.encode(private.verifying_key().as_bytes()),
        private_key: BASE64.encode(private.to_bytes()),
    };
    NoteSigner::of(&key).unwrap()
}

fn tree() -> Frontier {
    let mut tree = Frontier::default();
    (0u8..5).for_each(|leaf| tree.push(leaf_hash(&[leaf])));
    tree
}

#[test]
fn other_libraries_accept_our_checkpoints() {
    let note = signer().sign(&tree());
    let verifier = StandardVerifier::new(&signer().verifier().text()).unwrap();
    let opened = Note::from_bytes(note.as_bytes()).unwrap();
    let (verified, _) = opened.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!(verified.len(), 1);
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(opened.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("registrar/test", 5));
    assert_eq!(checkpoint.hash().0, tree().root());
}

#[test]
fn a_signed_note_opens_to_its_checkpoint() {
    let note = signer().sign(&tree());
    let expected = Checkpoint { origin: "registrar/test".into(), size: 5, root: tree().root() };
    assert_eq!(signer().verifier().open(&note), Ok(expected));
    let cosigned = note.replace("\n\n", "\n\n\u{2014} witness.example AAAAAAAA\n");
    assert!(signer().verifier().open(&cosigned).is_ok());
}

#[test]
fn altered_malformed_and_foreign_notes_are_refused() {
    let note = signer().sign(&tree());
    let open = |note: &str| signer().verifier().open(note).unwrap_err();
    assert_eq!(open(&note.replace("\n5\n", "\n6\n")), NoteError::WrongSignature);
    assert_eq!(open(&note.replace("\u{2014} registrar/test", "\u{2014} registrar/other")), NoteError::OtherKey);
    for broken in [
        "",
        "registrar/test\n5\n",
        &note[..note.len() - 1],
        &note.replace("\n5\n", "\n05\n"),
        &note.replace("\u{2014} ", "- "),
    ] {
        assert_eq!(open(broken), NoteError::Malformed, "{broken:?}");
    }
    let other = SigningKey::from_bytes(&[8; 32]);
    let other = NoteVerifier { name: "registrar/test".into(), key: other.verifying_key() };
    assert_eq!(other.open(&note), Err(NoteError::OtherKey));
}

#[test]
fn a_verifier_key_is_read_as_it_is_written() {
    let verifier = signer().verifier().clone();
    let text = verifier.text();
    assert_eq!(NoteVerifier::parse(&text), Some(verifier));
    for broken in
        ["", "registrar/test", "registrar/test+00000000", &text.replace("test", "tost"), &text[..text.len() - 4]]
    {
        assert_eq!(NoteVerifier::parse(broken), None, "{broken:?}");
    }
}
