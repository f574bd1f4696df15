//! The colours of a time-line, for light and dark screens.

/// Groups that look different; further ones share looks.
pub(super) const LOOKS: usize = 8;

/// The style of a picture. Nothing is fetched, and there are no variables: programs that draw SVG outside of a browser
/// know none.
pub(crate) const STYLE: &str = "\
.tl{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
.tl text{fill:#1c2733;font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
.tl .page{fill:#ffffff}.tl .band{fill:#f3f6f9}.tl .tick,.tl .rule{stroke:#d5dde5}
.tl .soft{fill:#5b6b7b}.tl .changed{fill:#c2410c;font-weight:600}.tl .name{font-weight:600}
.tl .gap{stroke:#8a99a8;stroke-dasharray:1 5;stroke-linecap:round;stroke-width:2}
.tl .bar{stroke:#ffffff;stroke-width:1}.tl .live .bar{stroke:#c2410c;stroke-width:1.5}.tl .tip{fill:#c2410c}
.tl .overlap{fill:url(#hatch);stroke:#c81e1e;stroke-width:1}.tl .hatch{stroke:#c81e1e;stroke-width:1.5}
.tl .now{stroke:#c2410c;stroke-width:1.5;stroke-dasharray:5 3}.tl .nowtext{fill:#c2410c;font-weight:600}
.tl .l0{fill:#bcd9f5}.tl .l1{fill:#c9e7c4}.tl .l2{fill:#f8ddb0}.tl .l3{fill:#e3d0f3}
.tl .l4{fill:#f6cdd3}.tl .l5{fill:#c2e8e5}.tl .l6{fill:#e6e2b4}.tl .l7{fill:#d9dce1}
.tl .run:hover .bar{stroke:#1c2733}.tl .run:focus{outline:none}.tl .run:focus .bar{stroke:#1c2733;stroke-width:3}
@media (prefers-color-scheme:dark){
.tl text{fill:#e8eef4}.tl .page{fill:#12181f}.tl .band{fill:#19212a}.tl .tick,.tl .rule{stroke:#34414e}
.tl .soft{fill:#9fb0c0}.tl .changed,.tl .nowtext,.tl .tip{fill:#fb923c}.tl .gap{stroke:#6d7d8d}
.tl .bar{stroke:#12181f}.tl .live .bar,.tl .now{stroke:#fb923c}.tl .overlap,.tl .hatch{stroke:#f87171}
.tl .l0{fill:#27527c}.tl .l1{fill:#2f6033}.tl .l2{fill:#72531c}.tl .l3{fill:#583a75}
.tl .l4{fill:#753540}.tl .l5{fill:#1f5f5b}.tl .l6{fill:#5d5820}.tl .l7{fill:#454d57}
.tl .run:hover .bar,.tl .run:focus .bar{stroke:#e8eef4}}
";
