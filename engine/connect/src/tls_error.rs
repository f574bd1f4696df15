//! What goes wrong while a connection is encrypted, in plain words: the cause, and the way out.
//!
//! The TLS library speaks TLS 1.2 and 1.3 and takes certificates of version 3 without SHA-1. Servers in factories are
//! older than that, so each of these limits is told by its name.

use engine_core::ports::SourceErrorKind;
use rustls::{AlertDescription as Alert, CertificateError, Error, PeerIncompatible};

use crate::failure::Problem;

/// Algorithms of signatures that are not taken any more: the bytes of their names in a certificate.
const OLD_SIGNATURES: [(&[u8], &str); 3] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04], "MD5"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05], "SHA-1"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], "SHA-1"),
];
const IN_THE_CLEAR: &str =
    "In a network that you trust, `tls: { mode: disable }` does without encryption: everything can be read on the way.";
const ISSUE_ANEW: &str = "Have the server's certificate issued anew";
const WITHOUT_CHECK: &str = "`tls: { mode: require }` encrypts without checking it.";
const RENEW: &str = "Renew the certificate at the server, or set this machine's clock.";

/// Explains a failure of the TLS library.
pub(crate) fn explain(error: &Error) -> Problem {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(Alert::ProtocolVersion)
        | Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => problem(
            "the server speaks only TLS 1.1 or older; engine speaks TLS 1.2 and 1.3",
            format!("Turn on TLS 1.2 at the server, or update it. {IN_THE_CLEAR}"),
        ),
        Error::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity)
        | Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon) => {
            problem(
                "the server and engine have no cipher in common; engine takes ECDHE with AES-GCM or ChaCha20-Poly1305",
                format!("Allow such a cipher at the server, or update it. {IN_THE_CLEAR}"),
            )
        }
        Error::AlertReceived(
            alert @ (Alert::NoCertificate
            | Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied),
        ) => problem(
            format!("the server does not accept engine's own certificate ({alert:?})"),
            "Check `tls.cert_file` and `tls.key_file`: the server must know the authority that issued it.",
        ),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => problem(
            format!("what answers does not speak TLS ({error})"),
            "Check `source.host` and `source.port`, and what lies between engine and the server.",
        ),
        _ => problem(
            error.to_string(),
            "Check `source.tls` and the server's certificate; `tls: { mode: verify-ca }` checks no host name.",
        ),
    }
}

/// Explains a failure on the way to a server that has an address; `role` is its part of the spec.
pub(crate) fn explain_at_address(error: &Error, role: &str) -> Problem {
    let problem = explain(error);
    let address = format!("`{role}.url`");
    let hint = problem.hint.map(|hint| {
        let of_role = hint.replace("`source.host` and `source.port`", &address).replace("`source.host`", &address);
        // An address that asks for encryption gets it.
        of_role.replace("`source.tls`", &format!("`{role}.tls`")).replace(IN_THE_CLEAR, "").trim_end().to_owned()
    });
    Problem { hint, ..problem }
}

/// Explains what a driver tells in the words of the TLS library, since it does not hand the error over.
pub(crate) fn explain_words(words: &str) -> Problem {
    let has = |sign: &str| words.contains(sign);
    let error = if has("UnknownIssuer") {
        CertificateError::UnknownIssuer
    } else if has("not valid for") || has("NotValidForName") {
        return problem(
            words,
            "The certificate is for another name. Write that name in `source.host`, or use `tls: { mode: verify-ca }`.",
        );
    } else if has("expired") || has("Expired") {
        CertificateError::Expired
    } else if has("not valid yet") || has("NotValidYet") {
        CertificateError::NotValidYet
    } else if has("UnsupportedCertVersion") {
        return problem(
            "the server's certificate is of version 1; engine takes version 3",
            format!("{ISSUE_ANEW}. {WITHOUT_CHECK}"),
        );
    } else {
        return problem(words, format!("Check `source.tls` and the server's certificate. {WITHOUT_CHECK}"));
    };
    certificate(&error)
}

fn certificate(error: &CertificateError) -> Problem {
    use CertificateError as C;
    match error {
        C::UnknownIssuer => problem(
            "the authority of the server's certificate is not trusted",
            "Name the authority's file in `tls.ca_file`; a certificate that signed itself is its own authority.",
        ),
        C::NotValidForNameContext { presented, .. } if presented.is_empty() => problem(
            "the server's certificate is for no host name: it has no subjectAltName, and its subject (CN) does not count",
            format!("{ISSUE_ANEW} with `subjectAltName`, or use `tls: {{ mode: verify-ca }}`."),
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => problem(
            format!("the server's {error}"),
            "The certificate is for another name. Write that name in `source.host`, or use `tls: { mode: verify-ca }`.",
        ),
        C::Expired => problem("the server's certificate is out of date", RENEW),
        C::ExpiredContext { not_after, .. } => {
            problem(format!("the server's certificate expired{}", on(not_after.as_secs())), RENEW)
        }
        C::NotValidYet => problem("the server's certificate is not valid yet", RENEW),
        C::NotValidYetContext { not_before, .. } => {
            problem(format!("the server's certificate becomes valid only{}", on(not_before.as_secs())), RENEW)
        }
        C::BadSignature => problem(
            "a signature with the server's key cannot be checked: its RSA key is shorter than 2048 bits, or the certificate \
             is of another key",
            format!("{ISSUE_ANEW} with a key of 2048 bits or more. {IN_THE_CLEAR}"),
        ),
        C::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            old_signature(signature_name(signature_algorithm_id).unwrap_or("an algorithm that is not supported"))
        }
        C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            old_signature("an algorithm that is not supported")
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => not_for_servers(error),
        // The verifier of the operating system's authorities says it in its own words.
        C::Other(other) if format!("{other:?}").contains("EkuError") => not_for_servers(error),
        // The library that reads certificates has no part of its own for these in the errors of the other.
        C::Other(other) if other.to_string().contains("UnsupportedCertVersion") => problem(
            "the server's certificate is of version 1; engine takes version 3",
            format!(
                "{ISSUE_ANEW}: `openssl x509 -req` makes version 3 with `-extfile` and a `subjectAltName` in it. No mode of \
                 encryption takes it as it is. {IN_THE_CLEAR}"
            ),
        ),
        C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => problem(
            "the server's certificate is that of an authority (CA:TRUE) and not one of a server",
            format!(
                "{ISSUE_ANEW} with `basicConstraints = CA:FALSE`. `tls: {{ mode: require }}` encrypts without checking it."
            ),
        ),
        _ => problem(
            format!("the server's certificate is not taken: {error}"),
            "Look at it with `openssl x509 -text`. `tls: { mode: require }` encrypts without checking it.",
        ),
    }
}

fn not_for_servers(error: &CertificateError) -> Problem {
    problem(
        format!("the server's certificate is not for servers ({error})"),
        format!("{ISSUE_ANEW} with `extendedKeyUsage = serverAuth`."),
    )
}

fn old_signature(name: &str) -> Problem {
    problem(
        format!("the server's certificate is signed with {name}, which is not safe any more"),
        format!("{ISSUE_ANEW} with SHA-256. `tls: {{ mode: require }}` encrypts without checking it."),
    )
}

fn signature_name(algorithm: &[u8]) -> Option<&'static str> {
    let is_in = |name: &[u8]| algorithm.windows(name.len()).any(|part| part == name);
    OLD_SIGNATURES.iter().find(|(bytes, _)| is_in(bytes)).map(|(_, name)| *name)
}

/// ` on 2025-03-30T12:00:00Z`, where the number of seconds is in the calendar.
fn on(secs: u64) -> String {
    let instant = i64::try_from(secs).ok().and_then(|secs| jiff::Timestamp::from_second(secs).ok());
    instant.map(|instant| format!(" on {instant}")).unwrap_or_default()
}

fn problem(message: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem::new(SourceErrorKind::Tls, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_signatures_have_a_name() {
        let named = |bytes: &[u8]| signature_name(bytes);
        assert_eq!(named(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00"), Some("SHA-1"));
        assert_eq!(named(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04\x05\x00"), Some("MD5"));
        assert_eq!(named(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"), None);
        assert_eq!(named(b""), None);
    }

    #[test]
    fn an_alert_about_a_certificate_is_about_that_of_the_client() {
        for alert in [Alert::UnknownCA, Alert::CertificateRequired, Alert::BadCertificate] {
            let problem = explain(&Error::AlertReceived(alert));
            assert!(problem.hint.is_some_and(|hint| hint.contains("tls.cert_file")), "{alert:?}");
        }
    }

    #[test]
    fn words_are_understood_like_errors() {
        for (words, hint) in [
            ("invalid peer certificate: UnknownIssuer", "tls.ca_file"),
            ("certificate not valid for name \"db\"; certificate is only valid for DnsName(\"a\")", "another name"),
            ("invalid peer certificate: Expired", "clock"),
            ("invalid peer certificate: Other(OtherError(UnsupportedCertVersion))", "issued anew"),
            ("something else", "source.tls"),
        ] {
            let problem = explain_words(words);
            assert!(problem.hint.as_ref().is_some_and(|text| text.contains(hint)), "{problem:?}");
        }
    }

    #[test]
    fn every_failure_has_a_way_out() {
        for error in [
            Error::DecryptError,
            Error::NoCertificatesPresented,
            Error::InvalidCertificate(CertificateError::Revoked),
            Error::InvalidCertificate(CertificateError::NotValidForName),
            Error::InvalidCertificate(CertificateError::Expired),
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
        ] {
            let problem = explain(&error);
            assert_eq!(problem.kind, SourceErrorKind::Tls, "{problem:?}");
            assert!(problem.hint.is_some(), "{problem:?}");
        }
    }
}
