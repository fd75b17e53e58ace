//! Telemetry of the process: logs on standard error, traces over OTLP, metrics for Prometheus.

use crate::security::TARGET as SECURITY;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithHttpConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

const LOG: &str = "REGISTRAR_LOG";
/// Either of them turns traces on; the exporter decides which one counts (OpenTelemetry protocol exporter
/// specification).
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// Targets of traces: the variables that are set, with their values.
pub(crate) fn endpoints() -> impl Iterator<Item = (&'static str, String)> {
    let set = |name| Some((name, std::env::var(name).ok()?));
    ENDPOINTS.into_iter().filter_map(set).filter(|(_, url)| !url.is_empty())
}

/// Longest wait for sending the last traces.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Buckets from a query of a cached document to a request that is about to be given up, in seconds.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Reason why telemetry cannot start. The message says how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of the log is invalid.
    #[error("{LOG} must be a level such as info, or levels such as info,registrar=debug: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Traces cannot be sent.
    #[error("traces cannot be sent; check {endpoint}: {reason}", endpoint = ENDPOINTS[0])]
    Traces {
        /// Reason of the failure.
        reason: String,
    },
    /// A logger is installed in the process already.
    #[error("the log is set up twice")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Lives as long as the process; dropping it sends the remaining traces.
#[must_use]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Notices of PostgreSQL about existing objects of statements with `if not exists`.
const QUIET: &str = "sqlx::postgres::notice=warn";

/// Starts logs and traces. `level` counts unless `REGISTRAR_LOG` says otherwise.
///
/// Must be called, and its result dropped, outside the async runtime: the client that sends traces has a thread of its
/// own and blocks.
///
/// # Errors
/// [`TelemetryError`].
pub fn start(level: &str) -> Result<Telemetry, TelemetryError> {
    let given = std::env::var(LOG).ok().filter(|text| !text.trim().is_empty());
    let filter = match &given {
        Some(given) => filter_of(given)?,
        None => EnvFilter::try_new(format!("{level},{QUIET}"))?,
    };
    let traces = if endpoints().next().is_some() { Some(trace_provider()?) } else { None };
    // Only our own spans: those of the client that sends them would be sent in turn. Lines of the security log name
    // addresses and accounts, which readers of traces must not see.
    let exported = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer("registrar")).with_filter(filter_fn(|metadata| {
            metadata.target().starts_with("registrar") && metadata.target() != SECURITY
        }))
    });
    tracing_subscriber::registry().with(lines().with_filter(filter)).with(exported).try_init()?;
    Ok(Telemetry { traces })
}

/// The operator's filter. The security log passes every filter that does not name it: a level meant for all other lines
/// must not hide attacks.
fn filter_of(given: &str) -> Result<EnvFilter, TelemetryError> {
    let filter = EnvFilter::try_new(given)?;
    let named = given.split(',').any(|directive| directive.starts_with(SECURITY));
    Ok(if named { filter } else { filter.add_directive(format!("{SECURITY}=info").parse()?) })
}

/// One event a line: text on a terminal, JSON elsewhere.
fn lines<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(false).boxed()
    }
}

fn trace_provider() -> Result<SdkTracerProvider, TelemetryError> {
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Traces { reason: error.to_string() };
    // Fails if a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Only the configured collector is sent to; redirects are not followed. A proxy may lead to it.
    let client = http_client::blocking::Client::builder().redirect(http_client::redirect::Policy::none());
    let client = client.build().map_err(|error| failed(&error))?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .build()
        .map_err(|error| failed(&error))?;
    let resource = Resource::builder();
    let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource,
        None => resource.with_service_name("registrar"),
    };
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take()
            && let Err(error) = traces.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Metrics since the process started. The first call starts measuring.
pub fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let start = || {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("somebody else in this process collects the metrics");
        }
        handle
    };
    HANDLE.get_or_init(start).clone()
}

#[cfg(test)]
mod tests {
    use super::{SECURITY, filter_of};
    use tracing_subscriber::filter::LevelFilter;

    #[test]
    fn no_level_silences_the_security_log_but_one_of_its_own() {
        for (given, kept) in [
            ("error", "registrar::security=info,error"),
            ("off", "registrar::security=info,off"),
            ("registrar=error", "registrar::security=info,registrar=error"),
            ("registrar::security=warn,error", "registrar::security=warn,error"),
            ("error,registrar::security=off", "registrar::security=off,error"),
        ] {
            assert_eq!(filter_of(given).expect("a filter").to_string(), kept, "{given}");
        }
        assert_eq!(filter_of("error").expect("a filter").max_level_hint(), Some(LevelFilter::INFO));
        assert!(filter_of("=;=").is_err());
        assert_eq!(SECURITY, "registrar::security");
    }

    #[test]
    fn durations_are_told_in_buckets() {
        let handle = super::metrics();
        metrics::histogram!("telemetry_test_seconds").record(0.003);
        let text = handle.render();
        assert!(text.contains("telemetry_test_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("telemetry_test_seconds_bucket{le=\"0.0025\"} 0"), "{text}");
    }

    #[test]
    fn asking_twice_gives_the_same_metrics() {
        let (one, other) = (super::metrics(), super::metrics());
        metrics::counter!("telemetry_test_total").increment(1);
        assert!(one.render().contains("telemetry_test_total 1"));
        assert!(other.render().contains("telemetry_test_total 1"));
    }
}
