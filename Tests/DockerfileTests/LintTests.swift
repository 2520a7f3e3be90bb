import StackModel
import Testing

@testable import Dockerfile

/// The documented examples of BuildKit's build checks: https://docs.docker.com/reference/build-checks/
struct LintTests {
    /// A file and what is found: `LINE RULE: MESSAGE`.
    static let table: [(String, [String])] = [
        ("FROM a AS BuilderBase", ["1 StageNameCasing: Stage name 'BuilderBase' should be lowercase"]),
        ("FROM debian:latest as builder", ["1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"]),
        ("from debian as builder", []),
        ("from debian AS b", ["1 FromAsCasing: 'AS' and 'from' keywords' casing do not match"]),
        ("FROM a\nRUN x \\\n\n y\n", ["3 NoEmptyContinuation: Empty continuation line"]),
        ("FROM a\nRUN x \\\n # c\n y\n", []),
        (
            "FROM a\nRUN x\nrun y\n",
            ["3 ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase)"]
        ),
        (
            "from a\nrun x\nRun y\n",
            ["3 ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (lowercase)"]
        ),
        (
            "FROM a AS b\nFROM c AS b",
            ["2 DuplicateStageName: Duplicate stage name \"b\", stage names should be unique"]
        ),
        (
            "FROM a AS scratch",
            ["1 ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\""]
        ),
        (
            "FROM a\nENTRYPOINT my-program start",
            [
                "2 JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior "
                    + "related to OS signals"
            ]
        ),
        ("FROM a\nCMD [\"x\"]\nSHELL [\"s\"]\n", []), ("FROM a\nSHELL [\"s\"]\nCMD x", []),
        (
            "FROM a\nMAINTAINER moby@example.com",
            ["2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label"]
        ),
        (
            "FROM node:22${VARIANT} AS b",
            ["1 UndefinedArgInFrom: FROM argument 'VARIANT' is not declared"]
        ),
        (
            "ARG VARIANT=x\nFROM node:22${VARIAN} AS b",
            ["2 UndefinedArgInFrom: FROM argument 'VARIAN' is not declared (did you mean VARIANT?)"]
        ),
        ("ARG V\nFROM node:22${V} AS b", []), ("FROM --platform=$BUILDPLATFORM a", []),
        (
            "FROM a AS base\nCOPY $foo .",
            ["2 UndefinedVar: Usage of undefined variable '$foo'"]
        ),
        ("FROM a AS base\nARG foo\nCOPY $foo .", []),
        (
            "FROM a\nENV PATH=$PAHT:/x",
            ["2 UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?)"]
        ),
        ("FROM a\nENV x=${y:-z}", ["2 UndefinedVar: Usage of undefined variable '$y'"]),
        ("FROM a\nRUN echo $foo\nCMD [\"$x\"]", []), ("FROM unknown\nCOPY $foo .", []),
        (
            "FROM a\nWORKDIR usr/share",
            [
                "2 WorkdirRelativePath: Relative workdir \"usr/share\" can have unexpected results if the base "
                    + "image changes"
            ]
        ),
        ("FROM a\nWORKDIR /x\nWORKDIR y\n", []), ("FROM a AS b\nWORKDIR /x\nFROM b\nWORKDIR y\n", []),
        (
            "FROM a\nCMD [\"a\"]\nRUN x\nCMD [\"b\"]\n",
            [
                "2 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same "
                    + "stage because only the last one will be used"
            ]
        ),
        ("FROM a AS b\nCMD [\"a\"]\nFROM b\nCMD [\"b\"]\n", []),
        (
            "FROM a\nARG foo=1\nENV dir value",
            ["3 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format"]
        ),
        (
            "FROM --platform=$TARGETPLATFORM a AS b",
            [
                "1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant "
                    + "as this is the default behavior"
            ]
        ),
        (
            "FROM a\nARG AWS_SECRET_ACCESS_KEY\nENV my_token=x",
            [
                "2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "
                    + "\"AWS_SECRET_ACCESS_KEY\")",
                "3 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"my_token\")",
            ]
        ),
        ("FROM a\nARG PUBLIC_KEY KEYBOARD TOKEN_FILE", []),
        (
            "ARG TAG\nFROM busybox:${TAG}",
            [
                "2 InvalidDefaultArgInFrom: Default value for ARG busybox:${TAG} results in empty or invalid "
                    + "base image name"
            ]
        ),
        ("ARG TAG\nFROM busybox:${TAG:-latest}", []),
        (
            "FROM --platform=linux/amd64 a AS base",
            ["1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/amd64\""]
        ),
        ("FROM --platform=linux/amd64 a AS base_amd64", []),
        (
            "FROM a\nEXPOSE 80/TcP",
            ["2 ExposeProtoCasing: Defined protocol '80/TcP' in EXPOSE instruction should be lowercase"]
        ),
        (
            "FROM a\nEXPOSE 127.0.0.1:80:80",
            [
                "2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, "
                    + "found '127.0.0.1:80:80'"
            ]
        ),
        (
            "# check=experimental=InvalidDefinitionDescription\n# bar this is not\nARG foo=bar\n# web the "
                + "server\nFROM a AS web",
            ["3 InvalidDefinitionDescription: Comment for ARG should follow the format: `# foo <description>`"]
        ),
        ("# bar this is not\nARG foo=bar\nFROM a", []),
        ("# check=experimental=all\n# foo is\nARG foo=bar\n# lost\n\nFROM a AS x", []),
        ("FROM a\nCOPY --from=b Dockerfile x", []),
        (
            "# check=error=true\nFROM a\nCOPY tmp/Dockerfile x\nADD https://x/tmp y\nCOPY --from=b tmp z",
            ["3 CopyIgnoredFile: Attempting to Copy file \"tmp/Dockerfile\" that is excluded by .dockerignore"]
        ),
        ("# check=skip=StageNameCasing,FromAsCasing\nFROM a as B", []), ("# check=skip=all\nFROM a as B\nRun x", []),
        (
            "FROM a\n# check=skip=SecretsUsedInArgOrEnv\nENV TOKEN=x\nENV SECRET=y",
            ["4 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"SECRET\")"]
        ),
    ]

    @Test(arguments: table)
    func finds(text: String, expected: [String]) throws {
        #expect(try check(text).map { "\($0.range.start.line) \($0.rule.rawValue): \($0.message)" } == expected)
    }

    private func check(_ text: String) throws -> [LintWarning] {
        var options = options
        options.ignore = try IgnorePatterns(parsing: Array("tmp\nDockerfile".utf8))
        return try parse(text).check(options) { $0 == "unknown" ? nil : BaseImage() }.warnings
    }

    /// Every rule is met by the table.
    @Test func allRules() throws {
        let met = Set(try Self.table.flatMap { try check($0.0).map(\.rule) })
        #expect(Set(LintRule.allCases).subtracting(met) == [])
        #expect(LintRule.allCases.count == 21)
    }

    @Test func names() {
        #expect(LintRule.jsonArgsRecommended.slug == "json-args-recommended")
        #expect(
            LintRule.secretsUsedInArgOrEnv.url
                == "https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/")
        #expect(Set(LintRule.allCases.map(\.summary)).count == 21)
    }

    @Test func warningsAsErrors() throws {
        let found = try parse("# check=error=true\nFROM a as b")
        let warnings = found.check(options).warnings
        #expect(
            found.lintError(warnings)?.diagnostics.map(short) == ["1:9: lint violation found for rules: FromAsCasing"])
        #expect(found.lintError([]) == nil)
        let diagnostic = found.diagnostic(try #require(warnings.first))
        #expect(diagnostic.severity == .warning && diagnostic.code == "dockerfile.from-as-casing")
        #expect(diagnostic.source?.column == 8 && diagnostic.sourceLine == "FROM a as b")
    }

    @Test func onlyTheTarget() throws {
        let found = try parse("FROM a AS x\nCMD x\nFROM b AS y\nCMD y")
        var target = options
        target.target = "x"
        #expect(found.check(target).warnings.map(\.range.start.line) == [2])
        #expect(found.check(options).warnings.map(\.range.start.line) == [2, 4])
    }

    @Test func errorsToo() throws {
        let stages = try parse("FROM a AS x\nEXPOSE x\nFROM b\nEXPOSE y").check(options)
        #expect(stages.errors.map { $0.source?.line } == [2, 4])
        let base = try parse("ARG T\nFROM a:$T").check(options)
        #expect(base.errors.map(short) == ["2:6: failed to parse stage name \"a:\": invalid reference format"])
        #expect(base.warnings.map(\.rule) == [.invalidDefaultArgInFrom])
    }
}
