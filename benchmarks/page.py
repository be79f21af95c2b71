"""Measures the page of many differences: written, its size, opened in Chromium until its rows can be used, filtered.

python benchmarks/page.py [DIFFERENCES]
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from imagebuilder.reports import findings, panels
from tests import browser, comparisons

FILTERED = """(() => {
  const started = performance.now();
  const menu = document.querySelector('select[aria-label="cause"]');
  menu.value = "1";
  menu.dispatchEvent(new Event("change"));
  return performance.now() - started;
})()"""
SEARCHED = """new Promise((done) => {
  const box = document.querySelector("input");
  const found = document.querySelector(".found");
  box.value = "package77/ file1";
  const started = performance.now();
  new MutationObserver(() => done(performance.now() - started)).observe(found, { childList: true });
  box.dispatchEvent(new Event("input"));
})"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    found = findings.of(comparisons.many(count))
    started = time.monotonic()
    page = panels.html(found)
    print(f"{count:,} differences: {len(page) / 1e6:.1f} MB, written in {time.monotonic() - started:.1f} s")
    with tempfile.TemporaryDirectory() as folder, browser.running(Path(folder) / "profile") as running:
        path = Path(folder) / "page.html"
        path.write_bytes(page)
        browser.open_page(running, Path(folder) / "page.html")  # the first page of a browser pays for its start
        opened = browser.open_page(running, path)
        assert str(opened.run("document.querySelector('.found').textContent")).startswith(f"{count:,} ")
        print(f"opened, rows to be used: {opened.seconds:.2f} s")
        print(f"filtered: {opened.run(FILTERED):.0f} ms")
        print(f"searched: {opened.run(SEARCHED):.0f} ms, of which it waits 120 for more letters")


if __name__ == "__main__":
    main()
