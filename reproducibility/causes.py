"""Causes: why two builds differ, each with what to do about it in one line."""

from typing import Literal

from layers.values import dataclass

Group = Literal["metadata", "packaging", "content", "bytecode", "binary", "inputs", "documents"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A class of causes. `title` is what it is, `remedy` what makes it go away."""

    key: str
    group: Group
    title: str
    remedy: str


_TABLE: dict[Group, dict[str, tuple[str, str]]] = {
    "metadata": {
        "mtime": ("time of a file", "write one fixed time for every file (SOURCE_DATE_EPOCH with --rewrite-timestamp)"),
        "umask": ("mode bits left by the umask", "derive modes from the executable bit alone, or fix the umask"),
        "mode": ("mode of a file", "set the mode where the file is made (COPY --chmod, install -m)"),
        "owner": ("owner of a file", "write fixed numbers (COPY --chown, tar --owner=0 --group=0)"),
        "owner-name": ("name of an owner in the tar", "leave names of users and groups out of the tar"),
        "order": ("order of the entries of a layer", "sort the entries by path before they are written"),
        "xattr": ("extended attribute", "drop the attributes of the build host (security.selinux), or set them"),
        "tar-format": ("form of the tar headers", "write all tars with one tool, in one version and format"),
        "hard-link": ("hard link against copy", "install copies (--link-mode=copy), or link by content alone"),
        "link-target": ("target of a link", "link to a fixed path, best a relative one"),
        "kind": ("another type of file", "find the step that makes it, and what it depends on"),
        "device": ("number of a device", "leave device files out of the image; the engine makes them"),
        "twice": ("path that is in a layer twice", "write every path once; readers disagree on which counts"),
    },
    "packaging": {
        "gzip-header": ("header of a gzip stream", "write neither time nor name into it (gzip -n)"),
        "compressor": ("another compressor, or another version or level", "pin the compressor; what it holds is equal"),
        "compression": ("another kind of compression", "choose the same --compression; the tars are equal"),
        "layering": ("layers cut or ordered otherwise", "build both by the same steps, or compare with --rootfs"),
    },
    "content": {
        "build-path": ("path of the build in a file", "build in a fixed folder, or map it away (-ffile-prefix-map)"),
        "timestamp": ("time of the build in a file", "take the time from SOURCE_DATE_EPOCH, or leave it out"),
        "time-zone": ("time zone of the host in a file", "write times in UTC (TZ=UTC)"),
        "locale": ("language or format of the locale in a file", "run build steps with LC_ALL=C.UTF-8"),
        "hostname": ("name of the host in a file", "leave the name out, or set a fixed one"),
        "user": ("user or home folder in a file", "build as one fixed user with a fixed HOME"),
        "environment": ("variable of the environment in a file", "run build steps in an environment that you set"),
        "random": ("random value in a file", "make it when the container starts, or seed it from the input"),
        "set-order": ("the same parts in another order", "sort them before writing; sets have no order"),
        "file-order": ("result of the order of a folder", "sort what a folder lists before using it"),
        "parallelism": ("result of the number of workers", "collect results in the order of the input"),
        "line-endings": ("line endings", "check out and write one kind of line ending (.gitattributes)"),
        "log": ("log of a build step", "delete logs in the step that writes them"),
        "cache-file": ("file that a tool left behind", "delete it in the step that writes it, or mount a cache there"),
        "account-date": ("day on which an account was changed", "set the third field of etc/shadow (chage -d 0 NAME)"),
        "installer": (
            "note on how a package was installed",
            "delete it after installing (uv: UV_NO_INSTALLER_METADATA=1)",
        ),
        "shebang": ("interpreter in the first line of a script", "install to the path where it will run"),
        "record": ("RECORD, which lists the hashes of a package", "goes away with the files that it lists"),
        "unknown": ("not explained", "look at the bytes with --html, and at the step that writes them"),
    },
    "bytecode": {
        "pyc-time": ("bytecode with the time of its source", "compile with --invalidation-mode unchecked-hash"),
        "pyc-path": ("bytecode with the path of the build", "compile where it will run, or with -s and -p"),
        "pyc-refs": ("bytecode of equal code, stored otherwise", "compile each package in a process of its own"),
        "pyc-code": ("bytecode of another source", "goes away with the difference of its source"),
        "pyc-version": ("bytecode of another Python", "pin the interpreter that compiles"),
        "pyc-presence": ("bytecode on one side only", "compile everything in the build, or ship none"),
    },
    "binary": {
        "build-id": ("build id of a program or library", "goes away with its cause; or link with --build-id=none"),
        "elf-path": ("path of the build in a program or library", "build in a fixed folder, or with -ffile-prefix-map"),
        "rpath": ("search path of a program or library", "set it relative to $ORIGIN, or leave it out"),
        "elf-code": ("machine code or its data", "pin the compiler and its flags (no -march=native, no __DATE__)"),
        "zip-time": ("times or order in an archive", "write archives sorted, with fixed times (SOURCE_DATE_EPOCH)"),
        "archive-content": ("files in an archive", "see the differences of the files inside"),
        "database": ("database of a tool", "make it when the container starts, or write it in a fixed order"),
    },
    "inputs": {
        "python-package": ("another version of a Python package", "pin it by hash in a lock"),
        "os-package": ("another version of an OS package", "pin the base by digest, or the packages by version"),
        "interpreter": ("another version of Python", "pin the interpreter"),
        "base": ("another base image", "pin the base by digest"),
        "source": ("text that says something else", "build from the same commit, with no other files beside it"),
        "file-set": ("file on one side only", "find the step that makes it, and what it depends on"),
        "platform": ("another platform", "compare images of one platform"),
    },
    "documents": {
        "created": ("time at which the image was made", "set it (SOURCE_DATE_EPOCH, --created, --timestamp)"),
        "history": ("history of the image", "goes away with its times; or build both by the same steps"),
        "config-field": ("field of the configuration", "set it in the build, not from the host"),
        "container": ("trace of the container it was made in", "build from a Dockerfile or without; commit none"),
        "label": ("label or annotation", "take labels from the input, not from time, host or CI run"),
        "media-type": ("media type of a document or layer", "write one format, OCI or Docker's"),
        "attestation": ("attestation beside the image", "leave it out (--provenance=false); it holds times"),
        "derived": ("digest or index of something that differs", "goes away with the difference of what it names"),
    },
}
CAUSES = {
    key: Cause(key, group, title, remedy) for group, causes in _TABLE.items() for key, (title, remedy) in causes.items()
}
