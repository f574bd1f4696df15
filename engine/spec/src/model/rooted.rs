//! Files that a destination names, from the folder of the file that it stands in: `engine.yaml` lies elsewhere than specs.

use std::path::Path;

use super::{
    Auth, Destination, EnlyzeDestination, HeaderValue, HttpDestination, Reference, Secret, Setting, Timeouts, Tls,
};

impl Destination {
    /// Makes the files that it names relative to itself lie below this folder: those of references, and those of `tls`.
    /// The path of a file destination is relative to the working directory, and stays so.
    pub fn root(&mut self, folder: &Path) {
        match self {
            Self::Enlyze(destination) => enlyze(destination, folder),
            Self::Http(destination) => http(destination, folder),
            Self::File(destination) => setting(&mut destination.path, folder),
            Self::Stdout(_) => {}
        }
    }
}

fn enlyze(destination: &mut EnlyzeDestination, folder: &Path) {
    setting(&mut destination.url, folder);
    destination.token.iter_mut().chain(&mut destination.password).for_each(|one| secret(one, folder));
    destination.username.iter_mut().for_each(|one| setting(one, folder));
    destination.tls.iter_mut().for_each(|one| tls(one, folder));
    timeouts(&mut destination.timeouts, folder);
}

fn http(destination: &mut HttpDestination, folder: &Path) {
    setting(&mut destination.url, folder);
    destination.headers.values_mut().for_each(|value| header(value, folder));
    destination.auth.iter_mut().for_each(|one| auth(one, folder));
    destination.tls.iter_mut().for_each(|one| tls(one, folder));
    timeouts(&mut destination.timeouts, folder);
}

fn auth(auth: &mut Auth, folder: &Path) {
    match auth {
        Auth::Bearer(token) => secret(token, folder),
        Auth::Basic(basic) => {
            setting(&mut basic.username, folder);
            secret(&mut basic.password, folder);
        }
        Auth::Header(header) => secret(&mut header.value, folder),
        Auth::Oauth2(oauth) => {
            for one in [&mut oauth.token_url, &mut oauth.client_id].into_iter().chain(&mut oauth.scope) {
                setting(one, folder);
            }
            secret(&mut oauth.client_secret, folder);
        }
        Auth::Session(session) => {
            setting(&mut session.login_url, folder);
            session.body.values_mut().for_each(|value| header(value, folder));
        }
    }
}

fn tls(tls: &mut Tls, folder: &Path) {
    tls.mode.iter_mut().for_each(|one| setting(one, folder));
    for file in [&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file].into_iter().flatten() {
        match file {
            Setting::Literal(path) => below(path, folder),
            Setting::Reference(one) => reference(one, folder),
        }
    }
}

fn timeouts(timeouts: &mut Timeouts, folder: &Path) {
    for one in [&mut timeouts.connect, &mut timeouts.query].into_iter().flatten() {
        setting(one, folder);
    }
}

fn header(value: &mut HeaderValue, folder: &Path) {
    if let HeaderValue::Secret(one) = value {
        secret(one, folder);
    }
}

fn secret(secret: &mut Secret, folder: &Path) {
    reference(&mut secret.0, folder);
}

fn setting<T>(setting: &mut Setting<T>, folder: &Path) {
    if let Setting::Reference(one) = setting {
        reference(one, folder);
    }
}

fn reference(reference: &mut Reference, folder: &Path) {
    if let Reference::File(path) = reference {
        below(path, folder);
    }
}

fn below(path: &mut String, folder: &Path) {
    *path = folder.join(&*path).display().to_string();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooted(text: &str) -> Destination {
        let mut destination: Destination = serde_json::from_str(text).expect("a destination");
        destination.root(Path::new("/etc/engine"));
        destination
    }

    /// Whatever is a reference is one to the file `f` here, in every place that can hold one.
    #[test]
    fn every_file_lies_below_the_folder() {
        let timeouts = r#""timeouts": { "connect": F, "query": F }"#;
        let tls = r#""tls": { "mode": F, "ca_file": "f", "cert_file": F, "key_file": "f" }"#;
        let texts = [
            format!(r#"{{ "type": "enlyze", "url": F, "token": F, "username": F, "password": F, {tls}, {timeouts} }}"#),
            format!(r#"{{ "type": "http", "url": F, "headers": {{ "X": F }}, {tls}, {timeouts} }}"#),
            r#"{ "type": "http", "url": F, "auth": { "bearer": F } }"#.to_owned(),
            r#"{ "type": "http", "url": F, "auth": { "basic": { "username": F, "password": F } } }"#.to_owned(),
            r#"{ "type": "http", "url": F, "auth": { "header": { "name": "X", "value": F } } }"#.to_owned(),
            r#"{ "type": "http", "url": F, "auth": { "oauth2": { "token_url": F, "client_id": F, "client_secret": F,
                "scope": F } } }"#
                .to_owned(),
            r#"{ "type": "http", "url": F, "auth": { "session": { "login_url": F, "body": { "a": F } } } }"#.to_owned(),
            r#"{ "type": "file", "path": F }"#.to_owned(),
        ];
        for text in texts {
            let with = |path: &str| {
                text.replace('F', &format!(r#"{{ "file": "{path}" }}"#)).replace("\"f\"", &format!("\"{path}\""))
            };
            let expected: Destination = serde_json::from_str(&with("/etc/engine/f")).expect("a destination");
            assert_eq!(rooted(&with("f")), expected, "{text}");
            // What is absolute stays where it is.
            assert_eq!(rooted(&with("/etc/engine/f")), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_file_of_its_own_stays() {
        for text in [
            r#"{ "type": "file", "path": "runs.ndjson" }"#,
            r#"{ "type": "stdout" }"#,
            r#"{ "type": "enlyze", "url": "https://x.example", "token": { "env": "T" } }"#,
            r#"{ "type": "http", "url": "https://x.example", "headers": { "X": "f" }, "auth": { "bearer": { "credential": "f" } } }"#,
        ] {
            assert_eq!(rooted(text), serde_json::from_str(text).expect("a destination"), "{text}");
        }
    }
}
