import Testing

@testable import Dockerfile

/// Each instruction with its flags and forms.
struct InstructionTests {
    /// A line and its words.
    static let table: [(String, [String])] = [
        ("RUN echo  hi", ["/bin/sh", "-c", "echo  hi"]), ("run [\"a\", \"b c\"]", ["a", "b c"]),
        ("RUN ['a']", ["/bin/sh", "-c", "['a']"]), ("RUN [ \"a\" ] b", ["/bin/sh", "-c", "[ \"a\" ] b"]),
        ("RUN [\"\\u00e9\\ud83d\\ude80\\n\\\"\"]", ["é🚀\n\""]), ("CMD []", []), ("CMD", ["/bin/sh", "-c", ""]),
        ("CMD [\"a\",]", ["/bin/sh", "-c", "[\"a\",]"]), ("ENTRYPOINT [\"a\"]", ["a"]),
        ("SHELL [\"a\", \"-c\"]", ["a", "-c"]),
        ("COPY a b /c", ["a", "b", "/c"]), ("COPY [\"a b\", \"/c\"]", ["a b", "/c"]), ("ADD a\tb", ["a", "b"]),
        ("ENV a=b c='d e' f=\"g h\"", ["a=b", "c='d e'", "f=\"g h\""]), ("ENV a b  c ", ["a=b  c"]),
        ("ENV a=b\\ c d=", ["a=b\\ c", "d="]), ("LABEL \"a b\"=c", ["\"a b\"=c"]), ("LABEL a=b=c", ["a=b=c"]),
        ("ARG a", ["a"]), ("ARG a=b c d='e f'", ["a=b", "c", "d='e f'"]),
        ("EXPOSE 80 443/tcp 10", ["10", "443/tcp", "80"]),
        ("VOLUME /a /b", ["/a", "/b"]), ("VOLUME [\"/a b\"]", ["/a b"]), ("USER a b", ["a b"]),
        ("WORKDIR /a b", ["/a b"]),
        ("STOPSIGNAL SIGINT", ["SIGINT"]), ("MAINTAINER Me <me@x>", ["Me <me@x>"]), ("HEALTHCHECK none", ["NONE"]),
        ("HEALTHCHECK CMD curl x", ["CMD-SHELL", "curl x"]), ("HEALTHCHECK --retries=3 CMD [\"a\"]", ["CMD", "a"]),
        ("ONBUILD RUN a  b", ["RUN a  b"]), ("onbuild copy a b", ["copy a b"]),
    ]

    @Test(arguments: table)
    func words(line: String, expected: [String]) throws {
        #expect(try instructions(line)[0].command.texts == expected)
    }

    @Test func run() throws {
        let line =
            "RUN --mount=type=cache,target=/c,id=x,sharing=locked,uid=1,gid=2,mode=0700 "
            + "--mount=type=secret,id=s,env=S,required"
            + " --mount=type=tmpfs,dst=/t,size=1.5k --mount=type=ssh --mount=\"type=bind,from=b,src=/a b,dst=/y,rw\""
            + " --network=none --security=insecure --device=vendor.com/x=y,required a"
        guard case .run(let run) = try instructions(line)[0].command else {
            Issue.record("another command")
            return
        }
        #expect(run.mounts.map(\.kind) == [.cache, .secret, .tmpfs, .ssh, .bind])
        let cache = run.mounts[0]
        #expect(cache.target == "/c" && cache.id == "x" && cache.sharing == .locked && !cache.isReadOnly)
        #expect(cache.user == 1 && cache.group == 2 && cache.mode == 0o700)
        #expect(run.mounts[1].variable == "S" && run.mounts[1].isRequired)
        #expect(run.mounts[2].sizeMax == 1536 && !run.mounts[2].isReadOnly)
        #expect(run.mounts[4].from == "b" && run.mounts[4].source == "/a b" && !run.mounts[4].isReadOnly)
        #expect(run.network == Run.Network.none && run.security == .insecure)
        #expect(run.devices == [Run.Device(name: "vendor.com/x=y", isRequired: true)])
    }

    @Test func copyFlags() throws {
        let line = "COPY --from=a --chown=u:g --chmod=755 --link --parents=true --exclude=*.o --exclude=b x y"
        guard case .copy(let copy) = try instructions(line)[0].command else {
            Issue.record("another command")
            return
        }
        #expect(copy.from?.text == "a" && copy.owner?.text == "u:g" && copy.mode?.text == "755")
        #expect(copy.isLinked && copy.keepsParents && copy.excludes.map(\.text) == ["*.o", "b"])
    }

    @Test func addFlags() throws {
        let line = "ADD --checksum=sha256:ab --keep-git-dir=false --unpack --link=false https://x/y.git#v1 y"
        guard case .add(let add) = try instructions(line)[0].command else {
            Issue.record("another command")
            return
        }
        #expect(add.checksum?.text == "sha256:ab" && add.keepsGitFolder == false && add.unpacks == true)
        #expect(!add.copy.isLinked)
        guard case .add(let plain) = try instructions("ADD a b")[0].command else {
            Issue.record("another command")
            return
        }
        #expect(plain.unpacks == nil && plain.keepsGitFolder == nil)
        #expect(Add.source("https://x/y.git#v1") == .git)
        #expect(Add.source("https://x/y.tgz") == .http)
        #expect(Add.source("git@github.com:a/b.git") == .git)
        #expect(Add.source("me@host.x:b") == .git)
        for text in ["a/b.git", "a@b", "@b:c", "a b@c:d", "x@y/z:1", "httpx://a.git", ""] {
            #expect(Add.source(text) == .context, "\(text)")
        }
    }

    @Test func healthCheck() throws {
        let line =
            "HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=100ms --start-interval=2s --retries=4 CMD x"
        guard case .healthcheck(.command(let probe)) = try instructions(line)[0].command else {
            Issue.record("another command")
            return
        }
        #expect(probe.interval == 90_000_000_000 && probe.timeout == 1_500_000_000)
        #expect(probe.startPeriod == 100_000_000 && probe.startInterval == 2_000_000_000 && probe.retries == 4)
    }

    @Test func flagsEnd() throws {
        #expect(try instructions("RUN -- --x")[0].command.texts.last == "--x")
        #expect(try instructions("RUN -x")[0].command.texts.last == "-x")
        #expect(try instructions("COPY --from='a' x y").count == 1)
    }

    @Test func stages() throws {
        let found = try parse(
            "ARG V=1\nFROM --platform=linux/amd64 debian:$V As Build.1-x_y\nFROM scratch\nRUN [\"x\"]")
        #expect(found.stages.map(\.name) == ["build.1-x_y", nil])
        #expect(found.stages.map(\.title) == ["build.1-x_y", "stage-1"])
        #expect(found.stages[0].platform?.text == "linux/amd64")
        #expect(found.globalArguments.count == 1)
    }

    @Test func triggers() throws {
        let found = try instructions("ONBUILD COPY <<E /x\nhi\nE\nONBUILD RUN --mount=type=cache,target=/c x")
        guard case .onbuild(let trigger) = found[0].command else {
            Issue.record("another command")
            return
        }
        #expect(trigger.expression == "COPY <<E /x\nhi\nE" && trigger.instruction == "COPY")
        let again = try Dockerfile.triggers([trigger.expression, "RUN x"], image: "base")
        #expect(again.map(\.isTrigger) == [true, true])
        guard case .copy(let copy) = again[0].command else {
            Issue.record("another command")
            return
        }
        #expect(copy.files.map(\.content) == ["hi\n"])
        #expect(throws: DockerfileError.self) { try Dockerfile.triggers(["RUN a\nRUN b"], image: "x") }
        #expect(throws: DockerfileError.self) { try Dockerfile.triggers(["COPPY a b"], image: "x") }
    }

    /// A line behind `FROM a` and what is said of it.
    static let broken: [(String, String)] = [
        ("COPPY a b", "2:1: unknown instruction: COPPY"), ("RUN", "2:1: RUN requires at least one argument"),
        ("RUN []", "2:1: RUN requires at least one argument"),
        ("RUN [1]", "2:5: when using JSON array syntax, arrays must be comprised of strings only"),
        ("CMD [\"a\", [\"b\"]]", "2:5: when using JSON array syntax, arrays must be comprised of strings only"),
        ("RUN --mont=type=bind x", "2:5: unknown flag: --mont"), ("CMD --x y", "2:5: unknown flag: --x"),
        ("RUN --network x", "2:5: missing a value on flag: --network"),
        ("RUN --network=nonee x", "2:15: invalid network mode \"nonee\""),
        ("RUN --network=none --network=host x", "2:20: duplicate flag specified: --network"),
        ("RUN --security=x x", "2:16: invalid security \"x\""),
        ("RUN --mount=type=cahce,target=/x x", "2:13: unsupported mount type \"cahce\""),
        ("RUN --mount=typ=cache x", "2:13: unexpected key 'typ' in 'typ=cache'"),
        ("RUN --mount=type=cache,target x", "2:24: invalid field 'target' must be a key=value pair"),
        ("RUN --mount=type=cache,target=/x,required x", "2:34: unexpected key 'required' for mount type 'cache'"),
        ("RUN --mount=type=cache,target=/x,mode=9 x", "2:34: invalid value 9 for mode"),
        ("RUN --mount=type=bind,target=/x,uid=1 x", "2:13: uid not allowed for \"bind\" type mounts"),
        ("RUN --mount=type=secret x", "2:13: invalid secret mount. one of source, target required"),
        ("RUN --mount=type=secret,id=a,src=b x", "2:13: both source and id can't be set"),
        ("RUN --mount=type=tmpfs,target=/x,sharing=locked x", "2:13: invalid cache sharing set for tmpfs mount"),
        ("RUN --mount=type=cache,target=/x,size=1 x", "2:34: unexpected key 'size' for mount type 'cache'"),
        (
            "RUN --mount=from=$x,target=/y x",
            "2:13: 'from' doesn't support variable expansion, define alias stage instead"
        ),
        ("SHELL a b", "2:7: SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "2:1: SHELL requires at least one argument"),
        (
            "COPY a",
            "2:1: COPY requires at least two arguments, but only one was provided. Destination could not be determined"
        ),
        (
            "COPY --from=$x a b",
            "2:13: variable expansion is not supported for --from, define a new stage with FROM using ARG from "
                + "global scope as a workaround"
        ),
        ("COPY --link=x a b", "2:6: expecting boolean value for flag --link, not: x"),
        ("ADD --from=x a b", "2:5: unknown flag: --from"), ("ENV", "2:1: ENV requires at least one argument"),
        ("ENV a", "2:5: ENV must have two arguments"),
        ("ENV a=b c", "2:9: can't find = in \"c\". Must be of the form: name=value"),
        ("ENV =b", "2:5: ENV names can not be blank"), ("ARG", "2:1: ARG requires at least one argument"),
        ("ARG =b", "2:5: ARG names can not be blank"), ("EXPOSE", "2:1: EXPOSE requires at least one argument"),
        ("VOLUME [\"\"]", "2:9: VOLUME specified can not be an empty string"),
        ("USER", "2:1: USER requires exactly one argument"), ("WORKDIR", "2:1: WORKDIR requires exactly one argument"),
        ("HEALTHCHECK", "2:1: HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "2:18: HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "2:13: missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK curl", "2:13: unknown type \"curl\" in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK --interval=5 CMD x", "2:24: invalid duration \"5\" for --interval"),
        ("HEALTHCHECK --timeout=1us CMD x", "2:23: interval \"timeout\" cannot be less than 1ms"),
        ("HEALTHCHECK --retries=-1 CMD x", "2:23: --retries cannot be negative (-1)"),
        ("ONBUILD", "2:1: ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "2:9: chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "2:9: FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD RUNN x", "2:9: unknown instruction: RUNN"),
        ("FROM", "2:1: FROM requires either one or three arguments"),
        ("FROM a AS", "2:1: FROM requires either one or three arguments"),
        ("FROM a ass b", "2:1: FROM requires either one or three arguments"),
        (
            "FROM a AS 1b",
            "2:11: invalid name for build stage: \"1b\", name can't start with a number or contain symbols"
        ),
    ]

    @Test(arguments: broken)
    func refuses(line: String, message: String) {
        #expect(faults("FROM a\n" + line) == [message])
    }

    @Test func values() {
        #expect(GoValue.duration("1h0.5m") == 3_630_000_000_000)
        #expect(GoValue.duration("-1s") == -1_000_000_000)
        for text in ["", "1", "s", ".s", "1x", "9999999h", "99999999999999999999s", "-", "1s-"] {
            #expect(GoValue.duration(text) == nil, "\(text)")
        }
        #expect(GoValue.bytes("64m") == 67_108_864)
        #expect(GoValue.bytes("1.5GiB") == 1_610_612_736)
        for text in ["", "m", "-1", "1x", "1mm", "99999999p", "inf", "nan"] {
            #expect(GoValue.bytes(text) == nil, "\(text)")
        }
        #expect(GoValue.fields("a,\"b,\"\"c\",") == ["a", "b,\"c", ""])
        #expect(GoValue.fields("\"a") == nil)
        #expect(GoValue.fields("\"a\"b") == nil)
    }
}
