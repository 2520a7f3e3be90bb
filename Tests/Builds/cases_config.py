"""The image's configuration, and variables on the way to it."""

from contexts import BUILDAH, BUILDKIT, CLASSIC, Case


def config(name, *lines, **more):
    return Case(f"config {name}", "\n".join(("FROM base:1", *lines, "")), {"a": "a"}, **more)


def run(name, *lines, **more):
    return config(name, *lines, "RUN env | sort | grep -v -E '^(HOSTNAME|container|_|PWD|SHLVL|OLDPWD|HOME)=' > /env", **more)


NOT_MADE = "WORKDIR makes the folder only when something runs in it"

CASES = [
    config("ENV forms", "ENV A=1 B=\"two words\" C=three\\ words D='$A' E=\"$A-${B}\"", "ENV OLD form of a value", "ENV F="),
    config("ENV again and in order", "ENV A=1", "ENV B=$A A=2 C=$A", "ENV PATH=/opt/bin:$PATH", "ENV FROM_BASE=no"),
    config("expansions", "ENV A=alpha", "ENV D=${A:-x} E=${N:-none} F=${A:+set} G=${N:+set} H=${N:-$A} I=\\$A J=${A}s",
           "LABEL l=${A}-$N-x"),
    config("quotes", "ENV A=\"a\\\"b\" B='a\"b' C=\"a'b\" D='' E=\"\" F=a\\\\b", "LABEL \"quoted key\"=\"v w\" plain='s q'"),
    run("ARG values", "ARG a=1", "ARG b", "ARG c=3", "ARG d=$a$c", options=("--build-arg", "b=outside", "--build-arg", "c=30")),
    run("ARG and ENV of one name", "ENV A=env", "ARG A=arg", "ARG B=arg", "ENV B=env", "ENV C=$A$B", options=("--build-arg", "A=out"),
        odd=dict.fromkeys((CLASSIC, BUILDAH), "an ENV above counts more than an ARG below it")),
    Case("config ARG before FROM", "ARG name=base\nARG tag=none\nFROM ${name}:$tag\nARG tag\nARG name=own\nLABEL t=$tag n=$name\n",
         options=("--build-arg", "tag=1")),
    config("ARG of nobody", "LABEL a=$a", "ARG a=1", "LABEL b=$a"),
    config("labels", "LABEL a=1 b=2", "LABEL a=3 \\", "  c.d-e=\"multi \\", "line\"", "LABEL base=", options=("--label", "x=y z"),
           odd_fields=dict.fromkeys((CLASSIC, BUILDAH), ("history",))),
    config("CMD forms", "CMD echo $HOME \"two  spaces\" # no comment"),
    config("CMD as list", 'CMD ["echo", "a b", "$HOME", "\\u00e4\\n"]'),
    config("CMD as broken list", "CMD ['echo', 'a']"),
    config("ENTRYPOINT takes CMD away", 'ENTRYPOINT ["/bin/echo"]'),
    config("ENTRYPOINT and CMD", 'CMD ["one"]', 'ENTRYPOINT ["/bin/echo"]', 'CMD ["two"]'),
    config("CMD before ENTRYPOINT", 'CMD ["one"]', 'ENTRYPOINT ["/bin/echo"]'),
    config("ENTRYPOINT in the shell's form", "ENTRYPOINT exec top -b", "CMD [\"-x\"]"),
    config("ENTRYPOINT emptied", 'ENTRYPOINT ["/bin/echo"]', "ENTRYPOINT []", "CMD []"),
    config("SHELL", 'SHELL ["/bin/busybox", "ash", "-ec"]', "CMD echo one", "ENTRYPOINT echo two", "RUN echo three > /three",
           odd={BUILDAH: "SHELL counts for RUN alone, and not in the history"}),
    config("EXPOSE", "ARG p=9000", "EXPOSE 80 443/tcp 53/udp", "EXPOSE $p/udp 7000-7003",
           odd={BUILDAH: "keeps a range of ports as a range"}),
    config("VOLUME", 'VOLUME ["/data", "/with space"]', "VOLUME /one /two/"),
    config("USER", "USER web", "USER 12:34", "ENV U=mail", "USER ${U}:staff"),
    config("WORKDIR", "WORKDIR /a", "WORKDIR b/c", "WORKDIR ../d", "ENV E=/e", "WORKDIR $E/f//g/", "WORKDIR .",
           odd={BUILDAH: NOT_MADE}),
    config("WORKDIR through a link", "WORKDIR /base/link/new", "RUN echo here > file"),
    config("WORKDIR after USER", "USER web", "WORKDIR /made/by", odd={
        CLASSIC: "the folder of WORKDIR is root's", BUILDAH: NOT_MADE}),
    config("WORKDIR that is there", "WORKDIR /base/folder", "WORKDIR /base/empty"),
    config("HEALTHCHECK", "HEALTHCHECK --interval=5s --timeout=1m30s --start-period=2s --retries=4 CMD wget -q localhost || exit 1"),
    config("HEALTHCHECK as list", 'HEALTHCHECK CMD ["/bin/true", "x"]'),
    config("HEALTHCHECK none", "HEALTHCHECK CMD true", "HEALTHCHECK NONE"),
    config("STOPSIGNAL", "STOPSIGNAL SIGQUIT", "STOPSIGNAL 9"),
    config("MAINTAINER", "MAINTAINER Somebody <some@body.example>"),
    Case(
        "config escape directive", "# escape=`\nFROM base:1\nENV A=a`\n  B=b\\c C=`$A\nLABEL x=\"a `\n b\"\n",
        odd={BUILDAH: "keeps `\\` as an escape inside of words"}),
    config("comments and blanks", "# one", "   # two", "", "ENV A=1 \\", "# inside", "", "  B=2", "LABEL x=\"#not\""),
    config("returns at the ends of lines", "ENV A=1 \\\r", "  B=2\r", "LABEL x=y\r"),
    Case("config ONBUILD is kept", "FROM base:1\nONBUILD RUN echo hi > /hi\nONBUILD COPY a /from-trigger\nONBUILD ENV T=1\n"),
    Case("config ONBUILD is carried out", "FROM parent:1\nRUN cat /hi /from-trigger > /both\n", {"a": "a"},
         parent="FROM base:1\nONBUILD RUN echo hi > /hi\nONBUILD COPY a /from-trigger\nONBUILD ENV T=1\n"
                "ONBUILD ARG x=4\nONBUILD LABEL l=$x\n"),
    Case("config taken over from the base", "FROM parent:1\nENV MORE=$E\nEXPOSE 81\nVOLUME /w\nLABEL m=1\n",
         parent="FROM base:1\nENV E=5\nEXPOSE 80\nVOLUME /v\nUSER web\nWORKDIR /w\nLABEL l=1\nSTOPSIGNAL SIGINT\n"
                "HEALTHCHECK CMD true\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\nSHELL [\"/bin/ash\", \"-c\"]\n",
         odd={CLASSIC: "the folder of WORKDIR is root's", BUILDAH: NOT_MADE}),
    Case("config ENTRYPOINT keeps the CMD of the same file alone", "FROM parent:1\nENTRYPOINT [\"new\"]\n",
         parent="FROM base:1\nCMD [\"of the base\"]\n"),
    config("nothing at all"),
    Case("config scratch", "FROM scratch\nENV A=1\nCMD [\"/x\"]\n", peers=(BUILDKIT, BUILDAH)),
    config("unknown instruction", "FETCH x", fails=True),
    config("bad signal", "STOPSIGNAL SIGNONE", fails=True),
    config("bad port", "EXPOSE eighty", fails=True, odd={BUILDAH: "keeps any word as a port"}),
    config("ENV without a value", "ENV A", fails=True),
    Case("config unknown base", "FROM nobody/has-this:1\n", fails=True),
    Case("config no base", "RUN true\n", fails=True),
    Case("config empty file", "# nothing\n", fails=True),
]
