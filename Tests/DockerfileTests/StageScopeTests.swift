import Testing

@testable import Dockerfile

/// What each instruction expands, and which value a variable has.
struct StageScopeTests {
    /// Lines behind `FROM a`, `ENV V=/v W="x y"` and `ARG A=1`, and the words of the last one.
    static let table: [(String, [String])] = [
        ("ENV B=$V C=${V}x", ["B=/v", "C=/vx"]), ("ENV B='$V' C=\"$W\" D=\\$V", ["B=$V", "C=x y", "D=$V"]),
        ("ENV $A=b", ["1=b"]), ("ENV B $V c  d", ["B=/v c  d"]), ("ENV V=new X=$V", ["V=new", "X=/v"]),
        ("LABEL \"a b\"=$A", ["a b=1"]), ("COPY $V $W/", ["/v", "x y/"]), ("ADD ${V}/a b", ["/v/a", "b"]),
        ("COPY [\"$V\", \"'$V'\"]", ["/v", "$V"]), ("EXPOSE $A 2-4/UDP", ["1/tcp", "2/udp", "3/udp", "4/udp"]),
        ("VOLUME $V [\"x\"]", ["/v", "[x]"]), ("USER $A:${Q:-g}", ["1:g"]), ("WORKDIR $V/../w", ["/w"]),
        ("STOPSIGNAL SIG${Q:-TERM}", ["SIGTERM"]), ("ARG B=$A C", ["B=1", "C"]),
        ("RUN echo $V", ["/bin/sh", "-c", "echo $V"]),
        ("CMD [\"$V\"]", ["$V"]), ("ENTRYPOINT $V", ["/bin/sh", "-c", "$V"]),
        ("HEALTHCHECK CMD $V", ["CMD-SHELL", "$V"]),
        ("SHELL [\"$V\"]", ["$V"]), ("ONBUILD ENV x=$V", ["ENV x=$V"]), ("MAINTAINER $V", ["$V"]),
    ]

    @Test(arguments: table)
    func expansion(line: String, expected: [String]) throws {
        let found = try expanded("FROM a\nENV V=/v W=\"x y\"\nARG A=1\n" + line)
        #expect(found.commands.last?.texts == expected)
    }

    @Test func flags() throws {
        let digits = String(repeating: "a", count: 64)
        let text =
            "FROM a\nARG U=1 M=755 S=sha256:\(digits)\nCOPY --chown=$U:$U --chmod=$M --exclude=$U* a b\n"
            + "ADD --checksum=$S --chmod=${M} https://x/a b\nWORKDIR /w\n"
            + "RUN --mount=type=${K:-cache},target=c,id=$U-x,uid=${U} --mount=type=bind,target=/t y"
        let found = try expanded(text).commands
        guard case .copy(let copy) = found[1], case .add(let add) = found[2], case .run(let run) = found[4] else {
            return
        }
        #expect(copy.owner?.text == "1:1" && copy.mode?.text == "755" && copy.excludes.map(\.text) == ["1*"])
        #expect(add.checksum?.text == "sha256:" + digits && add.copy.mode?.text == "755")
        #expect(run.mounts[0].target == "/w/c" && run.mounts[0].id == "1-x" && run.mounts[0].user == 1)
        #expect(run.mounts[0].kind == .cache && run.mounts[1].target == "/t")
    }

    @Test func heredocs() throws {
        let text = "FROM a\nENV V=1\nCOPY <<A <<\"B\" /x\n'$V' \"${V:-2}\" \\$V\nA\n$V\nB\n"
        guard case .copy(let copy) = try expanded(text).commands[1] else {
            Issue.record("another command")
            return
        }
        #expect(copy.files.map(\.content) == ["'1' \"1\" $V\n", "$V\n"])
    }

    // MARK: - ARG

    /// `--build-arg`, then the default, then the global value.
    @Test func argumentValues() throws {
        let text = "ARG G=global\nARG H=h\nFROM a\nARG G\nARG H=own\nARG N\nARG P=p\nARG TARGETARCH\n"
        let found = try expanded(text) { $0.arguments = ["P": "given"] }.scope
        #expect(found.variables["G"] == "global" && found.variables["H"] == "own" && found.variables["N"] == nil)
        #expect(found.variables["P"] == "given" && found.variables["TARGETARCH"] == "amd64")
        #expect(found.declaredArguments == ["G", "H", "N", "P", "TARGETARCH"])
        #expect(found.argumentHistory == ["G=global", "H=own", "N=", "P=given", "TARGETARCH=amd64"])
        #expect(found.imageEnvironment["G"] == nil)
    }

    @Test func globalsNeedToBeDeclared() throws {
        let found = try expanded("ARG G=1\nFROM a\nENV X=-$G- Y=-$TARGETOS-")
        #expect(found.commands[0].texts == ["X=--", "Y=--"])
    }

    @Test func environmentShadowsArguments() throws {
        let found = try expanded("FROM a\nARG V=arg\nENV V=env-$V\nENV X=$V") { $0.arguments = ["V": "given"] }
        #expect(found.commands[2].texts == ["X=env-given"])
        #expect(found.scope.imageEnvironment["V"] == "env-given")
        #expect(found.scope.runEnvironment.contains("V=env-given"))
    }

    /// A stage takes over what the one it starts from declared; another stage does not.
    @Test func inheritance() throws {
        let text = "FROM a AS x\nARG A=1\nENV E=$A\nWORKDIR /w\nSHELL [\"s\"]\nFROM x AS y\nENV Y=$A$E\nWORKDIR z\n"
        let found = try expanded(text + "FROM a AS other\nENV Z=$A$E\nFROM y").scope
        #expect(found.imageEnvironment["Y"] == "11" && found.workingDirectory == "/w/z" && found.shell == ["s"])
        let other = try expanded(text + "FROM a\nENV Z=-$A$E-")
        #expect(other.commands[0].texts == ["Z=--"] && other.scope.workingDirectory == "/")
    }

    @Test func baseImage() throws {
        let base = BaseImage(environment: ["PATH=/bin", "X=1"], workingDirectory: "/srv", shell: ["b"])
        let found = try expanded("FROM a\nENV PATH=$PATH:/x\nWORKDIR w", base: base).scope
        #expect(found.imageEnvironment.environment == ["PATH=/bin:/x", "X=1"])
        #expect(found.workingDirectory == "/srv/w" && found.shell == ["b"])
        #expect(try expanded("FROM a").scope.imageEnvironment["PATH"]?.hasPrefix("/usr/local/sbin:") == true)
    }

    @Test func proxies() throws {
        let text = "FROM a\nARG NO_PROXY\nENV HTTP_PROXY=own"
        let given = ["http_proxy": "p", "HTTPS_PROXY": "q", "NO_PROXY": "n"]
        let found = try expanded(text) { $0.arguments = given }.scope.runEnvironment
        #expect(found.contains("HTTP_PROXY=own") && !found.contains("HTTP_PROXY=p") && found.contains("http_proxy=p"))
        #expect(found.contains("HTTPS_PROXY=q") && found.contains("https_proxy=q") && found.contains("NO_PROXY=n"))
    }

    @Test func escapeDirective() throws {
        let found = try expanded("# escape=`\nFROM a\nENV P=C:\\x Q=`$P")
        #expect(found.commands[0].texts == ["P=C:\\x", "Q=$P"])
    }

    @Test(arguments: [
        ("ENV a=${b", "2:7: failed to process \"${b\": syntax error: missing '}'"),
        ("ENV a=${b:?needed}", "2:7: failed to process \"${b:?needed}\": b: needed"),
        ("EXPOSE 1/tpc", "2:8: invalid proto: tpc"), ("EXPOSE 70000", "2:8: invalid containerPort: 70000"),
        ("EXPOSE 3-1", "2:8: invalid containerPort: 3-1"), ("EXPOSE /tcp", "2:8: no port specified: /tcp<empty>"),
        ("EXPOSE x:1:80", "2:8: invalid IP address: x"),
        ("EXPOSE 1-3:1-2", "2:8: invalid ranges specified for container and host Ports: 1-3:1-2"),
        ("STOPSIGNAL SIGTREM", "2:12: invalid signal: SIGTREM"),
        ("VOLUME $x", "2:8: VOLUME specified can not be an empty string"),
        ("RUN --mount=type=$x,target=/y z", "2:13: unsupported mount type \"\""),
        ("COPY https://x/y z", "2:6: source can't be a URL for COPY"),
        ("COPY a git@x:y z", "2:8: source can't be a git ref for COPY"),
        ("ENV $x=y", "2:5: ENV names can not be blank"),
        (
            "COPY --chmod=8$x a b",
            "2:14: invalid chmod parameter: '8'. it should be octal string and between 0 and 07777"
        ),
        ("ADD --checksum=sha256:ab https://x/y z", "2:16: invalid checksum digest format: \"sha256:ab\""),
        ("ADD --checksum=xyz https://x/y.git z", "2:16: invalid checksum \"xyz\""),
        ("ADD --checksum=sha256:ab a z", "2:16: checksum requires HTTP(S) or Git sources"),
        ("ADD --checksum=sha256:ab a b z", "2:16: checksum can't be specified for multiple sources"),
        ("RUN --mount=target=/ x", "2:13: invalid mount target \"/\""),
        ("COPY <<E /x\n${a:-b\nE", "2:1: failed to process the heredoc 'E': syntax error: missing '}'"),
    ])
    func refuses(line: String, message: String) {
        do throws(DockerfileError) {
            _ = try expanded("FROM a\n" + line)
            Issue.record("nothing is said of \(line)")
        } catch {
            #expect(error.diagnostics.map(short) == [message])
        }
    }

    /// As chmod(1) has it, on a file and on a folder.
    @Test(arguments: [
        ("755", 0o600, 0o755, 0o755), ("0", 0o777, 0, 0), ("u=rwX,go=rX", 0o600, 0o644, 0o755),
        ("+x", 0o644, 0o755, 0o755),
        ("a-w", 0o666, 0o444, 0o444), ("g=u", 0o740, 0o770, 0o770), ("u+s,g+s,+t", 0o755, 0o7755, 0o7755),
        ("go=", 0o777, 0o700, 0o700), ("u+w-x", 0o500, 0o600, 0o600), ("=r", 0o7777, 0o444, 0o7444), ("X", 0, -1, -1),
        ("", 0, -1, -1), ("u", 0, -1, -1), ("u+q", 0, -1, -1), ("10000", 0, -1, -1), ("9", 0, -1, -1),
        ("u+x,", 0, -1, -1),
        ("+ug", 0, -1, -1), ("0x1", 0, -1, -1),
    ])
    func modes(text: String, before: Int, file: Int, folder: Int) {
        let mode = FileMode(parsing: text)
        #expect((mode.map { Int($0.applied(to: UInt32(before), isFolder: false)) } ?? -1) == file)
        #expect((mode.map { Int($0.applied(to: UInt32(before), isFolder: true)) } ?? -1) == folder)
    }

    @Test func triggersPointAtFrom() {
        do throws(DockerfileError) {
            _ = try expanded("FROM a AS b\nONBUILD EXPOSE $x/y\nFROM b")
            Issue.record("nothing is said")
        } catch {
            #expect(error.diagnostics.map(short) == ["3:6: ONBUILD EXPOSE $x/y: no port specified: /y<empty>"])
        }
    }
}
