import Testing

@testable import Dockerfile

/// After the examples of the Dockerfile reference: https://docs.docker.com/reference/dockerfile/
struct ReferenceTests {
    @Test func escapeInWindowsPaths() throws {
        let broken = try instructions("COPY testfile.txt c:\\\\\nRUN dir c:\\\n")
        #expect(broken.map(\.command.texts) == [["testfile.txt", "c:\\\\"], ["/bin/sh", "-c", "dir c:"]])
        let fine = try parse("# escape=`\n\nFROM win\nCOPY testfile.txt c:\\\nRUN dir c:\\\n").stages[0].instructions
        #expect(fine.map(\.command.texts) == [["testfile.txt", "c:\\"], ["/bin/sh", "-c", "dir c:\\"]])
        let joined = try instructions("COPY testfile.txt c:\\\nRUN dir c:\\\n")
        #expect(joined.count == 1)
    }

    @Test func directiveBehindContinuation() {
        #expect(faults("# direc \\\n# escape=`\nFROM a") == [])
    }

    @Test func environmentOfOneInstruction() throws {
        let found = try expanded("FROM a\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc").scope.variables
        #expect(found["def"] == "hello" && found["ghi"] == "bye")
    }

    @Test func environmentReplacement() throws {
        let text = "FROM busybox\nENV FOO=/bar\nWORKDIR ${FOO}   # WORKDIR /bar\nADD . $FOO\nCOPY \\$FOO /quux"
        let found = try expanded(text).commands
        #expect(found[1].texts == ["/bar   # WORKDIR /bar"])
        #expect(found[2].texts == [".", "/bar"] && found[3].texts == ["$FOO", "/quux"])
    }

    @Test(arguments: [
        ("${str#f*b}", "arbaz"), ("${str##f*b}", "az"), ("${str%b*}", "foobar"), ("${str%%b*}", "foo"),
        ("${str/ba/fo}", "fooforbaz"), ("${str//ba/fo}", "fooforfoz"),
    ])
    func modifiers(word: String, value: String) throws {
        let found = try expanded("FROM a\nENV str=foobarbaz\nENV x=\(word)").scope.variables["x"]
        #expect(found == value)
    }

    @Test func environmentForms() throws {
        let one = try expanded("FROM a\nENV MY_NAME=\"John Doe\" MY_DOG=Rex\\ The\\ Dog \\\n    MY_CAT=fluffy").scope
        #expect(one.variables["MY_NAME"] == "John Doe" && one.variables["MY_DOG"] == "Rex The Dog")
        #expect(one.variables["MY_CAT"] == "fluffy")
        #expect(try expanded("FROM a\nENV ONE TWO= THREE=world").scope.variables["ONE"] == "TWO= THREE=world")
    }

    @Test func labels() throws {
        let text =
            "FROM a\nLABEL \"com.example.vendor\"=\"ACME Incorporated\"\nLABEL version=\"1.0\"\n"
            + "LABEL description=\"This text illustrates \\\n"
            + "that label-values can span multiple lines.\"\nLABEL example=\"foo-$e\" q='$e'"
        let found = try expanded("FROM a\nENV e=x\n" + text.dropFirst(7)).commands
        #expect(found[1].texts == ["com.example.vendor=ACME Incorporated"])
        #expect(found[3].texts == ["description=This text illustrates that label-values can span multiple lines."])
        #expect(found[4].texts == ["example=foo-x", "q=$e"])
    }

    @Test func commentsInCommands() throws {
        let found = try instructions(
            "RUN echo hello \\\n# comment\nworld\n        # this is a comment-line\n    RUN echo x")
        #expect(found.map { $0.command.texts.last } == ["echo hello world", "echo x"])
        let list = try instructions("RUN echo \"\\\n     hello\\\n     world\"")
        #expect(list[0].command.texts.last == "echo \"     hello     world\"")
    }

    @Test func invalidJSON() throws {
        let found = try instructions("RUN [\"c:\\windows\\system32\\tasklist.exe\"]\nRUN [\"c:\\\\windows\"]")
        #expect(found[0].command.texts.count == 3 && found[1].command.texts == ["c:\\windows"])
    }

    @Test func argumentsOverStages() throws {
        let text = "FROM busybox\nUSER ${username:-some_user}\nARG username\nUSER $username"
        let found = try expanded(text) { $0.arguments = ["username": "what_user"] }.commands
        #expect(found[0].texts == ["some_user"] && found[2].texts == ["what_user"])
        let base =
            "FROM busybox AS base\nARG SETTINGS=x\nENV A=$SETTINGS\nFROM base\nENV B=$SETTINGS\n"
            + "FROM busybox\nENV C=$SETTINGS"
        #expect(try expanded(base) { $0.target = "1" }.commands[0].texts == ["B=x"])
        #expect(try expanded(base).commands[0].texts == ["C="])
        let version = "ARG VERSION=latest\nFROM busybox:$VERSION\nARG VERSION\nENV V=$VERSION"
        #expect(try expanded(version).scope.variables["V"] == "latest")
        let env = "FROM ubuntu\nARG CONT_IMG_VER\nENV CONT_IMG_VER=${CONT_IMG_VER:-v1.0.0}"
        #expect(try expanded(env).scope.imageEnvironment["CONT_IMG_VER"] == "v1.0.0")
        #expect(
            try expanded(env) { $0.arguments = ["CONT_IMG_VER": "v2.0.1"] }.scope.imageEnvironment["CONT_IMG_VER"]
                == "v2.0.1")
    }

    @Test func workdirs() throws {
        let text = "FROM a\nENV DIRPATH=/path\nWORKDIR $DIRPATH/$DIRNAME\nWORKDIR /a\nWORKDIR b\nWORKDIR c"
        #expect(try expanded(text).commands.dropFirst().flatMap(\.texts) == ["/path", "/a", "/a/b", "/a/b/c"])
    }

    @Test func heredocExamples() throws {
        let found = try instructions(
            """
            RUN <<EOT bash
              set -ex
              apt-get update
            EOT
            COPY <<-EOT /script.sh
            \techo "hello ${FOO}"
            EOT
            RUN python3 <<EOF > /hello
            print("Hello")
            EOF
            """)
        guard case .run(let bash) = found[0].command, case .run(let python) = found[2].command else {
            Issue.record("another command")
            return
        }
        #expect(bash.script().arguments.last == "<<EOT bash\n  set -ex\n  apt-get update\nEOT")
        #expect(python.script().arguments.last == "python3 <<EOF > /hello\nprint(\"Hello\")\nEOF")
        let copied = try expanded(
            "FROM a\nARG FOO=bar\nCOPY <<-EOT /s\n\techo \"hello ${FOO}\"\nEOT\nCOPY <<-\"EOT\" /s\n\t${FOO}\n\tEOT"
        ).commands
        guard case .copy(let bare) = copied[1], case .copy(let quoted) = copied[2] else {
            Issue.record("another command")
            return
        }
        #expect(bare.files.map(\.content) == ["echo \"hello bar\"\n"] && quoted.files.map(\.content) == ["${FOO}\n"])
    }

    @Test(arguments: [
        ("*/temp*", "somedir/temporary.txt", true), ("*/temp*", "a/b/temp", false),
        ("*/*/temp*", "a/b/temporary", true),
        ("temp?", "tempa", true), ("temp?", "temp", false), ("**/*.go", "a/b/c.go", true), ("**/*.go", "c.go", true),
        ("*.md\n!README.md", "README.md", false), ("*.md\n!README*.md\nREADME-secret.md", "README-public.md", false),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
    ])
    func ignoreFile(patterns: String, path: String, expected: Bool) throws {
        #expect(try IgnorePatterns(parsing: Array(patterns.utf8)).ignores(path) == expected)
    }
}
