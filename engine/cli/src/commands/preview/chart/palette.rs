//! The colours of a time-line, for light and dark screens.

/// Groups that look different; further ones share looks.
pub(super) const LOOKS: usize = 8;

/// The style of a picture. Nothing is fetched.
pub(super) const STYLE: &str = "\
.tl{--ink:#1c2733;--soft:#5b6b7b;--line:#d5dde5;--page:#ffffff;--band:#f4f7fa;--now:#c2410c;--bad:#c81e1e;\
--l0:#bcd9f5;--l1:#c9e7c4;--l2:#f8ddb0;--l3:#e3d0f3;--l4:#f6cdd3;--l5:#c2e8e5;--l6:#e6e2b4;--l7:#d9dce1;\
font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
@media(prefers-color-scheme:dark){.tl{--ink:#e8eef4;--soft:#9fb0c0;--line:#34414e;--page:#12181f;--band:#19212a;\
--now:#fb923c;--bad:#f87171;--l0:#27527c;--l1:#2f6033;--l2:#72531c;--l3:#583a75;--l4:#753540;--l5:#1f5f5b;\
--l6:#5d5820;--l7:#454d57}}
.tl .page{fill:var(--page)}.tl .band{fill:var(--band)}.tl .tick{stroke:var(--line)}
.tl text{fill:var(--ink)}.tl .soft{fill:var(--soft)}.tl .changed{fill:var(--now);font-weight:600}
.tl .name{font-weight:600}.tl .rule{stroke:var(--line)}
.tl .gap{stroke:var(--soft);stroke-dasharray:1 5;stroke-linecap:round;stroke-width:2}
.tl .bar{stroke:var(--page);stroke-width:1}.tl .live .bar{stroke:var(--now);stroke-width:1.5}
.tl .tip{fill:var(--now)}
.tl .overlap{fill:url(#hatch);stroke:var(--bad);stroke-width:1}.tl .hatch{stroke:var(--bad);stroke-width:1.5}
.tl .now{stroke:var(--now);stroke-width:1.5;stroke-dasharray:5 3}.tl .nowtext{fill:var(--now);font-weight:600}
.tl .run:focus{outline:none}.tl .run:focus .bar{stroke:var(--ink);stroke-width:3}.tl .run:hover .bar{stroke:var(--ink)}
.tl .l0{fill:var(--l0)}.tl .l1{fill:var(--l1)}.tl .l2{fill:var(--l2)}.tl .l3{fill:var(--l3)}\
.tl .l4{fill:var(--l4)}.tl .l5{fill:var(--l5)}.tl .l6{fill:var(--l6)}.tl .l7{fill:var(--l7)}
";
