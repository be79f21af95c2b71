"""`python -m tests.fuzz TARGET --minutes N`: fuzz one parser, guided by coverage where atheris is installed.

A finding is printed with its traceback and its input is kept in `--keep`; the exit code is 1 then. Without atheris
inputs are mutated at random from the same seeds, each time others.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None


def main() -> int:
    if atheris:
        with atheris.instrument_imports(include=["layers", "buildpacks", "imagebuilder", "reproducibility"]):
            from tests.fuzz import targets
    else:
        from tests.fuzz import targets

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(targets.BY_NAME))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()), help="where a finding is kept")
    chosen = parser.parse_args()
    target = targets.BY_NAME[chosen.target]
    with tempfile.TemporaryDirectory() as scratch:
        seeds = target.seeds(Path(tempfile.mkdtemp(dir=scratch)))
        if atheris is None:
            return _mutate(target, seeds, Path(scratch), minutes=chosen.minutes, keep=chosen.keep)
        corpus = Path(tempfile.mkdtemp(dir=scratch))
        for number, seed in enumerate(seeds):
            (corpus / str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={round(chosen.minutes * 60)}",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-max_len=65536",
        ]
        options += [f"-artifact_prefix={chosen.keep}/{target.name}-", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], str(corpus), *options], lambda content: once(target, content, Path(scratch)))
        atheris.Fuzz()  # does not return
    return 0


def once(target, content: bytes, scratch: Path) -> bool:
    """Run a parser once, in a folder of its own; say if it took the input. What it may not raise comes out."""
    folder = scratch / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        target.run(content, folder)
    except target.refuses:
        return False
    return True


def _mutate(target, seeds: list[bytes], scratch: Path, *, minutes: float, keep: Path) -> int:
    from tests.fuzz.mutation import mutated

    end = time.monotonic() + minutes * 60
    for count, content in enumerate(mutated(seeds, count=sys.maxsize, seed=str(random.random()))):
        if time.monotonic() > end:
            print(f"{target.name}: {count} inputs, no finding")
            return 0
        try:
            once(target, content, scratch)
        except Exception:
            found = keep / f"{target.name}-finding"
            found.write_bytes(content)
            print(f"{target.name}: input {count} is a finding, kept in {found}")
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
