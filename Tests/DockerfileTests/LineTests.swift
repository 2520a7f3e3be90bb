import Testing

@testable import Dockerfile

/// Lines, comments, directives, heredocs and places.
struct LineTests {
    @Test func continuations() throws {
        let found = try instructions("RUN a \\\n  b \\  \n# comment\n\n  # other\n c\nRUN d\\\\\nRUN e")
        #expect(found.map { $0.command.texts.last } == ["a   b  c", "d\\\\", "e"])
        #expect(found[0].range.start == SourcePosition(line: 2, column: 1))
        #expect(found[0].range.end == SourcePosition(line: 7, column: 3))
    }

    @Test func endOfFileContinues() throws {
        #expect(try instructions("RUN a \\").map { $0.command.texts.last } == ["a"])
        #expect(try instructions("RUN a \\\n\n").map { $0.command.texts.last } == ["a"])
    }

    @Test func continuedKeyword() throws {
        #expect(try instructions("RU\\\nN x\n\\\nRUN y").map { $0.command.texts.last } == ["x", "y"])
    }

    @Test func lineEnds() throws {
        let found = try parse("\u{FEFF}FROM debian\r\nRUN a \\\r\n b\r\nCOPY <<E /x\r\nl\r\nE\r\n")
        #expect(found.stages[0].base.text == "debian")
        #expect(found.stages[0].instructions[0].command.texts.last == "a  b")
        #expect(found.stages[0].instructions[1].heredocs.first?.content == "l\r\n")
    }

    @Test func longLines() throws {
        let long = String(repeating: "x", count: 300_000)
        #expect(try instructions("RUN " + long)[0].command.texts.last == long)
    }

    @Test func noInstructions() {
        #expect(faults("") == ["1:1: file with no instructions"])
        #expect(faults("# only a comment\n") == ["1:1: file with no instructions"])
        #expect(faults("ARG a=b") == ["1:1: dockerfile contains no stages to build"])
        #expect(faults("RUN x\nFROM a") == ["1:1: no build stage in current context"])
    }

    // MARK: - Directives

    @Test func directives() throws {
        let found = try parse(
            "# Syntax = docker/dockerfile:1 \n#escape=`\n# check=skip=JSONArgsRecommended;error=true\nFROM "
                + "a\nRUN x `\n y"
        )
        #expect(found.directives.syntax?.text == "docker/dockerfile:1")
        #expect(found.directives.syntax?.range.start == SourcePosition(line: 1, column: 12))
        #expect(found.directives.escape == "`")
        #expect(found.lintOptions.skipped == ["JSONArgsRecommended"])
        #expect(found.lintOptions.warningsAreErrors)
        #expect(found.stages[0].instructions[0].command.texts.last == "x  y")
    }

    @Test func directivesEnd() throws {
        #expect(try parse("# comment\n# escape=`\nFROM a").directives.escape == "\\")
        #expect(try parse("\n# escape=`\nFROM a").directives.escape == "\\")
        #expect(try parse("# unknown=1\n# escape=`\nFROM a").directives.escape == "\\")
        #expect(try parse("FROM a\n# escape=`").directives.escape == "\\")
        #expect(try parse("#!/usr/bin/env x\n# escape=`\nFROM a").directives.escape == "`")
    }

    @Test func directiveFaults() {
        #expect(faults("# escape=x\nFROM a") == ["1:10: invalid escape token 'x' does not match ` or \\"])
        #expect(faults("# escape=`\n# escape=`\nFROM a") == ["2:10: only one escape parser directive can be used"])
        #expect(faults("# check=skip\nFROM a") == ["1:9: invalid check option \"skip\""])
        #expect(faults("# check=skpi=a\nFROM a") == ["1:9: invalid check option \"skpi\""])
        #expect(faults("# check=error=maybe\nFROM a") == ["1:9: failed to parse check option \"error=maybe\""])
    }

    // MARK: - Heredocs

    @Test func heredocs() throws {
        let found = try instructions("RUN <<EOF\necho $x\n# no comment\nRUN \\\nEOF\nRUN next")
        #expect(found.count == 2)
        #expect(found[0].heredocs.first?.content == "echo $x\n# no comment\nRUN \\\n")
        #expect(found[0].heredocs.first?.expands == true)
        #expect(found[0].range.end == SourcePosition(line: 6, column: 4))
    }

    @Test func heredocForms() throws {
        let found = try instructions("RUN 3<<-\"A\" cat <<'B c' <<D\n\tone\n\tA\ntwo\nB c\nthree\nD\n")
        let heredocs = found[0].heredocs
        #expect(heredocs.map(\.name) == ["A", "B c", "D"])
        #expect(heredocs.map(\.expands) == [false, false, true])
        #expect(heredocs.map(\.stripsTabs) == [true, false, false])
        #expect(heredocs.map(\.fileDescriptor) == [3, 0, 0])
        #expect(heredocs.map(\.document) == ["one\n", "two\n", "three\n"])
    }

    /// What only looks like a heredoc.
    @Test(arguments: [
        "RUN cat <<<x", "RUN echo '<<EOF'", "RUN echo \"<<EOF\"", "RUN [\"<<EOF\"]", "ENV a=<<EOF", "RUN a<<EOF",
        "RUN <<", "RUN echo $((1<<2))", "CMD <<EOF", "RUN <<\\<EOF",
    ])
    func noHeredoc(line: String) throws {
        let found = try instructions(line + "\nRUN x")
        #expect(found.count == 2)
        #expect(found[0].heredocs.isEmpty)
    }

    @Test func unterminated() {
        #expect(faults("FROM a\nRUN <<EOF\nx\n") == ["2:1: unterminated heredoc"])
    }

    /// After the frontend's own cases: names with quotes, escapes, spaces and `$`.
    @Test(arguments: [
        ("<<eo'f'", "eof", false), ("<<eo\\'f", "eo'f", true), ("<<'e'o\\'f", "eo'f", false),
        ("<<'one two'", "one two", false), ("<<$EOF", "$EOF", true), ("<<  EOF", "EOF", true),
        ("<<  EOF  > foo", "EOF", true),
        ("<< -EOF", "-EOF", true), ("<<- EOF", "EOF", true), ("cat > /x << 'EOF' && y", "EOF", false),
        ("<<COMPLEX python3", "COMPLEX", true),
    ])
    func heredocNames(line: String, name: String, expands: Bool) throws {
        let found = try instructions("RUN \(line)\nx\n\(name)\nRUN y")
        #expect(found.count == 2)
        #expect(found[0].heredocs.map(\.name) == [name])
        #expect(found[0].heredocs.map(\.expands) == [expands])
        #expect(found[0].heredocs.map(\.content) == ["x\n"])
    }

    /// `<< 2` in arithmetic looks like a heredoc that does not end.
    @Test func shifts() throws {
        let found = try instructions("RUN echo $((1 << 2))\nRUN y\nCOPY <<X << Y /d\nY\nX\nX\nY\n")
        #expect(found.map(\.heredocs.count) == [0, 0, 2])
        guard case .copy(let copy) = found[2].command else {
            Issue.record("another command")
            return
        }
        #expect(copy.files.map(\.content) == ["Y\n", "X\n"] && copy.sources.isEmpty)
    }

    @Test func lostHeredoc() {
        do throws(DockerfileError) {
            _ = try parse("FROM a\nRUN cat > /x << 'EOF'\none 1\ntwo 2\n EOF\n")
            Issue.record("nothing is said")
        } catch {
            #expect(error.diagnostics.map(short) == ["3:1: unknown instruction: one"])
            #expect(error.diagnostics.first?.hint?.contains("no later line is 'EOF' alone") == true)
        }
    }

    @Test func copiedHeredocs() throws {
        let found = try instructions("COPY <<a.txt <<-\"b\" c /x/\n1$v\na.txt\n\t2$v\nb\n")
        guard case .copy(let copy) = found[0].command else {
            Issue.record("another command")
            return
        }
        #expect(copy.files.map(\.name) == ["a.txt", "b"])
        #expect(copy.files.map(\.content) == ["1$v\n", "2$v\n"])
        #expect(copy.files.map(\.expands) == [true, false])
        #expect(copy.sources.map(\.text) == ["c"])
        #expect(copy.destination.text == "/x/")
        #expect(faults("FROM a\nCOPY x <<EOF\nEOF\n") == ["2:8: COPY cannot accept a heredoc as a destination"])
    }

    /// A single heredoc is the script; a line with more goes to the shell as a whole.
    @Test func scripts() throws {
        func script(_ text: String) throws -> Run.Script? {
            guard case .run(let run) = try instructions(text)[0].command else {
                Issue.record("another command")
                return nil
            }
            return run.script(shell: ["sh", "-c"])
        }
        #expect(try script("RUN <<-EOF\n\ta\n\tEOF\n")?.arguments == ["sh", "-c", "a\n"])
        #expect(try script("RUN cat <<A b\nx\nA\n")?.arguments == ["sh", "-c", "cat <<A b\nx\nA"])
        let program = try #require(try script("RUN <<X\n#!/usr/bin/python3\nprint(1)\nX\n"))
        #expect(program.arguments == ["sh", "-c", "/dev/pipes/X"])
        #expect(program.file?.content == "#!/usr/bin/python3\nprint(1)\n")
        #expect(try script("RUN a b")?.arguments == ["sh", "-c", "a b"])
        #expect(try script("RUN [\"a\", \"b\"]")?.arguments == ["a", "b"])
    }

    // MARK: - Places

    @Test func places() throws {
        let found = try parse("FROM debian AS x\n  COPY --from=x --chown=1:2 \\\n    a é \\\n # c\n  \"b\" /d\n")
        guard case .copy(let copy) = found.stages[0].instructions[0].command else {
            Issue.record("another command")
            return
        }
        func place(_ word: Word?) -> [Int] {
            guard let range = word?.range else { return [] }
            return [range.start.line, range.start.column, range.end.line, range.end.column]
        }
        #expect(place(found.stages[0].nameWord) == [1, 16, 1, 17])
        #expect(place(found.stages[0].instructions[0].keyword) == [2, 3, 2, 7])
        #expect(place(copy.from) == [2, 15, 2, 16])
        #expect(place(copy.owner) == [2, 25, 2, 28])
        #expect(copy.sources.map(place) == [[3, 5, 3, 6], [3, 7, 3, 8], [5, 3, 5, 6]])
        #expect(place(copy.destination) == [5, 7, 5, 9])
    }

    @Test func diagnosticsShowTheLine() {
        do throws(DockerfileError) {
            _ = try Dockerfile(parsing: Array("FROM a\n  COPPY a b\n".utf8), name: "web/Dockerfile")
        } catch {
            let diagnostic = error.diagnostics[0]
            #expect(diagnostic.source.map { "\($0)" } == "web/Dockerfile:2:3")
            #expect(diagnostic.sourceLine == "  COPPY a b")
            #expect(diagnostic.hint == "did you mean COPY?")
            #expect(diagnostic.code == "dockerfile.instruction")
        }
    }

    @Test func severalFaults() {
        let text = "FROM a b\nRUN\nCOPPY\nENV\n"
        #expect(faults(text).count == 4)
        #expect(faults("FROM a\n" + String(repeating: "RUN\n", count: 100)).count == 20)
    }

    @Test func comments() throws {
        let found = try parse("# web the server\nFROM a AS web\n# lost\n\n# A what it is\nARG A\n")
        #expect(found.stages[0].comment == "the server")
        #expect(found.stages[0].instructions[0].comments == ["A what it is"])
        guard case .argument(let definitions) = found.stages[0].instructions[0].command else {
            Issue.record("another command")
            return
        }
        #expect(definitions[0].comment == "what it is")
    }
}
