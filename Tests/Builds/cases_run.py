"""RUN, and what its changes become in a layer."""

import os
import shutil
import subprocess

from contexts import BUILDAH, BUILDKIT, CLASSIC, Case, File


def run(name, *lines, context=None, **more):
    return Case(f"run {name}", "\n".join(("FROM base:1", *lines, "")), context or {"a": "a"}, **more)


def tools(*programs):
    """Programs of this host with the libraries that they need, as a context."""
    found = {}
    for program in programs:
        path = shutil.which(program)
        libraries = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout.split()
        for each in [path, *(word for word in libraries if word.startswith("/"))]:
            with open(each, "rb") as file:
                found[f"tools{os.path.realpath(os.path.dirname(each))}/{os.path.basename(each)}"] = File(file.read(), 0o755)
    return found


TOOLS = ("COPY tools /", "ENV LD_LIBRARY_PATH=/usr/lib:/usr/lib/x86_64-linux-gnu PATH=/bin:/usr/bin:/usr/sbin",
         "RUN ln -s /usr/lib64 /lib64")

CASES = [
    run("shell form", "RUN echo one > /one && echo two \\", "  > /two"),
    run("list form", 'RUN ["/bin/busybox", "touch", "/a b", "/$HOME"]', odd_fields={BUILDAH: ("history",)}),
    run("remove a file", "RUN rm /base/file"),
    run("remove a folder", "RUN rm -r /base/folder"),
    run("remove everything of a folder", "RUN rm -r /base/full/* && echo new > /base/full/new"),
    run("folder made anew", "RUN rm -r /base/folder && mkdir /base/folder && echo x > /base/folder/x"),
    run("folder made anew in two steps", "RUN rm -r /base/folder", "RUN mkdir -p /base/folder/deep && echo x > /base/folder/x"),
    run("folder becomes file", "RUN rm -r /base/folder && echo x > /base/folder"),
    run("file becomes folder", "RUN rm /base/file && mkdir /base/file && echo x > /base/file/x"),
    run("file becomes folder and back", "RUN rm /base/file && mkdir /base/file", "RUN rmdir /base/file && echo back > /base/file"),
    run("link becomes folder", "RUN rm /base/link && mkdir /base/link && echo x > /base/link/a"),
    run("folder becomes link", "RUN rm -r /base/full && ln -s folder /base/full"),
    run("rename a file", "RUN mv /base/file /base/moved && mv /base/other /root/"),
    run("rename a folder", "RUN mv /base/folder /base/moved"),
    run("rename a folder and put another there", "RUN mv /base/folder /base/old && mv /base/full /base/folder"),
    run("change a file", "RUN echo more >> /base/file"),
    run("touch alone", "RUN touch -d @1300000000 /base/file /base/folder"),
    run("mode alone", "RUN chmod 600 /base/file && chmod 711 /base/folder && chmod u-s /base/set-user"),
    run("owner alone", "RUN chown 5:6 /base/other /base/empty && chown -h 7:8 /base/link"),
    run("mode there and back", "RUN chmod 600 /base/file && chmod 644 /base/file"),
    run("links", "RUN ln -s folder /base/new-link && ln -sf other /base/link-file && ln -s /a/b/c/d /abs"),
    run("hard links", "RUN echo x > /one && ln /one /two && mkdir /d && ln /one /d/three"),
    run("hard link to the base's", "RUN ln /base/file /base/file-too"),
    run("one of two hard links changed", "RUN echo more >> /base/hard"),
    run("one of two hard links removed", "RUN rm /base/hard"),
    run("hard link across steps", "RUN echo x > /one", "RUN ln /one /two", "RUN echo y >> /one"),
    run("special files", "RUN mkfifo -m 620 /pipe && rm /base/pipe && mkfifo /base/pipe && chown 3:4 /pipe"),
    run("bits", "RUN echo x > /u && chmod 4755 /u && mkdir /g /s && chmod 2775 /g && chmod 1777 /s && touch /g/in"),
    run("capabilities kept on change", "RUN mv /base/capable /moved && chmod 700 /moved"),
    run("capabilities set", *TOOLS, "RUN cp /bin/busybox /x && setcap cap_net_bind_service=+ep /x && setcap -r /base/capable",
        context=tools("setcap")),
    run("extended attributes", *TOOLS, "RUN setfattr -n user.note -v hello /base/file && setfattr -n user.d -v 1 /base/folder",
        context=tools("setfattr"), odd={CLASSIC: "of the extended attributes keeps security.capability alone"}),
    run("nothing", "RUN true"),
    run("made and removed in one step", "RUN echo x > /x && mkdir /d && rm -r /x /d"),
    run("made and removed in two steps", "RUN echo x > /x && mkdir -p /d/e", "RUN rm -r /x /d", "RUN echo again > /x"),
    run("names", "RUN mkdir /n && cd /n && touch \"$(printf 'n%.0s' $(seq 255))\" 'a b' '\u00e4\u20ac' \"$(printf '\\377\\376')\" -- -x"),
    run("deep", "RUN d=/; for i in $(seq 30); do d=$d/folder-number-$i; mkdir $d; done; echo x > $d/end"),
    run("many files", "RUN mkdir /m && cd /m && for i in $(seq 1500); do echo $i > f$i; done", "RUN cd /m && rm f1*"),
    run("sparse", "RUN truncate -s 20M /holes && echo end >> /holes && dd if=/dev/zero of=/some bs=1k seek=3000 count=1 2>/dev/null"),
    run("of the root folder", "RUN chmod 711 /tmp && touch /tmp/x && rmdir /home"),
    run("what the runtime provides is not kept", "RUN echo x > /dev/shm/x; echo x > /tmp/y; echo '1.2.3.4 x' >> /etc/hosts || true",
        odd={BUILDAH: "keeps what RUN writes to /etc/hosts"}),
    run("as another user", "USER web", "RUN id -u > /tmp/id; id -g >> /tmp/id; id -G >> /tmp/id; echo $HOME >> /tmp/id; touch /tmp/mine"),
    run("as numbers", "USER 4321:8765", "RUN echo $(id -u):$(id -g):$(id -G) > /tmp/id"),
    run("in the working folder", "WORKDIR /w/x", "RUN pwd > here; echo $PWD >> here"),
    run("with variables", "ARG a=1", "ENV b=2", "RUN echo $a $b ${c:-3} > /x; a=4; echo $a >> /x"),
    run("umask and limits", "RUN umask > /u; mkdir /d; touch /f; ulimit -c > /tmp/c"),
    run("input is empty", "RUN cat > /in; test ! -s /in"),
    run("volume changed afterwards", "RUN mkdir /v && echo 1 > /v/one", "VOLUME /v", "RUN echo 2 > /v/two", "COPY a /v/",
        odd=dict.fromkeys((CLASSIC, BUILDAH), "what RUN changes in a volume is lost")),
    run("copied file removed", "COPY a /x/a", "RUN rm /x/a", "COPY a /x/b"),
    run("copy over a removed folder", "RUN rm -r /base/folder", "COPY a /base/folder/a"),
    run("heredoc", "RUN <<end", "echo one > /one", "echo \"$FROM_BASE\" > /two", "end", "RUN cat <<x > /three", "three $FROM_BASE", "x",
        equivalent="FROM base:1\nRUN echo one > /one; echo \"$FROM_BASE\" > /two\nRUN echo three $FROM_BASE > /three\n",
        odd_fields=dict.fromkeys((CLASSIC, BUILDKIT, BUILDAH), ("history",))),
    run("fails", "RUN exit 3", fails=True),
    run("program that is not there", 'RUN ["/no/such"]', fails=True),
    run("as somebody unknown", "USER nobody-knows", "RUN true", fails=True),
]
