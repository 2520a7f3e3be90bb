#!/usr/bin/env python3
"""Writes Dockerfiles as inputs for the fuzzer: make_dockerfile_corpus.py FOLDER TESTS...

They are the texts of the tests of the language, and one file with every instruction (see DockerfileFuzz.swift).
"""
import ast
import hashlib
import pathlib
import re
import sys

EVERYTHING = """# syntax=docker/dockerfile:1
# check=skip=JSONArgsRecommended;error=false
ARG V=1 W
FROM --platform=$BUILDPLATFORM golang:${V:-1} AS build
WORKDIR /src
ARG A=x B=${A%x*}/${A#?}${A/x/y}${A//x/y}
ENV C=$A D="a $B" E='c' F=g\\ h
COPY --link --chown=1:2 --chmod=755 --exclude=*.o --parents [".", "/x"]
ADD --checksum=sha256:ab --keep-git-dir --unpack https://x/y.git#v1 /y
RUN --mount=type=cache,target=/c,id=x,sharing=locked,uid=1,mode=0700 --network=none --security=sandbox \\
    --mount=type=secret,id=s,env=S,required --mount=type=tmpfs,dst=/t,size=1.5k # no comment
RUN <<-EOF 3<<'B'
\techo $A
\tEOF
b
B
COPY <<one <<"two" /files/
${A:+x}
one
$A
two
SHELL ["/bin/bash", "-c"]
HEALTHCHECK --interval=1m30s --retries=3 CMD ["curl", "x"]
FROM scratch AS final
COPY --from=build /x /x
COPY --from=0 /y /y
RUN --mount=type=bind,from=build,source=/x,target=/z,rw ["a", "\\u00e9"]
LABEL "a b"=c d=e
EXPOSE 80 443/tcp 1-3/udp
VOLUME /a ["/b"]
USER a:b
STOPSIGNAL SIGRTMIN+3
MAINTAINER me
ONBUILD COPY --from=build a b
CMD x
ENTRYPOINT ["a"]
"""
IGNORE = b"# c\n**/x*\n!x/[a-c]?\\d\n/a/../b/**\n"


def main():
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    texts = {EVERYTHING}
    for source in sys.argv[2:]:
        for path in pathlib.Path(source).glob("*.swift"):
            for literal in re.findall(r'(?<![#"])"(?:[^"\\\n]|\\[nrt"\\])*"(?!")', path.read_text()):
                text = ast.literal_eval(literal)
                texts |= {text} if "FROM" in text else {"FROM a\n" + text}
    for text in texts:
        data = text.encode("utf-8", "surrogatepass") + b"\xff" + IGNORE
        (target / hashlib.sha1(data).hexdigest()).write_bytes(data)


main()
