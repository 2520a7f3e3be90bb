"""Images made by the programs that people make images with."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import made_by_hand
from trees import Failed, run, skopeo

OLD_NANOSECONDS = 1_600_000_000_123_456_789


def feature_tree(folder):
    """What a file system can hold, for programs that read one."""
    tree = folder / "features"
    if tree.exists():
        return tree
    (tree / "sub/deeper").mkdir(parents=True)
    (tree / "sub/tool").write_text("#!/bin/sh\n")
    (tree / "sub/data").write_bytes(os.urandom(70_000))
    os.symlink("data", tree / "sub/link")
    os.symlink("/sub/data", tree / "absolute")
    os.symlink("../" * 40 + "x", tree / "sub/far")
    os.link(tree / "sub/data", tree / "hard")
    os.link(tree / "sub/data", tree / "sub/deeper/hard")
    (tree / "empty").mkdir()
    (tree / "secret").write_text("s")
    os.mkfifo(tree / "pipe", 0o622)
    os.mknod(tree / "null", 0o020666, os.makedev(1, 3))
    os.mknod(tree / "disk", 0o060640, os.makedev(8, 17))
    with open(tree / "holes", "wb") as file:
        for place in (1 << 20, 3 << 20):
            file.seek(place)
            file.write(b"data" * 100)
        file.truncate(6 << 20)
    (tree / ("long-" + "n" * 200)).write_text("long")
    (tree / "\u00e4\u20ac").write_text("utf-8")
    for path, owner in {"sub/tool": (1000, 1000), "pipe": (5, 6), "sub": (0, 50), "secret": (65534, 65534),
                        "empty": (3_000_000, 3_000_000)}.items():
        os.chown(tree / path, *owner)
    for path, mode in {"sub/tool": 0o6755, "empty": 0o1770, "sub": 0o2775, "secret": 0o000, "disk": 0o640}.items():
        os.chmod(tree / path, mode)
    os.setxattr(tree / "hard", "user.note", b"hello\x00\xff")
    os.setxattr(tree / "sub/deeper", "user.folder", b"x")
    (tree / "ping").write_text("#!")
    os.chmod(tree / "ping", 0o755)
    os.setxattr(tree / "ping", "security.capability", made_by_hand.CAPABILITY_2)
    (tree / "listed").write_text("l")
    os.setxattr(tree / "listed", "system.posix_acl_access", made_by_hand.ACCESS_LIST)
    for base, folders, files in os.walk(tree, topdown=False):
        for name in folders + files + [""]:
            os.utime(os.path.join(base, name) if name else base, ns=(OLD_NANOSECONDS, OLD_NANOSECONDS),
                     follow_symlinks=False)
    return tree


def make_by_tars(folder, made):
    """One tree as GNU tar and bsdtar write it."""
    tree = feature_tree(folder)
    programs = {
        "GNU tar pax": ["tar", "--format=pax", "--xattrs", "--xattrs-include=*", "--acls", "--sparse",
                        "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"],
        "GNU tar gnu": ["tar", "--format=gnu"],
        "GNU tar v7": ["tar", "--format=v7", "--exclude=long-*", "--exclude=far", "--exclude=empty", "--exclude=pipe",
                       "--exclude=null", "--exclude=disk"],
    }
    if shutil.which("bsdtar"):
        programs |= {"bsdtar pax": ["bsdtar", "--format=pax"], "bsdtar gnu": ["bsdtar", "--format=gnutar"],
                     "bsdtar ustar": ["bsdtar", "--format=ustar", "--exclude=long-*", "--exclude=empty"]}
    else:
        print("skipped: bsdtar is not installed")
    for word, program in programs.items():
        name = word.lower().replace(" ", "-")
        run(*program, "-C", tree, "-cf", folder / "layer", "--numeric-owner", ".")
        made_by_hand.docker_archive([(folder / "layer").read_bytes()], f"{name}:1", folder / f"{name}.tar")
        made[word] = folder / f"{name}.tar"


def make_by_umoci(folder, made):
    layout, bundle = folder / "umoci", folder / "bundle"
    skopeo(f"docker-archive:{folder / 'pax.tar'}", f"oci:{layout}:1", folder)
    run("umoci", "unpack", "--image", f"{layout}:1", bundle)
    tree = bundle / "rootfs"
    (tree / "etc/kept").unlink()
    (tree / "by-umoci").write_text("new")
    os.chown(tree / "by-umoci", 12, 34)
    os.link(tree / "by-umoci", tree / "by-umoci-too")
    os.setxattr(tree / "by-umoci", "user.made", b"by umoci")
    run("umoci", "repack", "--image", f"{layout}:2", bundle)
    archive = folder / "umoci.tar"
    skopeo(f"oci:{layout}:2", f"oci-archive:{archive}:umoci:1", folder)
    made["umoci repack"] = archive
    # A file in a folder's place: umoci hides the folder's content as well, below what is no folder any more.
    (tree / "swap/again").unlink()
    (tree / "swap").rmdir()
    (tree / "swap").write_text("a file again")
    os.utime(tree / "swap", ns=(OLD_NANOSECONDS, OLD_NANOSECONDS))
    run("umoci", "repack", "--image", f"{layout}:3", bundle)
    archive = folder / "umoci-replaced.tar"
    skopeo(f"oci:{layout}:3", f"oci-archive:{archive}:umoci-replaced:1", folder)
    made["umoci replaced"] = archive


def make_by_buildah(folder, made):
    tree = feature_tree(folder)
    base = ["buildah", "--root", folder / "bh", "--runroot", folder / "bhr", "--storage-driver", "vfs"]
    for form in ("docker", "oci"):
        for squash in (False, True):
            word = f"buildah-{form}{'-squash' if squash else ''}"
            first = run(*base, "from", "scratch").strip()
            run(*base, "copy", first, tree, "/app")
            run(*base, "commit", "-q", "--format", form, first, f"localhost/{word}:base")
            second = run(*base, "from", "--pull-never", f"localhost/{word}:base").strip()
            mount = Path(run(*base, "mount", second).strip())
            (mount / "app/hard").unlink()
            shutil.rmtree(mount / "app/empty")
            (mount / "app/empty").write_text("a file now")
            (mount / "app/new").write_text("new")
            os.chown(mount / "app/new", 5, 6)
            run(*base, "umount", second)
            run(*base, "commit", "-q", "--format", form, *(["--squash"] if squash else []), second,
                f"localhost/{word}:1")
            archive = folder / f"{word}.tar"
            kind = "docker-archive" if form == "docker" else "oci-archive"
            run(*base, "push", "-q", f"localhost/{word}:1", f"{kind}:{archive}:localhost/{word}:1")
            made[word.replace("-", " ")] = archive


def make_by_podman(folder, made, podman):
    """A container's changes, committed; and what podman itself builds."""
    context = build_context(folder)
    (context / "Containerfile").write_text(BUILDS["type"])
    # The private host's own network, which leads nowhere: this isolation takes no other.
    run(*podman, "build", "-q", "--network", "host", "--isolation", "chroot", "-t", "podman-build:1",
        "-f", context / "Containerfile", context)
    container = run(*podman, "create", "--network", "none", "podman-build:1", "/bin/busybox").strip()
    # No folders: podman 4.3 does not copy hard links below one.
    run(*podman, "cp", feature_tree(folder) / "listed", f"{container}:/app/listed-too")
    run(*podman, "cp", feature_tree(folder) / "sub/tool", f"{container}:/app/sub/tool")
    run(*podman, "commit", "-q", container, "podman-commit:1")
    for word in ("build", "commit"):
        archive = folder / f"podman-{word}.tar"
        run(*podman, "save", "-q", "--format", "oci-archive", "-o", archive, f"podman-{word}:1")
        made[f"podman {word}"] = archive
    run(*podman, "rm", "-f", container)
    run(*podman, "rmi", "-f", "--all")


BUILDS = {
    "add": "FROM scratch\nADD source.tar /from-tar/\nCOPY source /copied/\nCOPY --chown=7:8 source/sub /owned/\n",
    "run": "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n"
           "COPY source /app\nRUN [\"/bin/rm\", \"/app/hard\"]\nRUN [\"/bin/rm\", \"-r\", \"/app/sub\"]\n"
           "RUN [\"/bin/mkdir\", \"/app/sub\"]\n",
    "change": "FROM scratch\nCOPY busybox /bin/busybox\nCOPY source /app\n"
              "RUN [\"/bin/busybox\", \"chmod\", \"4711\", \"/app/sub/tool\"]\n"
              "RUN [\"/bin/busybox\", \"chown\", \"9:9\", \"/app\"]\n",
    "type": "FROM scratch\nCOPY busybox /bin/busybox\nCOPY source /app\n"
            "RUN [\"/bin/busybox\", \"sh\", \"-c\", \"cd /app; b=/bin/busybox; $b rm -r empty; $b touch empty;"
            " $b rm hard; $b mkdir hard; $b ln -s /app one; $b mkfifo two\"]\n",
}


def build_context(folder):
    context = folder / "context"
    if context.exists():
        return context
    context.mkdir()
    run("cp", "-a", feature_tree(folder), context / "source")
    # No builder takes devices from its context.
    for name in ("null", "disk", "pipe"):
        (context / "source" / name).unlink()
    run("cp", "/usr/bin/busybox", context / "busybox")
    run("tar", "-C", context / "source", "-cf", context / "source.tar", ".")
    return context


def make_by_docker(folder, made, docker):
    context = build_context(folder)
    for word, text in BUILDS.items():
        (context / "Dockerfile").write_text(text)
        run(*docker, "build", "-q", "--network", "none", "-t", f"docker-{word}:1", context,
            env={**os.environ, "DOCKER_BUILDKIT": "0"})
        save_by_docker(folder, made, docker, f"docker-{word}", f"docker build {word}")
    container = run(*docker, "create", "--network", "none", "docker-change:1", "/bin/busybox").strip()
    run(*docker, "cp", feature_tree(folder) / "sub", f"{container}:/copied")
    run(*docker, "cp", feature_tree(folder) / "ping", f"{container}:/app/ping")
    run(*docker, "commit", container, "docker-commit:1")
    run(*docker, "rm", "-f", container)
    save_by_docker(folder, made, docker, "docker-commit", "docker commit")
    for word in [*BUILDS, "commit"]:
        run(*docker, "rmi", "-f", f"docker-{word}:1")


def save_by_docker(folder, made, docker, name, word):
    archive = folder / f"{name}.tar"
    run(*docker, "save", "-o", archive, f"{name}:1")
    made[word] = archive


def make_of_debian(folder, made):
    """The example whose root mmdebstrap made, and Debian's busybox. They are made before, with a network."""
    for archive in sorted(folder.glob("debian-*.tar")):
        made[archive.stem.replace("-", " ")] = archive


def prepare_debian(root, folder):
    for name in ("busybox", "nginx"):
        if name != "busybox" and shutil.which("mmdebstrap") is None:
            print("skipped: mmdebstrap is not installed")
            continue
        result = subprocess.run(
            [root / "examples/images/build.sh", "--no-load", name], stdout=subprocess.PIPE, text=True)
        if result.returncode != 0:
            raise Failed(f"the example's image {name} cannot be made")
        shutil.copy(result.stdout.strip(), folder / f"debian-{name}.tar")
