#!/usr/bin/env python3
"""Records the quickstart as an animated text, docs/images/quickstart.svg.

Runs `cargo run --example quickstart`, or reads its output from a file that is given. The lines of
the compiler and of the web server are left out. Names that differ from run to run are replaced.
`--check FILE` fails if the recording lacks a step of the output in FILE.
"""

import pathlib
import re
import subprocess
import sys
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).parents[2]
ROWS, COLUMNS, LINE, CHARACTER, MARGIN = 20, 80, 17, 7.8, 12
LINE_SECONDS, STEP_SECONDS, END_SECONDS = 0.35, 1.2, 6.0
LEFT_OUT = re.compile(r"^   (Compiling|Downloading|Downloaded|Locking|Updating|Adding|Blocking|site) |^    Finished ")
CHANGES = [
    (re.compile(r"/tmp/patcher-quickstart-\w+"), "/tmp/quickstart"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:8080"),
]


def output(path):
    if path:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    else:
        run = ["cargo", "run", "--quiet", "--example", "quickstart"]
        text = subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for pattern, name in CHANGES:
        text = pattern.sub(name, text)
    return [line.rstrip() for line in text.splitlines() if not LEFT_OUT.match(line)]


def style_of(line):
    if re.match(r"\d+\. ", line):
        return "step"
    return "command" if line.lstrip().startswith("$ ") else None


def draw(lines):
    # The text scrolls up by one line at a time.
    times, now = [], 0.0
    for line in lines:
        now += STEP_SECONDS if style_of(line) == "step" else LINE_SECONDS if line else 0
        times.append(now)
    total = now + END_SECONDS
    offset = lambda shown: (ROWS - shown) * LINE
    frames = [f"0%{{transform:translateY({offset(0)}px)}}"]
    frames += [f"{100 * time / total:.2f}%{{transform:translateY({offset(at)}px)}}" for at, time in enumerate(times, 1)]
    frames.append(f"to{{transform:translateY({offset(len(lines))}px)}}")
    width, height = round(COLUMNS * CHARACTER + 2 * MARGIN), ROWS * LINE + 2 * MARGIN
    texts = []
    for at, line in enumerate(lines):
        kind = f' class="{style_of(line)}"' if style_of(line) else ""
        if line:
            texts.append(f'<text{kind} y="{at * LINE + 13}">{escape(line)}</text>')
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>The quickstart of patcher on a terminal</title>
<style>
text{{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d8dee9;white-space:pre}}
.step{{fill:#88c0d0;font-weight:bold}}.command{{fill:#a3be8c}}
#text{{animation:scroll {total:.1f}s step-end infinite}}
@media (prefers-reduced-motion:reduce){{#text{{animation:none}}}}
@keyframes scroll{{{"".join(frames)}}}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#1c2028"/>
<svg x="{MARGIN}" y="{MARGIN}" width="{width - 2 * MARGIN}" height="{ROWS * LINE}"><g id="text" transform="translate(0,{offset(len(lines))})">
{chr(10).join(texts)}
</g></svg>
</svg>
"""


def main(arguments):
    recording = ROOT / "docs/images/quickstart.svg"
    if arguments[:1] != ["--check"]:
        recording.write_text(draw(output(next(iter(arguments), None))), encoding="utf-8")
        return None
    steps = [line for line in output(arguments[1]) if style_of(line) == "step"]
    text = recording.read_text(encoding="utf-8")
    missing = [step for step in steps if f">{escape(step)}<" not in text]
    return f"{recording} lacks {missing}; run {__file__}" if missing or not steps else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
