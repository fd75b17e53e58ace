//! Programs that identify themselves by a token of their cluster. A file read at start maps each program to its service
//! account.

use crate::vault::private_file;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use registrar_aggregates::values::UserId;
use serde::Deserialize;
use sha2::{Digest, Sha512};
use std::path::Path;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// A program and its service account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Workload {
    /// Namespace of the program.
    pub namespace: String,
    /// Name of the program within its namespace.
    pub name: String,
    /// SHA-512 of its token: 128 hexadecimal digits, or base64.
    pub token_sha512: String,
    /// The user that the program acts as; a program without one is recognised and has no rights.
    #[serde(default)]
    pub user: Option<Uuid>,
}

/// All known programs.
#[derive(Debug, Clone, Default)]
pub struct Workloads(Vec<Workload>);

impl Workloads {
    /// Reads the programs from a file: a JSON array. Its digests are as good as the tokens at `/v1/internal-auth/`, so
    /// it is a secret.
    ///
    /// # Errors
    /// A text that describes the defect of the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = private_file::read(path).map_err(|error| error.to_string())?;
        let workloads: Vec<Workload> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match workloads.iter().find(|workload| digest(&workload.token_sha512).is_none()) {
            Some(unfit) => Err(format!("token-sha512 of {}/{} is no SHA-512", unfit.namespace, unfit.name)),
            None => Ok(Workloads(workloads)),
        }
    }

    /// The program with this name and this digest of its token.
    #[must_use]
    pub fn by_digest(&self, namespace: &str, name: &str, token_sha512: &str) -> Option<&Workload> {
        let shown = digest(token_sha512)?;
        let mut named = self.0.iter().filter(|workload| workload.namespace == namespace && workload.name == name);
        named.find(|workload| workload.has(&shown))
    }

    /// The program that a token belongs to.
    #[must_use]
    pub fn by_token(&self, token: &str) -> Option<&Workload> {
        let shown = Sha512::digest(token.as_bytes());
        self.0.iter().find(|workload| workload.has(&shown))
    }
}

impl Workload {
    /// The user that the program acts as.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.user.map(UserId)
    }

    fn has(&self, shown: &[u8]) -> bool {
        digest(&self.token_sha512).is_some_and(|known| known.ct_eq(shown).into())
    }
}

/// The 64 bytes that a text encodes.
fn digest(text: &str) -> Option<Vec<u8>> {
    let bytes = if text.len() == 128 {
        let pairs = text.as_bytes().chunks(2);
        let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        pairs.map(byte).collect::<Option<Vec<u8>>>()?
    } else {
        BASE64_STANDARD.decode(text).ok()?
    };
    (bytes.len() == 64).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workloads.json");
        std::fs::write(&path, "[]").unwrap();
        for (mode, fits) in [(0o644, false), (0o602, false), (0o640, true), (0o600, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = Workloads::read(&path);
            assert_eq!(read.is_ok(), fits, "{mode:o}");
            assert!(read.err().is_none_or(|told| told.contains("chmod 600")), "{mode:o}");
        }
    }

    #[test]
    fn a_program_is_known_by_its_token() {
        let digest = Sha512::digest("token");
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let workload = |token_sha512: &str| Workload {
            namespace: "clinic".into(),
            name: "records".into(),
            token_sha512: token_sha512.into(),
            user: None,
        };
        for text in [hex.clone(), hex.to_uppercase(), BASE64_STANDARD.encode(digest)] {
            let workloads = Workloads(vec![workload(&text)]);
            assert!(workloads.by_token("token").is_some() && workloads.by_token("other").is_none());
            assert!(workloads.by_digest("clinic", "records", &hex).is_some());
            assert!(workloads.by_digest("clinic", "other", &hex).is_none());
            assert!(workloads.by_digest("clinic", "records", "").is_none());
        }
        assert_eq!(super::digest("+f"), None);
    }
}
