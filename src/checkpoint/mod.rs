//! Checkpoints: the journal's commitments, in a form that third parties can verify later. A checkpoint is a signed note
//! (C2SP signed-note) with the origin, the tree's size and its root hash (C2SP tlog-checkpoint).

use crate::executor::{ExecuteError, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::merkle::{Frontier, Hash};
use crate::node::Node;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use registrar_aggregates::checkpoint_key::{CHECKPOINT_KEY_ID, CheckpointKey, Establish, NoteKey};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Algorithm byte of Ed25519 in key ids and verifier keys.
const ED25519: u8 = 1;

/// Contents of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the journal.
    pub origin: String,
    /// Number of events.
    pub size: u64,
    /// Root of the Merkle tree over them.
    pub root: Hash,
}

/// Reasons why a note is not a checkpoint of this journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note that contains a checkpoint.
    #[error("it is not a signed checkpoint")]
    Malformed,
    /// Signed by other keys only.
    #[error("it is not signed by the key of this journal")]
    OtherKey,
    /// The signature does not match the text.
    #[error("its signature is wrong")]
    WrongSignature,
}

/// The public half of a journal's key, for verification by third parties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    key: VerifyingKey,
}

impl NoteVerifier {
    /// The verifier of a stored key.
    ///
    /// # Errors
    /// `Corrupt` if the stored bytes are not a key.
    pub fn of(key: &NoteKey) -> JournalResult<Self> {
        let broken = || JournalError::corrupt("the stored checkpoint key is not an Ed25519 key");
        let bytes = BASE64.decode(&key.public_key).map_err(|_| broken())?;
        let verifying = VerifyingKey::try_from(bytes.as_slice()).map_err(|_| broken())?;
        Ok(NoteVerifier { name: key.name.clone(), key: verifying })
    }

    /// Parses `name+hexid+base64`; `None` if the text has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (id, key) = rest.split_once('+')?;
        let bytes = BASE64.decode(key).ok()?;
        let (&algorithm, key) = bytes.split_first()?;
        let verifier = NoteVerifier { name: name.to_owned(), key: VerifyingKey::try_from(key).ok()? };
        let fits = algorithm == ED25519 && id == format!("{:08x}", u32::from_be_bytes(verifier.id()));
        fits.then_some(verifier)
    }

    fn typed_key(&self) -> Vec<u8> {
        [&[ED25519], self.key.as_bytes().as_slice()].concat()
    }

    /// First four bytes of the digest of name and key.
    fn id(&self) -> [u8; 4] {
        let digest =
            Sha256::new().chain_update(&self.name).chain_update("\n").chain_update(self.typed_key()).finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// The verifier key, `name+hexid+base64`.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id()), BASE64.encode(self.typed_key()))
    }

    /// Parses a note and checks that this key signed it. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let (body, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let body = format!("{body}\n");
        let checkpoint = Checkpoint::parse(&body).ok_or(NoteError::Malformed)?;
        if !signatures.ends_with('\n') {
            return Err(NoteError::Malformed);
        }
        let mut lines = signatures.lines().map(|line| line.strip_prefix("\u{2014} ")?.split_once(' '));
        let ours = lines.find_map(|line| match line {
            None => Some(Err(NoteError::Malformed)),
            Some((name, _)) if name != self.name => None,
            Some((_, signature)) => match BASE64.decode(signature) {
                Ok(bytes) if bytes.starts_with(&self.id()) => Some(Ok(bytes)),
                Ok(_) => None,
                Err(_) => Some(Err(NoteError::Malformed)),
            },
        });
        let signature = ours.ok_or(NoteError::OtherKey)??;
        let signature = Signature::from_slice(&signature[4..]).map_err(|_| NoteError::Malformed)?;
        self.key.verify_strict(body.as_bytes(), &signature).map_err(|_| NoteError::WrongSignature)?;
        if checkpoint.origin == self.name { Ok(checkpoint) } else { Err(NoteError::OtherKey) }
    }
}

impl Checkpoint {
    /// The checkpoint of a tree.
    #[must_use]
    pub fn of(origin: &str, tree: &Frontier) -> Self {
        Checkpoint { origin: origin.to_owned(), size: tree.size(), root: tree.root() }
    }

    /// The text that is signed.
    fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Parses the text of a checkpoint. Extension lines are ignored.
    fn parse(body: &str) -> Option<Self> {
        let mut lines = body.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let plain = !origin.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
        let plain = plain && (size == "0" || !size.starts_with('0'));
        let root = BASE64.decode(root).ok()?.try_into().ok()?;
        plain.then_some(Checkpoint { origin: origin.to_owned(), size: size.parse().ok()?, root })
    }

    /// The checkpoint of a note; signatures are not verified.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn unverified(note: &str) -> Result<Self, NoteError> {
        let (body, _) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        Checkpoint::parse(&format!("{body}\n")).ok_or(NoteError::Malformed)
    }
}

/// The private key of the journal, ready to sign.
pub struct NoteSigner {
    verifier: NoteVerifier,
    key: SigningKey,
}

impl NoteSigner {
    fn of(key: &NoteKey) -> JournalResult<Self> {
        let broken = || JournalError::corrupt("the stored checkpoint key is not an Ed25519 key");
        let bytes = Zeroizing::new(BASE64.decode(&key.private_key).map_err(|_| broken())?);
        let signing = SigningKey::try_from(bytes.as_slice()).map_err(|_| broken())?;
        Ok(NoteSigner { verifier: NoteVerifier::of(key)?, key: signing })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// The signed checkpoint of a tree.
    #[must_use]
    pub fn sign(&self, tree: &Frontier) -> String {
        let body = Checkpoint::of(&self.verifier.name, tree).body();
        let signature = [self.verifier.id().as_slice(), &self.key.sign(body.as_bytes()).to_bytes()].concat();
        format!("{body}\n\u{2014} {} {}\n", self.verifier.name, BASE64.encode(signature))
    }
}

/// The signer of a node's journal; creates the key if it does not exist. Concurrent calls of several nodes end up with
/// one key.
///
/// The journal's name is random: a name made from its address would change with the address, and earlier signed
/// checkpoints could then no longer be held against the journal.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn signer(node: &Node) -> JournalResult<NoteSigner> {
    if let Some(key) = key(node).await? {
        return NoteSigner::of(&key);
    }
    let private = SigningKey::from_bytes(&Zeroizing::new(crate::vault::random()));
    let key = NoteKey {
        name: format!("registrar/{}", Uuid::new_v4()),
        public_key: BASE64.encode(private.verifying_key().as_bytes()),
        private_key: BASE64.encode(private.to_bytes()),
    };
    let establish = Establish { key };
    let context = RequestContext::system();
    match node.executor.execute::<CheckpointKey>(&context, CHECKPOINT_KEY_ID, establish, None).await {
        Ok(_) => {}
        Err(ExecuteError::Journal(error)) => return Err(error),
        Err(ExecuteError::Refused(never)) => match never {},
    }
    NoteSigner::of(&self::key(node).await?.ok_or_else(|| JournalError::corrupt("the checkpoint key is missing"))?)
}

/// The key of a node's journal, if it exists.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn key(node: &Node) -> JournalResult<Option<NoteKey>> {
    let (_, state) = node.executor.state::<CheckpointKey>(CHECKPOINT_KEY_ID).await?;
    Ok(state.key().cloned())
}

#[cfg(test)]
mod tests;
