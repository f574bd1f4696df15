use reqwest::header::HeaderValue;

use super::*;

#[test]
fn the_next_link_of_a_header_is_found() {
    for (links, expected) in [
        (vec!["<https://h/a?x=1,2>; rel=\"next\""], Some("https://h/a?x=1,2")),
        (vec!["<a>; rel=prev, <b>; rel=next"], Some("b")),
        (vec!["<a>; rel=prev", "</c>; title=\"x, <y>; rel=next\"; rel=\"last NEXT\""], Some("/c")),
        (vec!["<a>; rel=nextish", "<b>; rel=\"prev\""], None),
        (vec!["<a", "nothing", ""], None),
        (vec!["<a>;rel=first,<b> ; REL = next"], Some("b")),
    ] {
        let mut headers = HeaderMap::new();
        for link in &links {
            headers.append(LINK, HeaderValue::from_str(link).unwrap());
        }
        assert_eq!(next_link(&headers).as_deref(), expected, "{links:?}");
    }
}

#[test]
fn a_link_stays_on_its_host() {
    let from = Url::parse("https://mes.acme.example/api/v1/bookings?page=1").unwrap();
    for (link, expected) in [
        ("?page=2", Some("https://mes.acme.example/api/v1/bookings?page=2")),
        ("orders", Some("https://mes.acme.example/api/v1/orders")),
        ("/v2", Some("https://mes.acme.example/v2")),
        ("https://MES.acme.example:443/x", Some("https://mes.acme.example/x")),
        ("//evil.example/x", None),
        ("http://mes.acme.example/x", None),
        ("https://mes.acme.example:8443/x", None),
        ("https://mes.acme.example.evil.example/x", None),
        ("https://me:pw@mes.acme.example/x", None),
        ("file:///etc/passwd", None),
    ] {
        assert_eq!(follow(&from, link).ok().map(String::from).as_deref(), expected, "{link}");
    }
}

#[test]
fn an_answer_has_no_more_pages_than_the_limit() {
    let pagination = serde_json::from_value(serde_json::json!({"page": {"param": "page"}})).unwrap();
    let mut pager = Pager::new(Some(&pagination)).unwrap();
    let url = Url::parse("https://h/x").unwrap();
    let headers = HeaderMap::new();
    for page in 1.. {
        let items = [page as u64];
        let next =
            pager.next(&PageFacts { url: &url, headers: &headers, document: &Document::nothing(), items: &items });
        if page < PAGES_MAX {
            let expected = vec![("page".to_owned(), (page + 1).to_string())];
            assert_eq!(next.unwrap().map(|turn| turn.params), Some(expected));
        } else {
            assert!(next.unwrap_err().message.contains("more than"));
            break;
        }
    }
}
