/**
 * Colours of both themes: text has a contrast of at least 4.5 with `paper` and `panel`, marks of charts of at least 3.
 */
export const themes = {
  light: {
    paper: '#ffffff',
    panel: '#f3f5f8',
    ink: '#1b1f24',
    muted: '#57606a',
    line: '#d0d7de',
    first: '#0a5ea8',
    second: '#b0480c',
    pale: '#cfdcea',
    'pale-line': '#6482a3',
    good: '#11663a',
    bad: '#b3261e',
    caution: '#855000',
  },
  dark: {
    paper: '#14171b',
    panel: '#1e2329',
    ink: '#e6e9ed',
    muted: '#a3acb8',
    line: '#3a424c',
    first: '#6cb4ff',
    second: '#ffa657',
    pale: '#33465c',
    'pale-line': '#7a95b3',
    good: '#6bd68f',
    bad: '#ff8f87',
    caution: '#f2c14e',
  },
} as const

const variables = (theme: Record<string, string>) =>
  Object.entries(theme)
    .map(([name, colour]) => `--${name}:${colour}`)
    .join(';')

export const styles = `
:root{color-scheme:light dark;${variables(themes.light)}}
@media screen and (prefers-color-scheme:dark){:root{${variables(themes.dark)}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:1180px;margin:0 auto;padding:0 24px}
header{padding-top:32px}
h1{font-size:28px;line-height:1.25;margin:0 0 4px}
h2{font-size:22px;line-height:1.3;margin:56px 0 8px;padding-top:16px;border-top:1px solid var(--line)}
h3{font-size:18px;line-height:1.35;margin:32px 0 8px}
p{margin:8px 0;max-width:75ch}
.by,.quiet,.ci,footer{color:var(--muted)}
.by{font-size:15px;margin:0 0 16px;max-width:none}
a{color:var(--first)}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--first);outline-offset:2px}
code,pre{font:14px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{margin:8px 0;padding:12px;background:var(--panel);border-radius:6px;white-space:pre-wrap}
.long{display:-webkit-box;max-width:75ch;-webkit-box-orient:vertical;-webkit-line-clamp:4;overflow:hidden;unicode-bidi:plaintext}
.verdict{border:1px solid var(--line);border-left:6px solid var(--muted);border-radius:6px;background:var(--panel);padding:16px 20px;margin:16px 0}
.verdict.good{border-left-color:var(--good)}
.verdict.bad{border-left-color:var(--bad)}
.verdict.caution{border-left-color:var(--caution)}
.verdict h2{font-size:20px;margin:0;padding:0;border:0}
.good>h2,td .good{color:var(--good)}
.bad>h2,td .bad{color:var(--bad)}
.caution>h2{color:var(--caution)}
td .good,td .bad,td b{font-weight:600;white-space:nowrap}
.verdict p{margin:10px 0 2px}
.verdict ul{margin:4px 0 0;padding-left:22px}
.verdict li{margin:4px 0}
.warnings{border:1px solid var(--line);border-left:6px solid var(--caution);border-radius:6px;padding:12px 20px;margin:16px 0}
.warnings h2{font-size:16px;margin:0;padding:0;border:0}
.warnings ul{margin:4px 0 0;padding-left:22px}
nav{margin:20px 0 0;font-size:15px}
nav ol{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;margin:0;padding:0}
nav a{display:inline-block;padding:4px 0}
.scroll{overflow-x:auto;margin:16px 0;width:fit-content;max-width:100%;background:linear-gradient(270deg,var(--paper) 40%,transparent) right/40px 100% no-repeat local,linear-gradient(270deg,var(--line),transparent) right/14px 100% no-repeat scroll}
.scroll:has(>.wide){width:auto}
table{overflow-wrap:break-word;border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;line-height:1.4}
table.wide{width:100%}
caption{text-align:left;font-weight:600;font-size:14px;padding:0 0 6px}
th,td{padding:6px 20px 6px 0;vertical-align:top;text-align:left;border-bottom:1px solid var(--line)}
th:last-child,td:last-child{padding-right:4px}
thead th{color:var(--muted);font-weight:600;vertical-align:bottom;border-bottom:2px solid var(--line)}
tbody+tbody tr:first-child>*{border-top:2px solid var(--line)}
th.end,td.end{text-align:right}
td.end{white-space:nowrap}
th[scope=row]{font-weight:500;min-width:124px;max-width:420px;overflow-wrap:anywhere}
td.start{min-width:76px;overflow-wrap:anywhere}
td.start:has(bdi){min-width:92px}
.scroll .long{max-width:300px}
.lead>td,.lead>th[scope=row]{font-weight:600}
.lead .ci{font-weight:400}
.under th{padding-left:14px;font-weight:400;color:var(--muted)}
.ci{display:block;font-size:13px;white-space:nowrap}
.tag{color:var(--muted);font-size:13px}
.nowrap{white-space:nowrap}
.heat td,.heat thead th{padding-right:12px}
.shade{display:block;min-width:60px;margin:-6px -12px -6px 0;padding:6px 12px;border-left:2px solid var(--paper);background:color-mix(in srgb,var(--first) calc(var(--w)*45%),var(--paper));-webkit-print-color-adjust:exact;print-color-adjust:exact}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:28px 32px;margin:16px 0}
figure{margin:0;min-width:0;break-inside:avoid}
.grid>figure{display:grid;grid-row:span 2;grid-template-rows:subgrid;align-items:start;row-gap:8px}
.side{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:8px 32px;align-items:center}
figcaption{font-size:14px;line-height:1.45;min-width:0}
figcaption strong{display:block}
figcaption span{color:var(--muted)}
svg{display:block;max-width:100%;height:auto;overflow:visible;-webkit-print-color-adjust:exact;print-color-adjust:exact}
svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
.strip{max-width:none}
.strip text{fill:var(--muted)}
.strip .one{stroke:var(--muted)}
.strip .on,.strip .off{stroke-width:2}
.strip line.on,.strip circle.on,.strip path.on{stroke:var(--muted)}
.strip .off{stroke:var(--second)}
.strip circle.on,.strip path.on{fill:var(--paper)}
.strip circle.off,.strip path.off{fill:var(--second)}
.bar{display:inline-block;vertical-align:middle;height:10px;margin-left:8px;background:linear-gradient(90deg,var(--first) calc(var(--w)*100%),var(--pale) 0);width:64px;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.bar.none{visibility:hidden}
details{margin:8px 0 16px}
summary{cursor:pointer;padding:8px 0;color:var(--first);font-weight:500}
dl{display:grid;grid-template-columns:180px minmax(0,80ch);gap:4px 24px;margin:12px 0;font-size:15px}
dt{color:var(--muted)}
dd{margin:0}
dl.glossary dt{color:var(--ink);font-weight:600}
footer{margin-top:56px;padding-top:16px;padding-bottom:32px;font-size:14px}
@media (min-width:900px){
.inline .ci{display:inline-block;margin-left:6px;min-width:16ch}
.signs .ci{min-width:20ch}
}
@media (max-width:600px){
header,main,footer{padding-left:16px;padding-right:16px}
h1{font-size:24px}
.scroll th:first-child{position:sticky;left:0;background:var(--paper);z-index:1;max-width:150px;padding-right:10px;min-width:108px}
.scroll td,.scroll thead th+th{padding-right:14px}
.under th{padding-left:8px}
dl{grid-template-columns:minmax(0,1fr);gap:0}
dd{margin:0 0 10px}
}
@media print{
body{font-size:12px}
header,main,footer{max-width:none;padding:0}
nav{display:none}
tr,.verdict,h2,h3{break-inside:avoid}
h2,h3,figcaption,caption{break-after:avoid}
.scroll{overflow:visible;background:none}
details::details-content{content-visibility:visible;block-size:auto}
summary{list-style:none;color:var(--muted)}
}
`
