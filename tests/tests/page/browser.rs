//! The status page in a real browser: that it follows by itself, by keyboard, read aloud, in light and in dark.

use engine_tests::binary::await_that;
use engine_tests::plant;
use serde_json::{Value, json};

use crate::chromium::{Chromium, ENTER, TAB};
use crate::{Site, every_second};

/// Texts whose contrast with what lies behind them is below 4.5, the least that WCAG 2 asks of text at level AA, or 3 of
/// large text; and texts of a drawing, which are filled.
const FAINT: &str = r#"
    const part = value => (value /= 255, value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const parse = text => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const light = ([red, green, blue]) => 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
    const behind = place => {
        for (; place; place = place.parentElement) {
            const colour = parse(getComputedStyle(place).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
    };
    const faint = [];
    let texts = 0;
    for (const place of document.querySelectorAll("body *")) {
        const text = [...place.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()).join("");
        const style = getComputedStyle(place);
        if (text === "" || place.closest("svg, script, [hidden]") || !place.checkVisibility()) continue;
        texts += 1;
        const [one, other] = [light(parse(style.color)), light(behind(place))];
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
        if (contrast < (large ? 3 : 4.5)) faint.push(`${text}: ${contrast.toFixed(2)}`);
    }
    return { texts, faint, background: String(behind(document.body)) };
"#;

/// A service with two pipelines, of which one fails, and a browser.
fn stage() -> Option<(Chromium, Site)> {
    let browser = Chromium::start()?;
    let mut site = Site::new();
    site.plant.orders(1..11);
    site.spec(&every_second("a-good", &plant::to_file("runs.ndjson")));
    let mut bad = every_second("z-bad", &plant::to_file("none.ndjson"));
    bad["query"]["sql"] = "SELECT * FROM gibtsnicht".into();
    site.spec(&bad);
    let running = site.start();
    running.events(&[("run_failed", "z-bad"), ("delivered", "a-good")]);
    await_that("both are shown", || site.get("/").body.contains("2 pipelines: 1 failing, 1 ok."));
    Some((browser, site))
}

fn url(site: &Site, path: &str) -> String {
    format!("http://{}{path}", site.address)
}

#[test]
fn a_page_that_is_open_follows_by_itself_and_asks_nobody_else() {
    let Some((browser, site)) = stage() else { return };
    browser.open(&url(&site, "/"));
    assert_eq!(browser.run("return document.title"), "1 failing – engine");
    browser.run("window.isTheSame = true");
    site.spec(&every_second("z-bad", &plant::to_file("none.ndjson")));
    await_that("the open page says so", || browser.run("return document.title") == "engine");
    assert_eq!(browser.run("return window.isTheSame"), true, "it was not loaded anew");
    assert!(browser.run("return document.getElementById('refresh').textContent") == "Refreshed every few seconds.");
    browser.open(&url(&site, "/pipelines/a-good"));
    let others = browser.run(
        "return performance.getEntriesByType('resource').map(one => one.name).filter(name => !name.startsWith(origin))",
    );
    assert_eq!(others, json!([]));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn whoever_has_only_a_keyboard_gets_everywhere_and_sees_where_they_are() {
    let Some((browser, site)) = stage() else { return };
    browser.open(&url(&site, "/"));
    let wanted =
        browser.run("return [...document.querySelectorAll(\"a[href], button, summary, [tabindex='0']\")].length");
    let mut seen = Vec::new();
    for _ in 0..wanted.as_u64().expect("a number") {
        browser.press(TAB);
        let place = browser.run(
            "const place = document.activeElement, style = getComputedStyle(place);
             return { name: place.textContent.trim(), ring: style.outlineStyle !== 'none' && style.outlineWidth !== '0px' }",
        );
        assert_eq!(place["ring"], true, "{place} shows that it is chosen");
        seen.push(place["name"].as_str().expect("a text").to_owned());
    }
    assert!(["a-good", "z-bad"].iter().all(|name| seen.iter().any(|one| one == name)), "{seen:?}");
    while browser.run("return document.activeElement.textContent.trim()") != "z-bad" {
        browser.press(TAB);
    }
    browser.press(ENTER);
    await_that("the link is followed", || browser.run("return location.pathname") == "/pipelines/z-bad");
}

#[test]
fn whoever_has_the_page_read_aloud_hears_what_each_part_is() {
    let Some((browser, site)) = stage() else { return };
    for path in ["/", "/pipelines/a-good", "/pipelines/z-bad"] {
        browser.open(&url(&site, path));
        let tree = browser.tell("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().expect("a list");
        let of = |role: &str| -> Vec<&Value> {
            nodes.iter().filter(|node| node["ignored"] == false && node["role"]["value"] == role).collect()
        };
        for role in ["link", "button", "table", "navigation", "img", "columnheader", "rowheader"] {
            for node in of(role) {
                assert!(node["name"]["value"].as_str().is_some_and(|name| !name.trim().is_empty()), "{path}: {node:#}");
            }
        }
        assert_eq!(of("main").len(), 1, "{path}");
        let level = |node: &Value| {
            let properties = node["properties"].as_array().cloned().unwrap_or_default();
            properties
                .into_iter()
                .find(|property| property["name"] == "level")
                .map(|level| level["value"]["value"].clone())
        };
        let levels: Vec<i64> = of("heading").into_iter().filter_map(level).filter_map(|level| level.as_i64()).collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{path}: {levels:?}");
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{path}: no level is left out: {levels:?}");
    }
}

#[test]
fn every_text_can_be_read_in_light_and_in_dark_and_fits_on_a_phone() {
    let Some((browser, site)) = stage() else { return };
    let mut backgrounds = Vec::new();
    for scheme in ["light", "dark"] {
        let wanted = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.tell("Emulation.setEmulatedMedia", &wanted);
        for path in ["/", "/pipelines/a-good", "/pipelines/z-bad"] {
            browser.open(&url(&site, path));
            let seen = browser.run(FAINT);
            assert!(seen["texts"].as_u64() > Some(10), "{scheme} {path}: {seen}");
            assert_eq!(seen["faint"], json!([]), "{scheme} {path}");
            backgrounds.push(seen["background"].clone());
        }
    }
    assert_ne!(backgrounds.first(), backgrounds.last(), "dark is another colour");
    browser.run("document.querySelector('h1').style.color = '#333'");
    assert_ne!(browser.run(FAINT)["faint"], json!([]), "what cannot be read is seen");
    browser.tell(
        "Emulation.setDeviceMetricsOverride",
        &json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true }),
    );
    for path in ["/", "/pipelines/a-good", "/pipelines/z-bad"] {
        browser.open(&url(&site, path));
        let beyond = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(beyond, 0, "{path}: nothing but a table scrolls sideways");
    }
}
