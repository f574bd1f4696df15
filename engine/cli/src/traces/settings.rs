//! Where traces go: `telemetry.otlp` of engine.yaml, or the standard variables where it says nothing.

use std::path::{Path, PathBuf};

use engine_core::plan::{OTLP_TRACES_PATH, collector_at, collector_config};
use engine_core::ports::HttpConfig;
use engine_spec::device::Device;
use secrecy::SecretString;

use crate::references::ProcessReferences;
use crate::sandbox::Grants;

/// Where traces go, and which.
pub struct Settings {
    /// The collector.
    pub collector: HttpConfig,
    /// Share of the runs that are traced, from 0 to 1; `None` where the environment decides.
    pub sample: Option<f64>,
    /// Whether deliveries tell the destination which trace they belong to.
    pub traceparent: bool,
}

impl Settings {
    /// The settings of a device; `None` where there is no collector. One that cannot be used is said, and everything else
    /// goes on without traces.
    pub fn find(device: &Device, folder: &Path) -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return None;
        }
        let Some(otlp) = &device.telemetry.otlp else {
            return from_variables(variable)
                .unwrap_or_else(|message| {
                    no_traces(&message);
                    None
                })
                .map(|collector| Self { collector, sample: None, traceparent: false });
        };
        match collector_config(otlp, folder, &ProcessReferences::new(folder), false) {
            Ok(collector) => {
                let sample = otlp.sample.map(|share| share.0 / 100.0);
                Some(Self { collector, sample, traceparent: otlp.traceparent })
            }
            Err(errors) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                no_traces(&errors.join("; "));
                None
            }
        }
    }

    /// Adds what the collector needs of the file system.
    pub fn needs(&self, grants: &mut Grants) {
        let tls = &self.collector.tls;
        for file in [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten() {
            grants.read_around(file);
        }
    }
}

fn no_traces(message: &str) {
    tracing::error!(
        event = "traces_failed",
        hint = "correct it and restart; everything else runs",
        "there are no traces: {message}"
    );
}

/// The collector that the standard variables name. Those for traces go before those for everything.
fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<HttpConfig>, String> {
    let of_traces = |name: &str| variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
    let general = |name: &str| variable(&format!("OTEL_EXPORTER_OTLP_{name}"));
    let below = |base: String| format!("{}{OTLP_TRACES_PATH}", base.trim().trim_end_matches('/'));
    let Some(endpoint) = of_traces("ENDPOINT").or_else(|| general("ENDPOINT").map(below)) else { return Ok(None) };
    if let Some(protocol) = of_traces("PROTOCOL").or_else(|| general("PROTOCOL"))
        && protocol != "http/protobuf"
    {
        return Err(format!("OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, and only http/protobuf is spoken"));
    }
    let mut collector = collector_at(endpoint.trim().to_owned());
    if let Some(headers) = of_traces("HEADERS").or_else(|| general("HEADERS")) {
        collector.secret_headers = headers_of(&headers)?;
    }
    collector.tls.ca_file = of_traces("CERTIFICATE").or_else(|| general("CERTIFICATE")).map(PathBuf::from);
    Ok(Some(collector))
}

/// `name=value,name=value`, the values percent-encoded. Any of them may be a login.
fn headers_of(text: &str) -> Result<Vec<(String, SecretString)>, String> {
    let wrong = || "OTEL_EXPORTER_OTLP_HEADERS is not made of name=value, separated by commas".to_owned();
    let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
    entries
        .map(|entry| {
            let (name, value) = entry.split_once('=').ok_or_else(wrong)?;
            let value = decoded(value.trim()).ok_or_else(wrong)?;
            Ok((name.trim().to_owned(), SecretString::from(value)))
        })
        .collect()
}

/// What was percent-encoded. A `%` that begins no code stands for itself.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    /// `expected` is the address and the headers, or the error; empty where there is no collector.
    fn check(variables: &[(&str, &str)], expected: &str) {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let found = match from_variables(variable) {
            Ok(None) => String::new(),
            Ok(Some(collector)) => {
                let headers = collector.secret_headers.iter();
                let headers = headers.map(|(name, value)| format!(" {name}: {}.", value.expose_secret()));
                collector.url + &headers.collect::<String>()
            }
            Err(message) => message,
        };
        assert_eq!(found, expected, "{variables:?}");
    }

    #[test]
    fn the_standard_variables_name_a_collector() {
        check(&[], "");
        check(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b")], "");
        check(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/")], "http://c:4318/v1/traces");
        check(
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/in"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://d")],
            "http://c/in",
        );
        check(
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20YTpi==, x-team = a%2Cb%zz,"),
            ],
            "https://c/v1/traces authorization: Basic YTpi==. x-team: a,b%zz.",
        );
        check(
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c"), ("OTEL_EXPORTER_OTLP_HEADERS", "secret")],
            "OTEL_EXPORTER_OTLP_HEADERS is not made of name=value, separated by commas",
        );
        check(
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and only http/protobuf is spoken",
        );
    }
}
