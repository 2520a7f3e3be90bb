"""Several stages, and COPY between them."""

from contexts import BUILDAH, BUILDKIT, CLASSIC, Case, File, Folder, Link

MAKE = ("FROM base:1 AS make\nRUN mkdir -p /out/sub && echo built > /out/file && echo two > /out/sub/two && "
        "chown -R web:staff /out/sub && chmod 4711 /out/file && ln -s file /out/link && ln /out/sub/two /out/sub/hard && "
        "touch -d @1500000000 /out/file /out/sub/two /out/sub /out && touch -h -d @1500000000 /out/link\n")

NO_PIPES = "leaves named pipes out"
MOUNT_POINTS = "leaves the folders that it mounted on"
FLAGS_TOLD = {BUILDAH: ("history",)}


def stages(name, text, **more):
    return Case(f"stages {name}", text, more.pop("context", {"a": "a", "b/c": "c"}), **more)


CASES = [
    stages("copy by name", MAKE + "FROM base:1\nCOPY --from=make /out /app\n"),
    stages("copy by number", MAKE + "FROM base:1\nCOPY --from=0 /out/file /out/sub/two /app/\n"),
    stages("copy from an image", "FROM scratch\nCOPY --from=base:1 /base/folder /x\nCOPY --from=base:1 /etc/passwd /y/\n"),
    stages("copy with wildcards", MAKE + "FROM base:1\nCOPY --from=make /out/f* /out/s?b /app/\n"),
    stages("copy with an owner", MAKE + "FROM base:1\nCOPY --from=make --chown=5:6 /out /app\n",
           odd={CLASSIC: "a change of owner clears the setuid bit"}),
    stages("copy after USER", MAKE + "FROM base:1\nUSER mail\nCOPY --from=make /out /app\n"),
    stages("copy link as source", MAKE + "FROM base:1\nCOPY --from=make /out/link /app/one\n"),
    stages("copy through links", "FROM base:1 AS one\nRUN ln -s /base/folder /abs && ln -s ../../base/folder/deep /base/rel\n"
           "FROM base:1\nCOPY --from=one /abs/a /x/\nCOPY --from=one /base/rel/c /x/\n"),
    stages("copy special files", "FROM base:1 AS one\nRUN mkdir /s && mkfifo -m 600 /s/pipe && ln -s /no/where /s/dangling\n"
           "FROM base:1\nCOPY --from=one /s /s\n", odd={BUILDKIT: NO_PIPES}),
    stages("copy a capability", "FROM base:1 AS one\nFROM scratch\nCOPY --from=one /base/capable /c\n",
           odd={CLASSIC: "a single file loses its extended attributes"}),
    stages("copy everything there is", "FROM base:1 AS one\nFROM scratch\nCOPY --from=one /base /b/\n", odd={BUILDKIT: NO_PIPES}),
    stages("relative source is from the root", "FROM base:1 AS one\nWORKDIR /deep\nRUN echo x > /deep/x; echo y > /x\n"
           "FROM base:1\nWORKDIR /here\nCOPY --from=one x .\nCOPY --from=one ./deep/x ./z\n"),
    stages("stage on a stage", "FROM base:1 AS one\nENV A=1\nLABEL l=1\nRUN echo 1 > /1\nFROM one AS two\n"
           "ENV C=$A\nRUN echo 2 > /2\nFROM two\nRUN cat /1 /2 > /3\n"),
    stages("ARG of the stage before", "FROM base:1 AS one\nARG b=2\nFROM one\nENV C=$b\n",
           odd=dict.fromkeys((CLASSIC, BUILDAH), "an ARG ends with its stage")),
    stages("name in capitals", "FROM base:1 AS MaKe\nRUN echo 1 > /1\nFROM base:1\nCOPY --from=make /1 /x\n",
           odd={BUILDAH: "names of stages are told apart by case"}),
    stages("a name taken twice", "FROM base:1 AS one\nRUN echo 1 > /1\nFROM base:1 AS two\nCOPY --from=one /1 /2\n"
           "FROM two AS three\nCOPY --from=two /2 /3\n"),
    stages("target", MAKE + "FROM base:1 AS middle\nCOPY --from=make /out/file /m\nFROM base:1\nRUN false\n",
           options=("--target", "middle")),
    stages("unused stage that would fail", "FROM base:1 AS bad\nRUN false\nFROM base:1\nCOPY a /a\n", peers=(BUILDKIT, BUILDAH)),
    stages("arguments are a stage's own", "ARG g=global\nFROM base:1 AS one\nARG g\nARG l=local\nRUN echo $g $l > /1\n"
           "FROM base:1\nARG l=other\nCOPY --from=one /1 /1\nRUN echo \"$g\" $l > /2\nLABEL g=\"[$g]\" l=$l\n"),
    stages("arguments in names", "ARG v=make\n" + MAKE + "FROM make AS last\nARG v\nRUN echo $v > /v\n"),
    stages("scratch in between", "FROM scratch AS data\nCOPY . /\nFROM base:1\nCOPY --from=data / /all/\n"),
    stages("folder over a link", "FROM base:1 AS one\nRUN mkdir -p /d/link && echo x > /d/link/x\n"
           "FROM base:1\nCOPY --from=one /d/link /base/link\n"),
    stages("tree into the base's", "FROM base:1 AS one\nRUN mkdir -p /d/folder && echo x > /d/folder/x && echo new > /d/file\n"
           "FROM base:1\nCOPY --from=one /d /base\n"),
    stages("mount from a stage", MAKE + "FROM base:1\nRUN --mount=type=bind,from=make,source=/out,target=/mnt cp /mnt/file /got\n",
           peers=(BUILDKIT, BUILDAH), odd={BUILDKIT: MOUNT_POINTS}, odd_fields=FLAGS_TOLD),
    stages("mount from the context", "FROM base:1\nRUN --mount=type=bind,target=/ctx cat /ctx/a /ctx/b/c > /got\n"
           "RUN --mount=target=/ctx,source=b,rw echo lost > /ctx/new; ls /ctx | grep -v Dockerfile > /list\n", peers=(BUILDKIT, BUILDAH),
           odd={BUILDKIT: MOUNT_POINTS}, odd_fields=FLAGS_TOLD),
    stages("mount of a cache", "FROM base:1\nRUN --mount=type=cache,target=/base/empty,id=compare echo x > /base/empty/x\n"
           "RUN --mount=type=cache,target=/base/empty,id=compare cp /base/empty/x /got\n", peers=(BUILDKIT, BUILDAH),
           odd={BUILDAH: "takes a folder of the base away that it mounted on"},
           odd_fields=FLAGS_TOLD),
    stages("mount of memory", "FROM base:1\nRUN --mount=type=tmpfs,target=/t echo x > /t/x && cp /t/x /got\n", peers=(BUILDKIT, BUILDAH),
           odd={BUILDKIT: MOUNT_POINTS}, odd_fields=FLAGS_TOLD),
    stages("from itself", "FROM base:1 AS one\nCOPY --from=one /etc/passwd /x\n", fails=True),
    stages("from a later one", "FROM base:1 AS one\nCOPY --from=1 /etc/passwd /x\nFROM base:1\nCOPY a /a\n",
           options=("--target", "one"), fails=True, odd={BUILDKIT: "a later stage can be copied from by its number"}),
    stages("missing in a stage", "FROM base:1 AS one\nFROM base:1\nCOPY --from=one /nothing /x\n", fails=True),
    stages("unknown target", "FROM base:1 AS one\n", options=("--target", "two"), fails=True),
]
