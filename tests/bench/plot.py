#!/usr/bin/env python3
"""Draws the results of the paired benchmarks as one SVG, by hand: no package is needed. Puts their reports into
docs/performance.md, each between its own marks there.

  plot.py [RESULT.json ...] [--out docs/performance.svg] [--page docs/performance.md]

Without arguments: the results in build/bench. Each line of a result is a group of bars, medians with
their spread; bars of the engine also have a mark at the limit that the machine sets.
"""

import argparse
import json
import pathlib
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parents[2]
# In the order in which they are drawn.
COLOURS = {"aorta": "#1f6feb", "llama.cpp": "#d97706", "llama-server": "#d97706",
           "OpenVINO GenAI": "#6b7280"}
LEFT, TOP, PLOT_HEIGHT, BAR, GAP, PANEL_GAP = 50, 76, 220, 26, 30, 60
KINDS, DRAWN = ("engine", "serve", "prefix", "executors"), ("engine", "serve")
INK, GRID = "#24292f", "#d0d7de"


def engine_panel(result):
    return {"title": "engine alone, tokens/s", "groups": [
        {"name": line["name"], "bars": line["engines"], "limit": line["limit"]}
        for line in result["lines"]]}


def serve_panels(result):
    panels = []
    for key, title in (("tokens_per_s", "over HTTP, output tokens/s"),
                       ("ttft_ms_p50", "first token, ms (p50)"),
                       ("itl_ms_p99", "between tokens, ms (p99)")):
        groups = [{"name": line["name"] + (" hits" if line["hits"] else ""), "limit": None,
                   "bars": {name: each[key] for name, each in line["servers"].items()}}
                  for line in result["lines"]]
        panels.append({"title": title, "groups": groups})
    return panels


def nice(value):
    """A round number not far above value, for an axis in five parts."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next(power * factor for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if power * factor >= value)


class Svg:
    def __init__(self):
        self.parts = []

    def text(self, x, y, words, size=11, anchor="middle", weight="normal"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{INK}" '
                          f'text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>')

    def rect(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{height:.1f}" fill="{colour}"/>')

    def line(self, x1, y1, x2, y2, colour, width=1.0, dash=""):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>')

    def document(self, width, height):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
                f'font-family="system-ui, sans-serif">\n<rect width="100%" height="100%" '
                f'fill="white"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


def bar(svg, x, base, scale, figure, colour):
    height = figure["median"] * scale
    svg.rect(x, base - height, BAR - 4, height, colour)
    middle = x + (BAR - 4) / 2
    if figure["n"] > 1:
        svg.line(middle, base - figure["min"] * scale, middle, base - figure["max"] * scale, INK)
    value = figure["median"]
    label = f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    svg.text(middle, base - max(height, figure["max"] * scale) - 4, label, 9)


def draw_panel(svg, panel, left, top):
    """Draws it; returns its width."""
    groups, base = panel["groups"], top + PLOT_HEIGHT
    # The bars set the axis, not the limit, which may be far above them.
    most = nice(max(figure["max"] for group in groups for figure in group["bars"].values()))
    scale, x = PLOT_HEIGHT / most, left + 10
    width = sum(len(group["bars"]) * BAR + GAP for group in groups)
    svg.text(left, top - 22, panel["title"], 13, "start", "bold")
    for step in range(6):
        y = base - PLOT_HEIGHT * step / 5
        svg.line(left, y, left + width, y, GRID)
        svg.text(left - 6, y + 4, f"{most * step / 5:,.0f}", 9, "end")
    for group in groups:
        span = len(group["bars"]) * BAR
        for place, (name, figure) in enumerate(
                sorted(group["bars"].items(), key=lambda bar: list(COLOURS).index(bar[0]))):
            bar(svg, x + place * BAR, base, scale, figure, COLOURS[name])
        if group["limit"] and group["limit"] <= most:
            y = base - group["limit"] * scale
            svg.line(x - 3, y, x + span, y, "#cf222e", 1.5, "4 2")
        svg.text(x + span / 2, base + 16, group["name"], 10)
        x += span + GAP
    return width


def draw(results):
    panels = []
    for result in results:
        panels += [engine_panel(result)] if result["kind"] == "engine" else serve_panels(result)
    svg, top, widest = Svg(), TOP, 0
    rows = [panels[:1], panels[1:]] if len(panels) > 2 else [panels]
    for row in rows:
        left = LEFT
        for panel in row:
            left += draw_panel(svg, panel, left, top + 20) + PANEL_GAP
        widest, top = max(widest, left), top + PLOT_HEIGHT + 80
    machine = results[0]["machine"]
    svg.text(LEFT - 30, 24, f'{machine["cpu"]}, {results[0]["threads"]} threads, '
             f'{results[0]["model"]}', 13, "start", "bold")
    x = LEFT - 30
    names = {name for panel in panels for group in panel["groups"] for name in group["bars"]}
    for name in (name for name in COLOURS if name in names):
        svg.rect(x, 36, 10, 10, COLOURS[name])
        svg.text(x + 14, 45, name, 11, "start")
        x += 30 + 7 * len(name)
    svg.line(x, 41, x + 18, 41, "#cf222e", 1.5, "4 2")
    svg.text(x + 22, 45, "the machine's limit (where the axis reaches it)", 11, "start")
    return svg.document(widest, top)


def publish(page, results):
    """The page with each result's report between `<!-- KIND -->` and `<!-- /KIND -->`."""
    for result in results:
        begin, end = f'<!-- {result["kind"]} -->', f'<!-- /{result["kind"]} -->'
        before, rest = page.split(begin)
        report = "\n".join(result["report"])
        page = f"{before}{begin}\n{report}\n{end}{rest.split(end)[1]}"
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="*", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/performance.svg")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs/performance.md")
    options = parser.parse_args()
    default = [ROOT / "build/bench" / f"{kind}.json" for kind in KINDS]
    paths = options.results or [path for path in default if path.exists()]
    if not paths:
        parser.error(f"there are no results in {ROOT / 'build/bench'}: run paired.py first")
    results = [json.loads(path.read_text()) for path in paths]
    drawn = [each for each in results if each["kind"] in DRAWN]
    if drawn:
        options.out.write_text(draw(drawn))
    options.page.write_text(publish(options.page.read_text(), results))
    print(f'written: {options.page}{f" and {options.out}" if drawn else ""}')


if __name__ == "__main__":
    main()
