//! `engine bundle`: one file of a folder of specs, for devices that pull their specs.

use std::path::{Path, PathBuf};

use engine_core::report::counted;
use engine_spec::device::Device;
use jiff::{Timestamp, Unit};
use secrecy::SecretString;

use crate::args::BundleArgs;
use crate::exit::{CommandError, Kind};
use crate::fleet::bundle::{collect, pack};
use crate::fleet::key::{KEY_VARIABLE, SigningKey, keep, sha256};
use crate::{fleet, folder, show};

/// Makes a bundle, or a key.
pub fn run(args: &BundleArgs) -> Result<(), CommandError> {
    match (&args.new_key, &args.folder) {
        (Some(path), _) => new_key(path),
        (None, Some(folder)) => bundle(args, folder),
        (None, None) => Err(CommandError::new(Kind::Usage, "no folder of specs is named")),
    }
}

fn new_key(path: &Path) -> Result<(), CommandError> {
    let (key, text) = SigningKey::generate()?;
    keep(path, &text).map_err(|error| {
        CommandError::new(
            Kind::Environment,
            format!("the private key cannot be written to {}: {error}", path.display()),
        )
        .hint("a key that is there is never overwritten; name another file")
    })?;
    show::print(&format!("{}\n", key.public()));
    Ok(())
}

fn bundle(args: &BundleArgs, folder: &Path) -> Result<(), CommandError> {
    let usage = |message: String| CommandError::new(Kind::Usage, message);
    let specs = fleet::validate(&Device::default(), folder).map_err(|why| {
        usage(format!("nothing is made of {}: {why}", folder.display()))
            .hint("`engine validate-spec` shows every finding")
    })?;
    let files = collect(folder).map_err(usage)?;
    let created = args.created.unwrap_or_else(Timestamp::now);
    let created = created.round(Unit::Second).map_err(|error| usage(format!("--created: {error}")))?;
    let version = args.version.clone().unwrap_or_else(|| created.to_string());
    let key = signing_key(args.key.as_ref())?;
    let bundle = pack(&version, created, &files, key.as_ref()).map_err(usage)?;
    folder::replace(&args.output, &bundle).map_err(|error| {
        CommandError::new(Kind::Environment, format!("{} cannot be written: {error}", args.output.display()))
    })?;
    let signed = key.as_ref().map_or("not signed".to_owned(), |key| format!("signed with {}", key.public()));
    show::print(&format!(
        "{}: version {version}, {} in {}, {signed}\nsha256={}\n",
        args.output.display(),
        counted(specs.len() as u64, "spec"),
        counted(files.len() as u64, "file"),
        sha256(&bundle)
    ));
    Ok(())
}

fn signing_key(path: Option<&PathBuf>) -> Result<Option<SigningKey>, CommandError> {
    let text = match path {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            CommandError::new(Kind::Environment, format!("the private key {} cannot be read: {error}", path.display()))
        })?,
        None => match std::env::var(KEY_VARIABLE) {
            Ok(text) if !text.trim().is_empty() => text,
            _ => return Ok(None),
        },
    };
    SigningKey::read(&SecretString::from(text)).map(Some)
}
