//! Time-lines as one page: pictures, what they show in words, and a table of the runs.

use std::fmt::Write as _;

use engine_core::timeline::{Machine, Placed};

use super::{Chart, escaped, svg, words};

/// The style of the page beside the pictures.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2733;--soft:#5b6b7b;--line:#d5dde5;--page:#ffffff;--band:#f4f7fa}
@media(prefers-color-scheme:dark){:root{--ink:#e8eef4;--soft:#9fb0c0;--line:#34414e;--page:#12181f;--band:#19212a}}
body{margin:0 auto;padding:1.5rem;max-width:96rem;color:var(--ink);background:var(--page);\
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
h1{font-size:1.4rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2rem 0 .25rem}p{margin:.25rem 0;color:var(--soft)}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin:.75rem 0}
.scroll:focus,summary:focus{outline:2px solid var(--ink);outline-offset:2px}svg{display:block}
ul{padding-left:1.2rem}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.5rem .75rem;color:var(--soft)}
th,td{text-align:left;white-space:nowrap;padding:.25rem .75rem;border-bottom:1px solid var(--line)}th{color:var(--soft)}
tbody tr:nth-child(even){background:var(--band)}summary{cursor:pointer;margin:.5rem 0}
@media print{.scroll{overflow:visible;border:0}}
";

/// What the signs of a picture mean.
const LEGEND: &str = "A colour is a product. Framed, with an arrow: live. Hatched: two at a time. Dotted: nothing runs. \
                      Pointing at a run tells it in words.";

/// The page.
pub(super) fn page(charts: &[Chart]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Time-line of runs</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Time-line of runs</h1>\n\
         <p>What a run of engine would make of the source now. Nothing was sent.</p>\n"
    );
    for (number, chart) in charts.iter().enumerate() {
        section(chart, number, &mut out);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn section(chart: &Chart, number: usize, out: &mut String) {
    let name = escaped(&chart.pipeline);
    let _ = writeln!(out, "<section>\n<h2>{name}</h2>");
    let Some(timeline) = &chart.timeline else {
        out.push_str("<p>No runs.</p>\n</section>\n");
        return;
    };
    let _ = writeln!(
        out,
        "<p>{}</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"time-line of {name}\">\n{}</div>",
        escaped(&words::summary(timeline, &chart.zone)),
        svg::picture(chart, number)
    );
    let _ = writeln!(out, "<p>{LEGEND}</p>");
    let told = words::told(timeline, &chart.zone);
    if !told.is_empty() {
        let items: String = told.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
        let _ = writeln!(out, "<ul>\n{items}</ul>");
    }
    let _ = writeln!(
        out,
        "<details>\n<summary>The runs as a table</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"runs of {name}\">\n<table>\n<caption>Runs of {name}, local time of {}</caption>\n\
         <thead><tr><th scope=\"col\">machine</th><th scope=\"col\">order</th><th scope=\"col\">product</th>\
         <th scope=\"col\">start</th><th scope=\"col\">end</th><th scope=\"col\">length</th></tr></thead>\n<tbody>",
        escaped(words::zone_name(&chart.zone))
    );
    for machine in &timeline.machines {
        let mut runs: Vec<&Placed> = machine.lanes.iter().flatten().collect();
        runs.sort_by_key(|run| run.start);
        runs.into_iter().for_each(|run| row(chart, machine, run, out));
    }
    out.push_str("</tbody>\n</table>\n</div>\n</details>\n</section>\n");
}

fn row(chart: &Chart, machine: &Machine, run: &Placed, out: &mut String) {
    let end = if run.live { "live".to_owned() } else { words::local(run.end, &chart.zone) };
    let cells = [
        escaped(&machine.name),
        escaped(&run.label),
        escaped(&run.group),
        words::local(run.start, &chart.zone),
        end,
        words::length(run.end.duration_since(run.start)),
    ];
    let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    let _ = writeln!(out, "<tr>{cells}</tr>");
}
