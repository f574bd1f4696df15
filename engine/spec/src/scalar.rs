//! Scalars of the spec that carry a unit or a rule: periods, sizes, shares, ids, references.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

/// Longest period a spec can name: a hundred years. Keeps every sum of an instant and a period in range.
pub const PERIOD_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
/// Largest size a spec can name: 1 TiB.
pub const BYTE_SIZE_MAX: u64 = 1 << 40;

/// Pattern of a [`Period`]: whole numbers with a unit, joined, largest first.
pub const PERIOD_PATTERN: &str =
    r"^([0-9]{1,9}w)?([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$";
/// Pattern of a [`ByteSize`].
pub const BYTE_SIZE_PATTERN: &str = r"^[0-9]{1,12}(B|KiB|MiB|GiB|KB|MB|GB)?$";
/// Pattern of a [`Percent`].
pub const PERCENT_PATTERN: &str = r"^(100|[0-9]{1,2})(\.[0-9]{1,4})?%$";
/// Pattern of an [`Ident`].
pub const IDENT_PATTERN: &str = "^[a-z0-9][a-z0-9-]{0,62}$";
/// Pattern of the name of an environment variable or credential.
pub const REFERENCE_NAME_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_.-]{0,254}$";

/// A length of time: `30s`, `5m`, `2h`, `14d`, `1w`, `250ms`, or joined: `1h30m`. A day is 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a period: write `30s`, `5m`, `2h`, `14d` or joined `1h30m`");
        const UNITS: [(&str, u64); 6] =
            [("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
        let mut rest = text;
        let mut next_unit = 0;
        let mut millis: u64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 || digits > 9 {
                return Err(wrong());
            }
            let (number, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at(letters);
            let place = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
            if place < next_unit {
                return Err(wrong());
            }
            next_unit = place + 1;
            let number: u64 = number.parse().map_err(|_| wrong())?;
            millis = number.checked_mul(UNITS[place].1).and_then(|part| millis.checked_add(part)).ok_or_else(wrong)?;
            rest = after;
        }
        let period = Duration::from_millis(millis);
        if period > PERIOD_MAX {
            return Err(format!("`{text}` is longer than a hundred years"));
        }
        Ok(Self(period))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if millis >= length {
                write!(f, "{}{unit}", millis / length)?;
                millis %= length;
            }
        }
        Ok(())
    }
}

/// A size in bytes: `500KiB`, `1MiB`, `2GiB`; a bare number is bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size: write `500KiB`, `1MiB` or `2GiB`");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit: u64 = match unit {
            "" | "B" => 1,
            "KB" => 1000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
        if bytes > BYTE_SIZE_MAX {
            return Err(format!("`{text}` is more than 1 TiB"));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}B", self.0)
    }
}

/// A share between `0%` and `100%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(pub f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a share: write `5%`");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(wrong());
        }
        let share = number.parse::<f64>().map_err(|_| wrong())?;
        if share > 100.0 {
            return Err(format!("`{text}` is more than 100%"));
        }
        Ok(Self(share))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// The id of a pipeline: lower case letters, digits and hyphens, 63 characters at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ident(String);

impl Ident {
    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ident {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let fits = (1..=63).contains(&bytes.len())
            && bytes[0] != b'-'
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is not an id: lower case letters, digits and hyphens, 63 at most, no hyphen first"))
        }
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Implements `Deserialize` through `FromStr`, and the schema as a string with a pattern.
macro_rules! text_scalar {
    ($type:ty, $name:literal, $pattern:expr, $description:literal, $example:literal, min_length $min:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "format": $name, "minLength": $min, "description": $description, "examples": [$example]})
            }
        }
    };
}

text_scalar!(Period, "Period", PERIOD_PATTERN, "A length of time.", "5m", min_length 2);
text_scalar!(Percent, "Percent", PERCENT_PATTERN, "A share.", "5%", min_length 2);
text_scalar!(ByteSize, "ByteSize", BYTE_SIZE_PATTERN, "A size in bytes.", "1MiB", min_length 1);
text_scalar!(Ident, "Ident", IDENT_PATTERN, "An id.", "acme-bookings", min_length 1);

/// A scalar of the spec: text, number or truth value. Null is no value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self::Text(text)),
            serde_json::Value::Bool(truth) => Ok(Self::Bool(truth)),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Ok(Self::Int(whole)),
                (None, Some(float)) => Ok(Self::Float(float)),
                (None, None) => Err(D::Error::custom("a number out of range")),
            },
            _ => Err(D::Error::custom("expected text, a number or a truth value")),
        }
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}

/// Where a value comes from that is not in the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// An environment variable.
    Env {
        /// Its name.
        name: String,
        /// The value where it is not set.
        default: Option<String>,
    },
    /// A file; one trailing newline is removed. Relative to the file that names it.
    File(String),
    /// A file of that name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env { name, .. } => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

impl Reference {
    fn from_object(object: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let shape =
            "a reference is `{ env: NAME }`, `{ env: NAME, default: x }`, `{ file: PATH }` or `{ credential: NAME }`";
        let text = |key: &str| match object.get(key) {
            Some(serde_json::Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            _ => Err(shape.to_owned()),
        };
        let name = |key: &str| {
            text(key).and_then(|name| {
                if is_reference_name(&name) {
                    Ok(name)
                } else {
                    Err(format!("`{name}` cannot be the name of a variable or credential"))
                }
            })
        };
        let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
        keys.sort_unstable();
        match keys.as_slice() {
            ["env"] => Ok(Self::Env { name: name("env")?, default: None }),
            ["default", "env"] => {
                let default = match &object["default"] {
                    serde_json::Value::String(text) => text.clone(),
                    serde_json::Value::Number(number) => number.to_string(),
                    serde_json::Value::Bool(truth) => truth.to_string(),
                    _ => return Err(shape.to_owned()),
                };
                Ok(Self::Env { name: name("env")?, default: Some(default) })
            }
            ["file"] => Ok(Self::File(text("file")?)),
            ["credential"] => Ok(Self::Credential(name("credential")?)),
            _ => Err(shape.to_owned()),
        }
    }
}

fn is_reference_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=255).contains(&bytes.len())
        && (bytes[0].is_ascii_alphabetic() || bytes[0] == b'_')
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = serde_json::Map::deserialize(deserializer)?;
        Self::from_object(&object).map_err(D::Error::custom)
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "reference",
            "description": "A value that is not in the spec: an environment variable, a file or a systemd credential.",
            "type": "object",
            "properties": {
                "env": {"type": "string", "pattern": REFERENCE_NAME_PATTERN, "description": "Name of an environment variable.", "examples": ["ACME_DB_HOST"]},
                "default": {"type": ["string", "number", "boolean"], "description": "Value where the variable is not set.", "examples": ["localhost"]},
                "file": {"type": "string", "minLength": 1, "description": "Path of a file; its content is the value, one trailing newline removed.", "examples": ["/etc/engine/token"]},
                "credential": {"type": "string", "pattern": REFERENCE_NAME_PATTERN, "description": "Name of a file in $CREDENTIALS_DIRECTORY.", "examples": ["acme-db-password"]}
            },
            "additionalProperties": false,
            "minProperties": 1,
            "oneOf": [
                {"required": ["env"]},
                {"required": ["file"]},
                {"required": ["credential"]}
            ],
            "dependencies": {"default": ["env"]},
            "examples": [{"env": "ACME_DB_HOST", "default": "localhost"}]
        })
    }
}

/// A scalar of `source` or `destination`: written in the spec, or a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting<T> {
    /// Written in the spec.
    Literal(T),
    /// Resolved when the plan is made.
    Reference(Reference),
}

impl<T> Setting<T> {
    /// The value, where it is written in the spec.
    pub fn literal(&self) -> Option<&T> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Reference(_) => None,
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Object(object) => {
                Reference::from_object(&object).map(Self::Reference).map_err(D::Error::custom)
            }
            other => T::deserialize(other).map(Self::Literal).map_err(D::Error::custom),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Setting<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Setting_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let literal = generator.subschema_for::<T>();
        let reference = generator.subschema_for::<Reference>();
        json_schema!({"if": {"type": "object"}, "then": reference, "else": literal})
    }
}

/// A secret of the spec: a reference only, never a literal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub Reference);

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Reference>()
    }
}
