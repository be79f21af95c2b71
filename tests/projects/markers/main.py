from importlib.util import find_spec

print({name: find_spec(name) is not None for name in ("requests", "socks", "colorama", "tomli", "six")})
