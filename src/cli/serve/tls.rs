//! The TLS listener. Its certificate is read again whenever the files change, so a renewed one needs no restart.

use crate::vault::TlsFiles;
use crate::vault::private_file;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsAcceptor;

/// Interval at which the files are checked.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// Unusable files for the listener. The message says how to fix them.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{path} cannot be used for TLS: {reason}")]
    File { path: String, reason: String },
    /// Certificate and key do not match.
    #[error("the certificate and the key for TLS do not fit: {0}")]
    Pair(#[from] rustls::Error),
}

/// The certificate shown to new connections.
#[derive(Debug)]
pub(super) struct ServerCertificate {
    files: TlsFiles,
    current: RwLock<(Arc<CertifiedKey>, Stamp)>,
}

/// Modification times of the files.
type Stamp = [Option<SystemTime>; 2];

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}

impl ServerCertificate {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(super) fn open(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let stamp = stamp(&files);
        let current = RwLock::new((Arc::new(read(&files)?), stamp));
        Ok(Arc::new(ServerCertificate { files, current }))
    }

    /// An acceptor for TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(super) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?;
        let mut config =
            builder.with_no_client_auth().with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reloads the certificate whenever the files change, for as long as the server runs. Unusable files are logged,
    /// and the former certificate stays.
    pub(super) async fn keep_up(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_AROUND).await;
            self.look();
        }
    }

    fn look(&self) {
        let stamp = stamp(&self.files);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).1 == stamp {
            return;
        }
        let read = read(&self.files);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Recorded at once: files that are written one after the other change again.
        current.1 = stamp;
        match read {
            Ok(certified) => {
                current.0 = Arc::new(certified);
                tracing::info!("the certificate for TLS was read anew");
            }
            Err(error) => tracing::error!(%error, "the certificate for TLS was not read anew"),
        }
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.certificate, &files.key].map(|path| std::fs::metadata(path).and_then(|file| file.modified()).ok())
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let failed = |path: &Path, reason: &dyn std::fmt::Display| TlsError::File {
        path: path.display().to_string(),
        reason: reason.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&files.certificate, &error))?;
    if chain.is_empty() {
        return Err(failed(&files.certificate, &"it holds no certificate"));
    }
    let key = private_file::read(&files.key).map_err(|error| failed(&files.key, &error))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| failed(&files.key, &error))?;
    Ok(CertifiedKey::from_der(chain, key, &ring::default_provider())?)
}
