//! What the process tells about itself: logs on standard error, traces over OTLP, metrics for Prometheus.

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
/// Either of them turns traces on; which of them counts for what is the exporter's to know (OpenTelemetry protocol
/// exporter specification).
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// Where traces are sent: the variables that are set, with their values.
pub(crate) fn endpoints() -> impl Iterator<Item = (&'static str, String)> {
    let set = |name| Some((name, std::env::var(name).ok()?));
    ENDPOINTS.into_iter().filter_map(set).filter(|(_, url)| !url.is_empty())
}

/// How long the last traces may take on their way out.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// From a query of a cached document to a request that is about to be given up, in seconds.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Why the process cannot tell about itself. Reads as what to do.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of the log is not one.
    #[error("{LOG} must be a level such as info, or levels such as info,registrar=debug: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Traces cannot be sent.
    #[error("traces cannot be sent; check {endpoint}: {reason}", endpoint = ENDPOINTS[0])]
    Traces {
        /// What is in the way.
        reason: String,
    },
    /// Something in the process logs already.
    #[error("the log is set up twice")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Ends with the process; dropping it sends the traces that are still here.
#[must_use]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Remarks of PostgreSQL: that what is made if it is missing was there.
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
    // Spans of our own only: those of the client that sends them would be sent in turn. Lines of the security log name
    // addresses and accounts, which is nothing for those who look at traces.
    let exported = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer("registrar")).with_filter(filter_fn(|metadata| {
            metadata.target().starts_with("registrar") && metadata.target() != SECURITY
        }))
    });
    tracing_subscriber::registry().with(lines().with_filter(filter)).with(exported).try_init()?;
    Ok(Telemetry { traces })
}

/// The filter that the operator wants. The security log passes every one that does not name it: a level that is meant for
/// everything else must not blind those who watch for attacks.
fn filter_of(given: &str) -> Result<EnvFilter, TelemetryError> {
    let filter = EnvFilter::try_new(given)?;
    let named = given.split(',').any(|directive| directive.starts_with(SECURITY));
    Ok(if named { filter } else { filter.add_directive(format!("{SECURITY}=info").parse()?) })
}

/// One event a line: to be read on a terminal, JSON anywhere else.
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
    // Fails where there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The collector that the setting names is sent to and none that it points to. A proxy may lead to it.
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

/// What was measured since the process started. The first call starts measuring.
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
