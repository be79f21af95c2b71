"""release: which release of the application this is, from the file VERSION."""

from buildpacks.api import App, BuildContext, Buildpack, BuildPlan, BuildResult, Fail, LayerSpec
from layers import entry


def detect(app: App) -> BuildPlan | Fail:
    return BuildPlan() if app.has("VERSION") else Fail("no VERSION")


def build(context: BuildContext) -> BuildResult:
    release = context.app.text("VERSION").strip()
    file = entry.file("etc/release", f"{release}\n".encode())
    layer = LayerSpec("release", {"release": release}, lambda _files: (file,))
    return BuildResult(layers=(layer,), env={"APP_RELEASE": release})


BUILDPACK = Buildpack("example/release", detect, build=build)
