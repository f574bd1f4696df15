//! The values of the metrics as OpenMetrics text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use engine_core::freshness::{BOUNDS_SECONDS, Freshness};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{Fleet, LABEL_CHARS_MAX, LABELS_MAX, METRICS, Metric, Seen, Values};
use crate::show::clip;

type Labels = Vec<(String, String)>;

/// The text.
pub(super) fn text(fleet: &Fleet) -> Result<String, fmt::Error> {
    let mut samples: Vec<Family> = METRICS.iter().map(|metric| Family { metric, samples: Vec::new() }).collect();
    for family in &mut samples {
        family.fill(fleet);
    }
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Arc::new(Families(samples))));
    let mut out = String::new();
    encode(&mut out, &registry)?;
    Ok(out)
}

/// All that is served.
struct Families(Vec<Family>);

/// A metric with its values.
struct Family {
    metric: &'static Metric,
    samples: Vec<(Labels, Sample)>,
}

enum Sample {
    Number(f64),
    Histogram(Freshness),
}

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|family| family.metric.name)).finish()
    }
}

impl Family {
    fn fill(&mut self, fleet: &Fleet) {
        let label = self.metric.label;
        let of_process = |value: Option<f64>| value.map(|value| (Labels::new(), Sample::Number(value)));
        match self.metric.values {
            Values::ProcessCounter(value) | Values::ProcessGauge(value) => {
                self.samples.extend(of_process(value(fleet)));
            }
            Values::Build => {
                let version = label.map(|label| (label.to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
                self.samples.push((version.into_iter().collect(), Sample::Number(1.0)));
            }
            Values::Freshness => {
                let counted = fleet.pipelines.iter();
                self.samples
                    .extend(counted.map(|seen| (labels(seen, None), Sample::Histogram(seen.tally.freshness.clone()))));
            }
            Values::Counter(_) | Values::Gauge(_) | Values::Own(_) => {
                for seen in &fleet.pipelines {
                    let mut tell = |own: &str, value: f64| {
                        let own = label.map(|label| (label, own));
                        self.samples.push((labels(seen, own), Sample::Number(value)));
                    };
                    match (&self.metric.values, &seen.known) {
                        (Values::Counter(values) | Values::Own(values), _) => values(seen, &mut tell),
                        (Values::Gauge(values), Some(known)) => values(known, fleet.at, &mut tell),
                        _ => {}
                    }
                }
            }
        }
    }
}

/// The labels of a value: the pipeline, those of its spec, and the metric's own.
fn labels(seen: &Seen, own: Option<(&str, &str)>) -> Labels {
    // Two names may become the same; the first keeps it.
    let mut of_spec: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in seen.labels.iter().take(LABELS_MAX) {
        of_spec.entry(label_name(name)).or_insert(value);
    }
    let pipeline = ("pipeline".to_owned(), seen.id.clone());
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let of_spec = of_spec.into_iter().map(|(name, value)| (name, clip(value, LABEL_CHARS_MAX)));
    let all = std::iter::once(pipeline).chain(of_spec).chain(own);
    all.map(|(name, value)| (name, escaped(&value))).collect()
}

/// The library writes a value as it stands; the format wants three characters escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn label_name(name: &str) -> String {
    let fit = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    "label_".chars().chain(fit).collect()
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { metric, samples } in &self.0 {
            let kind = match metric.kind() {
                "counter" => MetricType::Counter,
                "histogram" => MetricType::Histogram,
                _ => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(metric.name, &format!("{}.", metric.help), None, kind)?;
            for (labels, sample) in samples {
                if labels.is_empty() {
                    write(&mut family, metric, sample)?;
                } else {
                    write(&mut family.encode_family(labels)?, metric, sample)?;
                }
            }
        }
        Ok(())
    }
}

fn write(encoder: &mut MetricEncoder<'_>, metric: &Metric, sample: &Sample) -> fmt::Result {
    match sample {
        Sample::Number(value) if metric.kind() == "counter" => {
            encoder.encode_counter::<NoLabelSet, f64, f64>(value, None)
        }
        Sample::Number(value) => encoder.encode_gauge(value),
        Sample::Histogram(freshness) => {
            let bounds = BOUNDS_SECONDS.into_iter().chain([f64::MAX]);
            let buckets: Vec<(f64, u64)> = bounds.zip(freshness.buckets).collect();
            encoder.encode_histogram::<NoLabelSet>(freshness.sum_seconds, freshness.records(), &buckets, None)
        }
    }
}
