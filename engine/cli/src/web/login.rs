//! The log-in page, and what it sends.

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes};
use secrecy::SecretString;

use super::assets::STYLE_PATH;
use super::html;
use crate::show::escaped;

/// Where the page is, and where its form goes.
pub(super) const PATH: &str = "/login";
/// Where whoever logs out goes.
pub(super) const OUT_PATH: &str = "/logout";
/// What is said to an address that was wrong too often.
pub(super) const TOO_MANY: &str = "Too many wrong tokens came from this address. Wait a minute.";
/// Bytes of what the form sends.
const FORM_BYTES_MAX: usize = 4 << 10;
/// Bytes of a path to which somebody is led after the log-in.
const TO_BYTES_MAX: usize = 256;

/// The page. Password managers want a name beside what they keep. `to` is where somebody wanted to go, `said` what went wrong.
pub(super) fn page(to: &str, said: Option<&str>) -> String {
    let said = said.map_or(String::new(), |said| {
        format!("<p class=\"trouble\" role=\"alert\" id=\"said\">{}</p>\n", escaped(said))
    });
    let described = if said.is_empty() { "" } else { " aria-describedby=\"said\" aria-invalid=\"true\"" };
    let main = format!(
        "<h1>Log in</h1>\n<p>This page is for those who know its token.</p>\n{said}\
         <form method=\"post\" action=\"{PATH}\" class=\"login\">\n\
         <input type=\"hidden\" name=\"to\" value=\"{to}\">\n\
         <input name=\"user\" value=\"engine\" autocomplete=\"username\" readonly hidden>\n\
         <label for=\"token\">Token of the status page</label>\n\
         <input type=\"password\" id=\"token\" name=\"token\" required autofocus autocomplete=\"current-password\" \
         spellcheck=\"false\"{described}>\n\
         <button>Log in</button>\n</form>\n\
         <p class=\"soft\">You stay logged in for twelve hours at most. Programs send the token as \
         <code>Authorization: Bearer</code>.</p>\n",
        to = escaped(&place(to)),
    );
    html::frame("Log in – engine", &format!("<link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n"), "", &main, "")
}

/// The bytes of a form; `None` where they are too many, or do not come.
pub(super) async fn read<B>(body: B) -> Option<Bytes>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Limited::new(body, FORM_BYTES_MAX).collect().await.ok().map(|body| body.to_bytes())
}

/// The token that a form holds, and where to go with it.
pub(super) fn sent(form: &[u8]) -> (SecretString, String) {
    let (mut token, mut to) = (SecretString::default(), String::new());
    for (name, value) in form_urlencoded::parse(form) {
        match &*name {
            // What a password manager or a terminal adds at the ends is not the token's.
            "token" => token = SecretString::from(value.trim().to_owned()),
            "to" => to = value.into_owned(),
            _ => {}
        }
    }
    (token, place(&to))
}

/// A page of this server, and no other server.
fn place(to: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-".contains(&byte);
    let is_here = to.starts_with('/') && !to.starts_with("//") && to.len() <= TO_BYTES_MAX && to.bytes().all(is_plain);
    let is_page = is_here && ![PATH, OUT_PATH].contains(&to);
    if is_page { to.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let (token, to) = sent(b"to=%2Fpipelines%2Facme&token=+a%2Bb%26c%3D%24+&other=1");
        assert_eq!((token.expose_secret(), to.as_str()), ("a+b&c=$", "/pipelines/acme"));
        for form in [&b""[..], b"token", b"\xff=%zz&&&", b"to=1"] {
            assert_eq!((sent(form).0.expose_secret(), sent(form).1.as_str()), ("", "/"), "{form:?}");
        }
    }

    #[test]
    fn a_log_in_leads_to_a_page_of_this_server_only() {
        for to in ["/", "/metrics", "/pipelines/acme-1"] {
            assert_eq!(place(to), to);
        }
        let long = format!("/{}", "a".repeat(TO_BYTES_MAX));
        for to in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nset-cookie: x",
            "/a?b",
            "/\u{e4}",
            &long,
            "/login",
            "/logout",
        ] {
            assert_eq!(place(to), "/", "{to:?}");
        }
    }

    #[test]
    fn what_went_wrong_is_said_to_a_screen_reader_too() {
        let page = page("/\"><script>", Some("This is <not> it."));
        assert!(page.contains("role=\"alert\" id=\"said\">This is &lt;not&gt; it.</p>"), "{page}");
        assert!(page.contains("aria-describedby=\"said\"") && page.contains("<label for=\"token\">"), "{page}");
        assert!(!page.contains("<script") && !self::page("/", None).contains("role=\"alert\""), "{page}");
    }
}
