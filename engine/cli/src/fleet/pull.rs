//! One look for new specs: pulled, trusted, unpacked and validated, before anything leads to them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine_connect::fetch::{self, Fetched};
use engine_core::fleet::manifest::BUNDLE_BYTES_MAX;
use engine_core::plan::{Endpoint, endpoint_config};
use engine_core::ports::Cancel;
use engine_core::report::counted;
use engine_spec::Severity;
use engine_spec::device::{Device, PublicKey, PulledSpecs, SpecsFrom};
use engine_spec::scalar::Setting;
use jiff::Timestamp;

use super::bundle::{self, Pulled, Trust};
use super::depot::{Bad, Depot, Record, Taken};
use super::git::{self, Repository};
use crate::exit::{CommandError, Kind};
use crate::project::{self, FoundSpec, plan_failure};
use crate::references::ProcessReferences;
use crate::schedule::Schedule;

/// Part of the device config, for messages.
const ROLE: &str = "fleet.specs";
/// Findings of specs that a message tells; all are counted.
const FINDINGS_TOLD_MAX: usize = 3;

/// Looks for new specs.
pub struct Puller {
    from: SpecsFrom,
    settings: PulledSpecs,
    keys: Vec<PublicKey>,
    device: Device,
    /// Folder of the device config.
    folder: PathBuf,
    /// Where they lie.
    pub depot: Depot,
    /// What was pulled last, and what became of it: the same is not pulled again.
    last: Option<Last>,
    /// Keeps other processes from pulling into the same folder.
    lock: Option<File>,
}

struct Last {
    /// ETag of a bundle, or commit.
    mark: String,
    /// What it is; `None` where it is not to be trusted.
    id: Option<String>,
    /// Why it was not taken.
    refused: Option<CommandError>,
}

impl Last {
    /// What is said of it when it is there again: it may have been rolled back meanwhile.
    fn again(&self, record: &Record) -> Result<(), CommandError> {
        let bad = self.id.as_ref().and_then(|id| record.bad_one(id)).map(rolled_back);
        bad.or_else(|| self.refused.clone()).map_or(Ok(()), Err)
    }
}

/// New specs, valid and unpacked, which nothing leads to yet.
pub struct New {
    /// What they are.
    pub taken: Taken,
    /// Ids of their pipelines.
    pub pipelines: Vec<String>,
}

impl Puller {
    /// A puller, where the device config names a place to pull from. Nothing is pulled yet.
    pub fn of(device: &Device, folder: &Path) -> Result<Option<Self>, CommandError> {
        let Some(settings) = device.fleet.as_ref().and_then(|fleet| fleet.specs.clone()) else { return Ok(None) };
        let usage = |message: String| CommandError::new(Kind::Usage, message);
        let from: SpecsFrom = settings.from.parse().map_err(usage)?;
        let keys: Result<Vec<PublicKey>, String> = settings.keys.iter().map(|key| key.parse()).collect();
        let keys = keys.map_err(usage)?;
        let has_signer = match &from {
            SpecsFrom::Bundle { .. } => !keys.is_empty(),
            SpecsFrom::Git { .. } => settings.allowed_signers.is_some(),
        };
        if !has_signer && !from.is_pinned() {
            return Err(usage(format!(
                "specs from {from} are neither signed nor pinned, so that whoever holds the server holds the device"
            ))
            .hint("name a key with `--specs-key`, or pin them with `#sha256=…` (`#commit=…` for git)"));
        }
        let depot = Depot::of(device, folder)?;
        Ok(Some(Self {
            from,
            settings,
            keys,
            device: device.clone(),
            folder: folder.to_owned(),
            depot,
            last: None,
            lock: None,
        }))
    }

    /// Whether it is this process that pulls into the folder, from now on to its end.
    pub fn holds(&mut self) -> Result<bool, CommandError> {
        if self.lock.is_none() {
            self.lock = self.depot.lock()?;
        }
        Ok(self.lock.is_some())
    }

    /// Time between two looks, where the device config says it.
    pub fn every(&self) -> Option<Duration> {
        self.settings.every.map(|every| every.0)
    }

    /// Where it pulls from, without what could be secret.
    pub fn place(&self) -> String {
        self.from.to_string()
    }

    /// Looks for new specs, and unpacks and validates them; `None` where there are none.
    pub fn pull(&mut self, record: &Record, now: Timestamp, cancel: &Cancel) -> Result<Option<New>, CommandError> {
        let (mark, pulled) = match self.ask(cancel).map_err(|error| self.say(error))? {
            Answer::AsBefore => return self.last.as_ref().map_or(Ok(()), |last| last.again(record)).map(|()| None),
            Answer::Pulled(mark, pulled) => (mark, pulled),
        };
        let id = pulled.as_ref().ok().map(|pulled| pulled.id.clone());
        let outcome = self.judge(record, pulled, now);
        // What this device could not do, for want of room perhaps, is tried again.
        self.last = match (&outcome, mark) {
            (Err(error), _) if error.kind == Kind::Environment => None,
            (outcome, Some(mark)) => Some(Last { mark, id, refused: outcome.as_ref().err().cloned() }),
            (_, None) => None,
        };
        outcome
    }

    fn say(&self, error: CommandError) -> CommandError {
        CommandError { message: format!("no specs come from {}: {}", self.from, error.message), ..error }
    }

    fn ask(&self, cancel: &Cancel) -> Result<Answer, CommandError> {
        let mark = self.last.as_ref().map(|last| last.mark.as_str());
        match &self.from {
            SpecsFrom::Bundle { url, sha256 } => {
                let url = Setting::Literal(url.clone());
                let settings = &self.settings;
                let endpoint = Endpoint {
                    url: &url,
                    headers: &settings.headers,
                    auth: settings.auth.as_ref(),
                    tls: settings.tls.as_ref(),
                };
                // A rotated secret is read again.
                let references = ProcessReferences::new(&self.folder);
                let config = endpoint_config(ROLE, &endpoint, &self.folder, &references)
                    .map_err(|errors| plan_failure(Path::new(project::DEVICE_FILE), &errors))?;
                let fetched = fetch::get(ROLE, &config, mark, BUNDLE_BYTES_MAX, cancel).map_err(|error| {
                    CommandError { kind: Kind::Environment, message: error.to_string(), hint: error.hint }
                })?;
                let Fetched::File(bytes, etag) = fetched else { return Ok(Answer::AsBefore) };
                let trust = sha256.as_deref().map_or(Trust::Signed(&self.keys), Trust::Pinned);
                let pulled = bundle::open(&bytes, trust)
                    .map_err(|why| refused(format!("the bundle is not taken: {why}"), "nothing of it was used"));
                Ok(Answer::Pulled(etag, pulled))
            }
            SpecsFrom::Git { remote, reference, path, commit } => {
                let signers = self.settings.allowed_signers.as_ref().map(|path| self.folder.join(path));
                // git is called in a folder of its own.
                let signers = signers.map(|path| std::path::absolute(&path).unwrap_or(path));
                let repository = Repository {
                    remote,
                    reference,
                    path,
                    commit: commit.as_deref(),
                    allowed_signers: signers.as_deref(),
                };
                let workshop = std::path::absolute(self.depot.workshop())?;
                let environment = |message: String| CommandError::new(Kind::Environment, message);
                let commit = git::fetch(&repository, &workshop, cancel).map_err(environment)?;
                if mark == Some(commit.as_str()) {
                    return Ok(Answer::AsBefore);
                }
                let pulled = git::read(&repository, &commit, &workshop, cancel)
                    .map_err(|why| refused(format!("commit {commit} is not taken: {why}"), "nothing of it was used"));
                Ok(Answer::Pulled(Some(commit), pulled))
            }
        }
    }

    /// Whether what was pulled is new and may be used; it is unpacked then.
    fn judge(
        &self,
        record: &Record,
        pulled: Result<Pulled, CommandError>,
        now: Timestamp,
    ) -> Result<Option<New>, CommandError> {
        let pulled = pulled?;
        let is_current = record.current.as_ref().is_some_and(|current| current.id == pulled.id);
        if is_current && self.depot.has(&pulled.id) {
            return Ok(None);
        }
        if let Some(bad) = record.bad_one(&pulled.id) {
            return Err(rolled_back(bad));
        }
        let may_be_older = self.from.is_pinned() || self.settings.allow_older == Some(true);
        if let Some(newest) = record.newest.filter(|newest| pulled.created < *newest && !may_be_older) {
            return Err(refused(
                format!(
                    "specs {} were made at {}, before those of {newest} that this device has taken",
                    pulled.version, pulled.created
                ),
                "make the bundle anew to go back to what is in it, or set `fleet.specs.allow_older`",
            ));
        }
        let folder = self.depot.unpack(record, &pulled)?;
        let specs = validate(&self.device, &folder).map_err(|why| {
            // Where they lie on the device says nothing to whoever wrote them.
            let folder = folder.display().to_string();
            let why = why.replace(&format!("{folder}/"), "").replace(&format!("{folder}: "), "");
            refused(
                format!("specs {} are not taken: {why}", pulled.version),
                "`engine validate-spec` and `engine bundle` find the same before specs are published",
            )
        })?;
        let Pulled { id, version, created, .. } = pulled;
        let pipelines = specs.iter().filter_map(|spec| Some(spec.loaded.spec.as_ref()?.id.to_string())).collect();
        Ok(Some(New { taken: Taken { id, version, created, taken: now }, pipelines }))
    }
}

enum Answer {
    AsBefore,
    Pulled(Option<String>, Result<Pulled, CommandError>),
}

fn refused(message: String, hint: &str) -> CommandError {
    CommandError::new(Kind::Usage, message).hint(hint)
}

/// What is said of specs that were tried and are not taken again.
pub fn rolled_back(bad: &Bad) -> CommandError {
    refused(
        format!("specs {} were rolled back and are not taken again: {}", bad.version, bad.why),
        "put the spec right, and make a new bundle or commit",
    )
}

/// The specs of a folder, where all of them may be used on a device; otherwise what is wrong, in words.
pub fn validate(device: &Device, folder: &Path) -> Result<Vec<FoundSpec>, String> {
    let specs = project::specs_in(folder).map_err(|error| error.message)?;
    if specs.is_empty() {
        return Err("there is no spec in them".to_owned());
    }
    let name =
        |name: &str| Path::new(name).strip_prefix(folder).map_or(name.to_owned(), |name| name.display().to_string());
    let mut wrong = Vec::new();
    for spec in &specs {
        for finding in spec.loaded.diagnostics.iter().filter(|finding| finding.severity == Severity::Error) {
            let text = finding.companion.as_deref().unwrap_or(&spec.loaded.file.text);
            let at = text.line_column(finding.span.start);
            wrong.push(format!("{}:{}:{}: {}", name(&text.name), at.line, at.column, finding.message));
        }
        let Some(typed) = spec.loaded.spec.as_ref().filter(|_| !spec.loaded.has_errors()) else { continue };
        let path = name(&spec.path.display().to_string());
        if let Err(error) = Schedule::of(&typed.schedule) {
            wrong.push(format!("{path}: {error}"));
        }
        // What only the environment of a run has is left open here.
        if let Err(error) = project::plan_on(device, spec, true)
            && error.kind == Kind::Usage
        {
            wrong.push(error.message.replace(&spec.path.display().to_string(), &path));
        }
    }
    if wrong.is_empty() {
        return Ok(specs);
    }
    let more = wrong.len().saturating_sub(FINDINGS_TOLD_MAX);
    wrong.truncate(FINDINGS_TOLD_MAX);
    let more = if more > 0 { format!("; and {}", counted(more as u64, "more finding")) } else { String::new() };
    Err(wrong.join("; ") + &more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_findings_are_told_than_can_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(validate(&Device::default(), folder.path()).is_err(), "an empty folder");
        for name in ["a", "b", "c", "d", "e"] {
            std::fs::write(folder.path().join(format!("{name}.yaml")), "version: 1\nid: [").expect("written");
        }
        let why = validate(&Device::default(), folder.path()).err().expect("they are broken");
        assert_eq!(why.matches(".yaml:").count(), FINDINGS_TOLD_MAX, "{why}");
        assert!(why.starts_with("a.yaml:") && why.contains("more finding"), "{why}");
    }
}
