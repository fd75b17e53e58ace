//! Certificates whose keys sign messages of SNS. The permitted origin that one comes from makes it good, and not its
//! issuer: Amazon's are asked over TLS.

use chrono::{DateTime, TimeDelta, Utc};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::time::Duration;
use x509_cert::der::Decode;

/// Identifier of RSA keys (RFC 8017).
const RSA: &str = "1.2.840.113549.1.1.1";
/// Largest difference of the clocks.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// Algorithm of a signature, by its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// Version 1.
    Sha1,
    /// Version 2.
    Sha256,
}

impl Algorithm {
    pub(super) fn of_version(version: &str) -> Option<Self> {
        match version {
            "1" => Some(Algorithm::Sha1),
            "2" => Some(Algorithm::Sha256),
            _ => None,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Algorithm::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

/// A certificate with an RSA key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// The key (PKCS #1).
    key: Vec<u8>,
    begins_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
}

impl Certificate {
    /// Reads the first certificate of a text of PEM; `None` if it has none with an RSA key.
    pub(super) fn read(pem: &[u8]) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        let certificate = x509_cert::Certificate::from_der(&der).ok()?;
        let content = certificate.tbs_certificate();
        let info = content.subject_public_key_info();
        if info.algorithm.oid.to_string() != RSA {
            return None;
        }
        let key = info.subject_public_key.as_bytes()?.to_vec();
        let [begins_at, ends_at] = [content.validity().not_before, content.validity().not_after];
        Some(Certificate {
            key,
            begins_at: time(begins_at.to_unix_duration())?,
            ends_at: time(ends_at.to_unix_duration())?,
        })
    }

    pub(super) fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.begins_at <= now + CLOCKS_DIFFER && now <= self.ends_at
    }

    /// Whether the key has signed a message. Keys shorter than 2048 bits sign nothing.
    pub(super) fn has_signed(&self, message: &[u8], algorithm: Algorithm, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(algorithm.verification(), &self.key).verify(message, signature).is_ok()
    }
}

fn time(since: Duration) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(since.as_secs()).ok()?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;

    /// A certificate of a hundred years with a key of 2048 bits; both are in `tests/e2e/sns/`.
    const PEM: &str = include_str!("../../../../tests/e2e/sns/certificate.pem");
    /// Signatures of `hello` by its key, made by OpenSSL.
    const BY_SHA1: &str = "Lm8MdzpK0P8RGfMuV2ShgcsIjERj07LErOkW3YvtuUt4DSxy+pg0bv0IOT+pphKIXtug3Iy66bmfrYIUvsH/t25YIDin6hG9m3nwa9B/Bxwqk6S/yp+ZGwLo7sGNRjkZp88o21OCZ+6NNPcYpHZN4DwZIJ3XXXisAOkgtS/mBvltRRKUpUaCPgIPYJu5fPI8CPqV/pGlPQJOjSs7A0qbBiY3fbTy9HS7XYdr5BevjAJD3r2sw9VDPOFeImv1IJbFIRGH428UjILZ+bfzZivq8EtublmLG5xLzJbKcCQI9xTClCnINnwfB+MHBzPgnh6W4xFMvW6ENkxNHlO6oUG6lw==";
    const BY_SHA256: &str = "KDKqvzu+KZ7/KvB6X+OLVjJNSOqXGSA+vjZi/pgL3GMYWjtzdo8dyJfolFk0A2ga+MtQHwMy6koWYUxeYDu5dau34Hk4zjSJF0li03fwT49uDqAkHbQogtDOC1QZvv3ugtECgX+E81XkAg9Lmy0EGddUFWRZ0/0l30etVBMMHSZjgSMrf3zQUniORefC+xOZLYyYWyqK8cS+BFAweP3V/q+uRaY2crN4h/QS4QkHEExYA1mivhLBRc2oSDipAyEyMT3BLhYFOUEScOhrLCHQcGYCs1p8Ng0n3D/aVIWW+9D+WlUAyanCnOErd2UbqatcHs4KcDo9c0rEz/RDPVKn3w==";

    fn certificate() -> Certificate {
        Certificate::read(PEM.as_bytes()).expect("a certificate")
    }

    #[test]
    fn a_signature_of_either_version_is_verified() {
        let verified = |message: &[u8], algorithm, signature: &str| {
            let signature = BASE64.decode(signature).expect("Base64");
            certificate().has_signed(message, algorithm, &signature)
        };
        let [one, two] = ["1", "2"].map(|version| Algorithm::of_version(version).expect("a version"));
        assert!(verified(b"hello", one, BY_SHA1) && verified(b"hello", two, BY_SHA256));
        assert!(!verified(b"hallo", one, BY_SHA1) && !verified(b"hallo", two, BY_SHA256));
        assert!(!verified(b"hello", two, BY_SHA1) && !verified(b"hello", one, BY_SHA256));
        assert!(!verified(b"hello", two, "") && !verified(b"hello", two, "aGVsbG8="));
        for version in ["", "0", "3", "sha256", "1 "] {
            assert_eq!(Algorithm::of_version(version), None, "{version}");
        }
    }

    #[test]
    fn a_certificate_counts_from_its_beginning_to_its_end() {
        let Certificate { begins_at, ends_at, .. } = certificate();
        let second = TimeDelta::seconds(1);
        assert!(certificate().is_valid_at(begins_at - CLOCKS_DIFFER) && certificate().is_valid_at(ends_at));
        assert!(!certificate().is_valid_at(begins_at - CLOCKS_DIFFER - second));
        assert!(!certificate().is_valid_at(ends_at + second));
    }

    #[test]
    fn anything_but_a_certificate_with_an_rsa_key_is_refused() {
        let elliptic = include_str!("../../../../tests/e2e/tls/one.cert.pem");
        let cut = &PEM[..PEM.len() / 2];
        let altered = PEM.replacen("MII", "MIJ", 1);
        for pem in ["", "no certificate", elliptic, cut, &altered] {
            assert_eq!(Certificate::read(pem.as_bytes()), None, "{pem}");
        }
    }
}
