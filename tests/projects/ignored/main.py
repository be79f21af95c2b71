from pathlib import Path

print(*sorted(str(path) for path in Path().rglob("*") if path.is_file()), sep="\n")
