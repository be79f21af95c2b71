"""Repositories of Git made on the spot."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

ENVIRONMENT = {
    **{f"GIT_{who}_{what}": "x@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
}


def git(folder: Path, *words: str) -> str:
    """Run git with nothing of this machine."""
    ran = subprocess.run(["git", *words], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def commit(folder: Path, files: Mapping[str, str], *, tag: str = "") -> str:
    """Write files, commit all that is there, and return the commit; the repository is made if there is none."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=x")
    if tag:
        git(folder, "tag", tag)
    return git(folder, "rev-parse", "HEAD")
