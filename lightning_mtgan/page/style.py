"""How the page looks."""

COLORS = ("blue", "orange", "green", "violet", "yellow", "cyan", "red")
"""Colours of series, by number; beyond the last they come again, with dashes."""

STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfb; --card: #ffffff; --ink: #1a1a19; --quiet: #62615c; --rule: #e3e2dd;
  --good: #0a7a2f; --bad: #c22a2a; --color-0: #2a78d6; --color-1: #d95f1e; --color-2: #17936a; --color-3: #6a4fc4;
  --color-4: #c99000; --color-5: #0f9bb5; --color-6: #d9343f; }
@media (prefers-color-scheme: dark) { :root { --paper: #161615; --card: #1f1f1e; --ink: #f0efea; --quiet: #a9a8a1;
  --rule: #3a3a37; --good: #4cc374; --bad: #ff7b73; --color-0: #5a9ff0; --color-1: #f08a4b; --color-2: #2fbf8f;
  --color-3: #a18bf0; --color-4: #e0b030; --color-5: #43c3dc; --color-6: #f0606a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 24px 20px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 26px; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 36px 0 10px; padding-top: 10px; border-top: 1px solid var(--rule); }
h3 { font-size: 15px; margin: 4px 0 6px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; margin-top: 14px; }
a { color: var(--color-0); text-decoration: none; }
a:hover { text-decoration: underline; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px 32px; margin: 0; }
.tiles dt, .note, .absent, figcaption span { color: var(--quiet); font-size: 13px; }
.tiles dd { margin: 0; font-size: 17px; font-weight: 600; font-variant-numeric: tabular-nums; }
.note { margin: 8px 0; overflow-wrap: anywhere; }
.absent { font-style: italic; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.verdict { font-weight: 600; }
.scroll { max-height: 420px; overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: break-word; }
th[scope=row] { width: 45%; }
th { font-weight: 500; color: var(--quiet); }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { overflow: auto; padding: 12px; background: var(--card); border: 1px solid var(--rule); font-size: 12.5px; }
summary { cursor: pointer; }
figure { margin: 0; }
figcaption strong { display: block; font-size: 14px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 16px;
  margin-bottom: 16px; }
.grid.pairs { grid-template-columns: repeat(auto-fill, minmax(min(540px, 100%), 1fr)); }
.chart { background: var(--card); border: 1px solid var(--rule); border-radius: 6px; padding: 10px 12px; }
.chart > svg { display: block; width: 100%; height: auto; }
.pairs .chart { overflow-x: auto; }
.pairs .chart > svg { min-width: 480px; }
.newest img { max-width: 100%; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(180px, 100%), 1fr)); gap: 12px;
  margin-top: 14px; }
.strip img { width: 100%; }
img { border: 1px solid var(--rule); display: block; }
.legend { display: flex; flex-wrap: wrap; gap: 0 14px; list-style: none; margin: 4px 0; padding: 0; font-size: 12.5px; }
.legend li { display: flex; align-items: center; gap: 5px; overflow-wrap: anywhere; }
.legend svg { flex: none; }
.legend b { white-space: nowrap; }
svg text { font-size: 11px; fill: var(--ink); }
svg .tick { fill: var(--quiet); font-variant-numeric: tabular-nums; }
svg .end { text-anchor: end; }
svg .middle { text-anchor: middle; }
.grid-line { stroke: var(--rule); }
.axis-line { stroke: var(--quiet); }
.line { fill: none; stroke-width: 1.7; stroke-linejoin: round; }
.dot { stroke-width: 0; }
.diamond { stroke: var(--card); stroke-width: 1.5; }
.alarm line { stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 4 3; }
.alarm path { fill: var(--bad); }
.bar { fill: var(--color-0); }
rect.worst { fill: var(--bad); }
svg text.worst { fill: var(--bad); font-weight: 600; }
.dash-1 { stroke-dasharray: 7 3; }
.dash-2 { stroke-dasharray: 2 3; }
.dash-3 { stroke-dasharray: 9 3 2 3; }
""" + "".join(
    f".line.color-{n} {{ stroke: var(--color-{n}); }}\n"
    f".dot.color-{n}, .diamond.color-{n} {{ fill: var(--color-{n}); }}\n"
    for n in range(len(COLORS))
)
