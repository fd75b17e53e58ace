//! `registrar health`.

use super::serve::on_this_machine;
use crate::config::AddressArgs;
use anyhow::{Context, ensure};
use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest time to wait for the server. Container runtimes give up after five seconds as the image is made.
const PATIENCE: Duration = Duration::from_secs(4);
/// Asks for liveness, not readiness: restarting a container does not help while its database is away.
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// Longest first line of a response that is read.
const LINE_BYTES_MAX: u64 = 256;

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Address and port that the server listens on [default: 127.0.0.1:8080]
    #[arg(long, env = "REGISTRAR_LISTEN", value_name = "ADDRESS:PORT", hide_env_values = true)]
    listen: Option<String>,
    /// File of the server's certificate: it is asked over TLS if there is one [default: HTTP in the clear]
    #[arg(long, env = "REGISTRAR_TLS_CERT", value_name = "FILE", hide_env_values = true)]
    tls_cert: Option<OsString>,
}

pub(super) async fn run(args: HealthArgs) -> anyhow::Result<()> {
    let HealthArgs { listen, tls_cert } = args;
    let (address, _) = AddressArgs { listen, public_url: None }.resolve()?;
    let address = on_this_machine(address);
    let asked = tokio::time::timeout(PATIENCE, ask(address, tls_cert.is_some_and(|file| !file.is_empty())));
    let told = asked.await.with_context(|| format!("the server at {address} does not answer in time"))?;
    let line = told.with_context(|| format!("the server at {address} does not answer"))?;
    ensure!(line.split(' ').nth(1) == Some("200"), "the server at {address} does not answer as a healthy one");
    Ok(())
}

/// The first line of the response.
async fn ask(address: SocketAddr, over_tls: bool) -> anyhow::Result<String> {
    let stream = TcpStream::connect(address).await?;
    if !over_tls {
        return Ok(exchange(stream).await?);
    }
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    Ok(exchange(connector.connect(ServerName::IpAddress(address.ip().into()), stream).await?).await?)
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<String> {
    stream.write_all(REQUEST).await?;
    stream.flush().await?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    Ok(line)
}

/// Accepts any certificate. Its names are those that clients use, not the address asked here, and its validity is for
/// clients to check; the request holds no secret, and only the status of the response is used.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
