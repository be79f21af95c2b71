from importlib.metadata import distributions, version

print(sorted(each.name.lower() for each in distributions()))
print("jinja2", version("jinja2"), "markupsafe", version("markupsafe"))
