//! Values that were read elsewhere, as metrics of the registry. Pure.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// A sample's labels, in order.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A sum that only grows.
pub(super) fn counter(
    registry: &mut Registry,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels, f64)>,
) {
    register(registry, name, help, MetricType::Counter, samples);
}

/// A value that comes and goes.
pub(super) fn gauge(
    registry: &mut Registry,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels, f64)>,
) {
    register(registry, name, help, MetricType::Gauge, samples);
}

fn register(
    registry: &mut Registry,
    name: &str,
    help: &str,
    kind: MetricType,
    samples: impl IntoIterator<Item = (Labels, f64)>,
) {
    let samples = samples.into_iter().collect();
    registry.register(name, help, Samples { kind, samples });
}

/// Values that were read elsewhere.
#[derive(Debug)]
struct Samples {
    kind: MetricType,
    samples: Vec<(Labels, f64)>,
}

impl EncodeMetric for Samples {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        for (labels, value) in &self.samples {
            let mut encoder = encoder.encode_family(labels)?;
            match self.kind {
                MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, f64>(value, None)?,
                _ => encoder.encode_gauge(value)?,
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        self.kind
    }

    fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// How long batches took, an export each.
#[derive(Debug)]
pub(super) struct Latencies(pub Vec<(Labels, Histogram)>);

impl EncodeMetric for Latencies {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        for (labels, latency) in &self.0 {
            latency.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
