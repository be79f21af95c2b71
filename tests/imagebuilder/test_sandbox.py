"""Every way to make a sandbox that works here, as this user and as nobody: what a command has, and what it cannot."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.sandbox import box, command, process, rungs
from imagebuilder.sandbox.box import Limits, Sandbox
from layers import scratch
from layers.errors import BuildError
from tests import debs, shut_in
from tests.shut_in import Shell

# (rung, as nobody): root has no use for bubblewrap, and nobody cannot change the root.
KINDS = [
    *(("namespaces", False), ("chroot" if os.geteuid() == 0 else "bubblewrap", False)),
    *(("namespaces", True), ("bubblewrap", True)),
]
SHORT = Limits(time_s=60)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that all users can go into, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def root(place: Path) -> Path:
    return shut_in.make_root(place / "roots" / "small")


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}{' as nobody' if kind[1] else ''}")
def shell(request: pytest.FixtureRequest, root: Path) -> Shell:
    rung, nobody = request.param
    if nobody and (os.geteuid() or not shut_in.python_of_nobody()):
        pytest.skip("only root can become nobody, who needs a Python")
    found = Shell(root, rung, nobody)
    try:
        found.run("exit 0")
    except BuildError as error:
        if error.code != "IB861":
            raise
        pytest.skip(error.details[0])
    return found


@pytest.fixture
def out(place: Path, shell: Shell) -> Iterator[Path]:
    """A folder of whoever builds."""
    folder = shell.folder(place / "out")
    yield folder
    shutil.rmtree(folder)


def failure(shell: Shell, script: str, **given: object) -> BuildError:
    with pytest.raises(BuildError) as caught:
        shell.run(script, **given)  # type: ignore[arg-type]
    return caught.value


def test_the_environment_is_what_was_given_and_a_few_fixed_values(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the host")
    finished = shell.execute(Sandbox(shell.root), "env", env={"CFLAGS": "-O2 -g0", "TZ": "Europe/Lisbon"})
    assert sorted(finished.output.splitlines()) == [
        "CFLAGS=-O2 -g0",
        "HOME=/build/home",
        "LANG=C.UTF-8",
        "LC_ALL=C.UTF-8",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "PWD=/build/home",
        "PYTHONHASHSEED=0",
        "SOURCE_DATE_EPOCH=315532801",
        "TZ=Europe/Lisbon",
    ]
    assert (finished.rung, 0 < finished.seconds < 30) == (shell.rung, True)


def test_user_name_of_the_host_and_umask_are_the_same_everywhere(shell: Shell) -> None:
    assert shell.run("id -u; id -g; id -un; umask; echo $HOSTNAME; pwd").output.split() == [
        "65532", "65532", "nonroot", "0022", "imagebuilder", "/build/home",
    ]  # fmt: skip


def test_only_the_root_and_the_named_folders_are_there(shell: Shell, out: Path) -> None:
    (out / "own").touch()
    (out / "given").write_text("read me\n")
    finished = shell.run(
        "ls -m / /tmp /build /build/home /layers/own /srv; cat /etc/passwd /srv/given",
        writable={"/layers/own": out},
        readable={"/srv/given": out / "given"},
    )
    own = "bin, build, dev, etc, layers, leads-out, lib, lib64, proc, srv, tmp, usr"
    listed, _, read = finished.output.replace("sys, ", "").partition("root:x:0")
    assert [line for line in listed.splitlines() if line] == [
        "/:", own, "/build:", "home", "/build/home:", "/layers/own:", "given, own", "/srv:", "given", "/tmp:",
    ]  # fmt: skip
    assert read.endswith("read me\n")


def test_files_of_the_host_are_not_there(shell: Shell) -> None:
    secrets = ["/etc/shadow", "/root", "/home", "/var", str(Path(__file__).parent)]
    script = " ".join(f"{secret} /..{secret} /leads-out{secret}" for secret in secrets)
    assert shell.run(f"stat {script} || :").output.count("No such file or directory") == 3 * len(secrets)


def test_there_is_no_network(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        assert "refused" in shell.run(f"echo x > /dev/tcp/127.0.0.1/{server.getsockname()[1]} || :").output
        with pytest.raises(TimeoutError):
            server.accept()
    assert "unreachable" in shell.run("echo x > /dev/tcp/192.0.2.1/80 || :").output


def test_nothing_but_the_named_folders_can_be_written_to(shell: Shell, out: Path) -> None:
    out.joinpath("given").write_text("as it was\n")
    places = "/x /usr/x /usr/bin/x /etc/passwd /dev/x /layers/x /srv/given /srv/x"
    finished = shell.run(
        f"for place in {places} /etc/shared; do echo changed > $place && echo wrote $place; done;"
        "chmod 777 / /usr /etc/shared && echo took; rm -f /bin/ls /bin && echo removed; exit 0",
        readable={"/srv": out},
    )
    # In a copy of the root, what anybody may write to is a copy too.
    wrote = ["wrote /etc/shared"] if shell.rung == "chroot" else []
    said = [line for line in finished.output.splitlines() if line.startswith(("wrote", "took", "removed"))]
    assert said == wrote
    assert (shell.root / "etc/shared").read_text() == out.joinpath("given").read_text() == "as it was\n"


def test_what_is_written_belongs_to_whoever_builds(shell: Shell, out: Path) -> None:
    (out / "there").mkdir()
    os.chown(out / "there", out.stat().st_uid, out.stat().st_gid)
    (out / "there/link").symlink_to(shell.root / "etc")
    shell.run(
        "cd /layers/own; mkdir made; echo text > made/file; echo more > there/file; ln -s /etc/passwd made/link",
        writable={"/layers/own": out},
    )
    assert (out / "made/file").read_text() == "text\n"
    assert str((out / "made/link").readlink()) == "/etc/passwd"
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in (out / "made").rglob("*")} == {
        (out.stat().st_uid, out.stat().st_gid)
    }
    assert (out / "made/file").stat().st_mode & 0o777 == 0o644
    assert (shell.root / "etc").stat().st_uid == os.geteuid()
    assert not sorted(shell.root.parent.glob("chroots/*-*"))


def test_a_command_has_no_rights_and_gets_none(shell: Shell) -> None:
    finished = shell.run("cat /proc/self/status || :")
    if "/proc is empty" in finished.lacks:
        pytest.skip("there is no /proc to read it from")
    fields = dict(line.partition(":\t")[::2] for line in finished.output.splitlines())
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0000000000000000"}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert (fields["NSpid"].split()[-1], fields["Umask"]) in [("2", "0022"), ("3", "0022")]
    assert "SIGPIPE" not in fields["SigIgn"] and int(fields["SigIgn"], 16) == 0


def test_the_first_process_inside_tells_nothing_of_the_host(shell: Shell) -> None:
    finished = shell.run("cat /proc/1/cmdline /proc/1/environ 2>&1 || :; ls /proc")
    assert str(shell.root) not in finished.output and "HOME" not in finished.output
    numbers = [int(word) for word in finished.output.split() if word.isdecimal()]
    assert bool(numbers) is ("/proc is empty" not in finished.lacks)
    assert max(numbers, default=0) < 10, "only our own processes can be seen"


def test_no_descriptor_and_no_terminal_is_inherited(shell: Shell) -> None:
    opened = "for n in {3..9} {11..20}; do { : >&$n; } 2> /dev/null && echo open $n; done; exit 0"
    finished = shell.run(f"read line || echo end of input; [ -t 0 ] || echo no terminal; {opened}")
    assert finished.output.splitlines() == ["end of input", "no terminal"]


def test_processes_are_bounded_and_none_is_left(shell: Shell, out: Path) -> None:
    bomb = "f() { echo x >> /layers/own/alive; f | f & }; f; sleep 60"
    error = failure(shell, bomb, writable={"/layers/own": out}, limits=replace(SHORT, processes=40, time_s=1.0))
    assert error.code == "IB863" and "it took more than 1 s" in error.message
    assert any("Resource temporarily unavailable" in line for line in error.details)
    assert is_still(out / "alive")


def is_still(file: Path) -> bool:
    size = file.stat().st_size
    time.sleep(0.3)
    return file.stat().st_size == size


HEARTBEAT = "beat() { while :; do echo x >> /layers/own/alive; sleep 0.02; done; }; "


def test_a_process_that_was_sent_to_the_background_ends_with_the_command(shell: Shell, out: Path) -> None:
    script = f"{HEARTBEAT} export -f beat; setsid bash -c 'beat & beat' > /dev/null 2>&1 & sleep 0.2; echo done"
    assert shell.run(script, writable={"/layers/own": out}).output == "done\n"
    assert (out / "alive").stat().st_size > 2
    assert is_still(out / "alive")


def test_a_command_ends_with_whoever_started_it(shell: Shell, out: Path) -> None:
    sandbox = Sandbox(shell.root, {"/layers/own": out})
    with shell.start(sandbox, f"{HEARTBEAT} beat & setsid bash -c 'sleep 60' & beat") as builder:
        deadline = time.monotonic() + 20
        while not (alive := written_by(shell, out)) and time.monotonic() < deadline:
            time.sleep(0.05)
        builder.kill()
    time.sleep(0.3)
    assert all(map(is_still, alive)) and alive


def written_by(shell: Shell, out: Path) -> list[Path]:
    """Find what a command that runs has written; in a copy of the root until the command ends."""
    return sorted((*out.glob("alive"), *shell.root.parent.glob("chroots/*/root/layers/own/alive")))


def test_what_is_written_is_bounded(shell: Shell, out: Path) -> None:
    script = "dd if=/dev/zero of=/layers/own/large bs=1M count=20 status=none"
    limits = replace(SHORT, written=10 << 20)
    for rest in ("", "; rm /layers/own/other; sleep 60"):
        error = failure(shell, script + rest, writable={"/layers/own": out}, limits=limits)
        assert error.code == "IB864" and "10485760 bytes" in error.message


def test_a_folder_that_is_closed_to_its_owner_hides_nothing(shell: Shell, out: Path) -> None:
    script = "cd /layers/own; mkdir hidden; dd if=/dev/zero of=hidden/x bs=1M count=20 status=none; chmod 0 hidden"
    limits = replace(SHORT, written=10 << 20)
    assert failure(shell, script, writable={"/layers/own": out}, limits=limits).code == "IB864"
    (out / "hidden").chmod(0o700)


def test_folders_that_lie_too_deep_to_be_looked_at_hide_nothing(shell: Shell, place: Path) -> None:
    (place / "deep").mkdir(exist_ok=True)
    with scratch.folder(place / "deep") as made:
        made.chmod(0o755)
        deep = shell.folder(made / "out")
        script = "cd /layers/own; name=$(printf 'n%.0s' {1..200}); for n in {1..60}; do mkdir $name; cd $name; done"
        assert failure(shell, script, writable={"/layers/own": deep}).code == "IB864"
    assert not deep.exists()


def test_empty_files_are_counted(shell: Shell, out: Path) -> None:
    script = "cd /layers/own; for n in {1..300}; do : > $n; done"
    error = failure(shell, script, writable={"/layers/own": out}, limits=replace(SHORT, written=1 << 20))
    assert error.code == "IB864"


def test_keys_of_the_session_are_not_there(shell: Shell) -> None:
    """Keyrings belong to no namespace: what `keyctl` has put into that of a login or a job would be inherited."""
    key = f"{shut_in.session_key():08x}"
    if key not in Path("/proc/keys").read_text():
        pytest.skip("there are no keyrings here")
    assert key not in shell.run("cat /proc/keys || :").output


def test_files_memory_and_temporary_files_are_bounded(shell: Shell) -> None:
    large = "dd if=/dev/zero of=/tmp/large bs=1M count=20 status=none"
    assert "SIGXFSZ" in failure(shell, large, limits=replace(SHORT, file_size=10 << 20)).message
    limits = replace(SHORT, temporary=10 << 20, written=10 << 20)
    assert failure(shell, large, limits=limits).code in ("IB862", "IB864")
    much = "dd if=/dev/zero of=/dev/null bs=1G count=1 status=none"
    assert failure(shell, much, limits=replace(SHORT, memory=256 << 20)).code == "IB862"


def test_the_memory_of_all_processes_together_is_bounded(shell: Shell) -> None:
    limits = replace(SHORT, together=160 << 20)
    script = "hold() { printf -v held '%*s' 50000000 ''; sleep 30; }"
    assert shell.run(f"{script}; sleep() {{ :; }}; hold", limits=limits).output == ""
    error = failure(shell, f"{script}; hold & hold & setsid bash -c '{script}; hold' & hold", limits=limits)
    assert error.code == "IB971" and f"{160 << 20} bytes" in error.message


def test_equal_folders_of_the_host_give_equal_bytes(shell: Shell, place: Path) -> None:
    script = (
        "cd /build/app-1.0; cat source > made; pwd >> made; echo $PWD $HOME $0 $PPID $RANDOM_SEED >> made; "
        "ls -1 /build /tmp >> made; stat -c '%n %a %U' . source made >> made; env >> made; umask >> made"
    )
    made = []
    for name in ("one", "another-longer-name"):
        folder = shell.folder(place / name)
        (folder / "source").write_text("source\n")
        shell.run(script, writable={"/build/app-1.0": folder})
        made.append((folder / "made").read_bytes())
        shutil.rmtree(folder)
    assert made[0] == made[1] != b""


def test_of_much_output_the_end_is_kept(shell: Shell) -> None:
    finished = shell.run("printf '\\033[2J\\377'; dd if=/dev/zero bs=1M count=8 status=none; printf '\\033[2J\\377end'")
    assert finished.output.endswith("\0\0\x1b[2J\\xffend") and len(finished.output) <= (64 << 10) + 3


def test_a_command_that_fails_says_its_last_lines(shell: Shell) -> None:
    error = failure(shell, "for n in {1..100}; do echo line $n; done; exit 3")
    assert (error.code, error.exit_code, error.message) == ("IB862", 4, "/usr/bin/bash failed: exit status 3")
    assert error.details == tuple(f"line {n}" for n in range(81, 101))


def test_a_command_that_is_killed_names_the_signal(shell: Shell) -> None:
    assert "ended by SIGSEGV" in failure(shell, "kill -SEGV $$").message
    assert failure(shell, "kill -KILL -1").code == "IB862"


def test_a_program_that_is_not_there_is_a_failure_of_the_command(shell: Shell) -> None:
    with pytest.raises(BuildError, match="gcc failed: exit status 127") as caught:
        shell.execute(Sandbox(shell.root), "gcc", "-c", "x.c")
    assert "execvp gcc: No such file" in caught.value.details[-1] and caught.value.code == "IB862"


def test_a_folder_that_is_not_there_is_said(shell: Shell, place: Path) -> None:
    with pytest.raises(BuildError) as caught:
        shell.run("exit 0", readable={"/srv": place / "nowhere"})
    assert caught.value.code == "IB861" and "nowhere is not there" in caught.value.message


def test_a_folder_may_take_the_place_of_one_of_the_root(shell: Shell, out: Path) -> None:
    shell.run("touch /etc/file", writable={"/etc": out})
    assert (out / "file").exists()


def test_folders_and_files_may_lie_among_those_of_the_root(shell: Shell, out: Path) -> None:
    (out / "given").write_text("of the build\n")
    finished = shell.run(
        "cat /etc/given /etc/passwd /etc/shared; touch /usr/share/own/new; ls -m /usr; readlink /etc/tmp",
        writable={"/usr/share/own": out},
        readable={"/etc/given": out / "given", "/etc/passwd": out / "given"},
    )
    assert finished.output == "of the build\nof the build\nas it was\nbin, share\n/..\n"
    assert (out / "new").exists() and not (shell.root / "usr/share").exists()
    assert (shell.root / "etc/passwd").read_text().startswith("root:")
    assert failure(shell, "touch /etc/x", readable={"/etc/given": out / "given"}).code == "IB862"


@pytest.mark.parametrize(
    "inside",
    [
        "build/x",
        "/build/../x",
        "/",
        "/proc/x",
        "/dev/shm",
        "/build",
        "/tmp",
        "/leads-out/x",
        "/bin/x",
        "/etc/tmp/x",
        "/a\0b",
    ],
)
def test_places_that_cannot_be_given_are_refused(root: Path, inside: str) -> None:
    with pytest.raises(BuildError, match="cannot give a command") as caught:
        Sandbox(root, {inside: root})
    assert caught.value.code == "IB861"


def test_nothing_is_read_only_in_a_folder_that_can_be_written_to(root: Path) -> None:
    with pytest.raises(BuildError, match="can be written to") as caught:
        Sandbox(root, {"/build/x": root}, {"/build/x/y": root})
    assert caught.value.code == "IB861"


@pytest.mark.parametrize("env", [{"A=B": "1"}, {"": "1"}, {"A": "1\0--bind\0/\0/"}])
def test_variables_that_are_none_are_refused(root: Path, env: dict[str, str]) -> None:
    with pytest.raises(BuildError, match="the variable") as caught:
        command.run(Sandbox(root), ["env"], env=env)
    assert caught.value.code == "IB861"


def test_an_error_of_ours_ends_the_command(root: Path) -> None:
    def broken() -> int:
        raise RuntimeError("while we looked")

    rung = rungs.choose()
    words = ["--hostname", "imagebuilder", "--chroot", str(root), "--chdir", "/"]
    if rung != "chroot":
        words = [*box.mounts(Sandbox(root)), "--chdir", "/"]
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="while we looked"):
        process.supervise(rungs.program(rung), words, ["/usr/bin/sleep", "60"], SHORT, broken)
    assert time.monotonic() - started < 20


def test_the_best_way_that_works_is_chosen() -> None:
    working = [rung.name for rung in rungs.rungs() if not rung.problem]
    assert rungs.choose() == working[0]
    assert all(rung.problem for rung in rungs.rungs() if rung.name not in working)


def test_a_way_that_does_not_work_cannot_be_demanded() -> None:
    impossible = next((rung for rung in rungs.rungs() if rung.problem), None)
    if impossible is None:
        pytest.skip("every way works here")
    with pytest.raises(BuildError) as caught:
        rungs.choose(impossible.name)
    assert caught.value.code == "IB861"
    assert caught.value.details == (f"{impossible.name}: {impossible.problem}",)


def test_where_namespaces_are_refused_and_nobody_is_root_it_is_said_what_to_do() -> None:
    """A namespace of users in which there may be no further one is such a place."""
    program = (
        "from imagebuilder.sandbox import rungs\n"
        "from layers.errors import BuildError\n"
        "try: rungs.choose()\n"
        "except BuildError as error: print(error.code, *error.details, sep='\\n')"
    )
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    shut = ["unshare", "--user", "--map-user=1234", "--keep-caps", "sh", "-c", script, "sh"]
    ran = subprocess.run(
        [*shut, sys.executable, "-c", program], cwd=shut_in.HERE, capture_output=True, text=True, check=False
    )
    if "unshare failed" in ran.stderr or "Permission denied" in ran.stderr:
        pytest.skip("there are no namespaces here at all")
    code, bubblewrap, namespaces, chroot = ran.stdout.splitlines()
    assert (code, chroot) == ("IB860", "chroot: only root can change the root")
    assert bubblewrap.startswith("bubblewrap: ") and namespaces.endswith("No space left on device: unshare")


@pytest.mark.docker
def test_in_an_ordinary_container_root_has_a_chroot_and_nobody_has_nothing(
    docker_environment: dict[str, str], place: Path, root: Path
) -> None:
    """The container has the programs of this host, and the rights that an engine gives by default."""
    links = (debs.symlink(name, f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin"))
    image = subprocess.run(
        ["docker", "import", "-"],
        input=debs.tar([*links, debs.folder("usr"), debs.folder("tmp", mode=0o1777)]),
        env=docker_environment,
        capture_output=True,
        check=True,
    ).stdout.decode().strip()  # fmt: skip
    volumes = [f"--volume={path}:{path}" for path in ("/usr", shut_in.HERE, place)]
    packages = shut_in.environment_of_nobody()["PYTHONPATH"]
    given = [*volumes, f"--volume={packages}:{packages}", f"--env=PYTHONPATH={packages}"]
    contained = ["docker", "run", "--rm", "--interactive", "--network=none", f"--workdir={shut_in.HERE}", *given]
    asked = shut_in.order(Sandbox(root), ["id", "-u"], env={}, rung="")
    answers = []
    for user in ("0", "65534"):
        ran = subprocess.run(
            [*contained, f"--user={user}", image, shut_in.python_of_nobody(), "-B", "-m", "tests.shut_in"],
            input=asked,
            env=docker_environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        answers.append(json.loads(ran.stdout))
    of_root, of_nobody = answers
    assert (of_root["rung"], of_root["output"]) == ("chroot", "65532\n")
    assert "the network is not cut off" in of_root["lacks"]
    assert of_nobody["code"] == "IB860" and len(of_nobody["details"]) == 3
