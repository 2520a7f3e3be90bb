import Testing

@testable import StackFile

struct DotenvTests {
    /// Cases of compose-go's dotenv package.
    @Test(arguments: [
        ("FOO=bar", ["FOO": "bar"]),
        ("FOO =bar", ["FOO": "bar"]),
        ("FOO= bar", ["FOO": "bar"]),
        ("FOO=\"bar\"", ["FOO": "bar"]),
        ("FOO='bar'", ["FOO": "bar"]),
        ("FOO=\"escaped\\\"bar\"", ["FOO": "escaped\"bar"]),
        ("FOO=\"\\\"quoted\\\"\"", ["FOO": "\"quoted\""]),
        ("FOO=\"'d'\"", ["FOO": "'d'"]),
        ("OPTION_A: 1", ["OPTION_A": "1"]),
        ("OPTION_A: Foo=bar", ["OPTION_A": "Foo=bar"]),
        ("OPTION_A=1:B", ["OPTION_A": "1:B"]),
        ("export OPTION_A=2", ["OPTION_A": "2"]),
        ("export OPTION_B='\\n'", ["OPTION_B": "\\n"]),
        ("export exportFoo=2", ["exportFoo": "2"]),
        ("exportFOO=2", ["exportFOO": "2"]),
        ("export_FOO =2", ["export_FOO": "2"]),
        ("export.FOO= 2", ["export.FOO": "2"]),
        ("export\tOPTION_A=2", ["OPTION_A": "2"]),
        ("  export OPTION_A=2", ["OPTION_A": "2"]),
        ("\texport OPTION_A=2", ["OPTION_A": "2"]),
        ("export OPTION_A=\"export A\"", ["OPTION_A": "export A"]),
        ("FOO=\"bar\\nbaz\"", ["FOO": "bar\nbaz"]),
        ("FOO=a\\tb", ["FOO": "a\\tb"]),
        ("FOO=\"a\\tb\"", ["FOO": "a\tb"]),
        ("KEY=\"Z\\aZ\\bZ\\fZ\\nZ\\rZ\\tZ\\vZ\\\\Z\\0123Z\"", ["KEY": "Z\u{7}Z\u{8}Z\u{c}Z\nZ\u{d}Z\tZ\u{b}Z\\ZSZ"]),
        ("FOO.BAR=foobar", ["FOO.BAR": "foobar"]),
        ("FOO=foobar=", ["FOO": "foobar="]),
        ("FOO=bar ", ["FOO": "bar"]),
        ("FOO=bar # this is foo", ["FOO": "bar"]),
        ("FOO=bar #this is foo", ["FOO": "bar"]),
        ("FOO=bar #", ["FOO": "bar"]),
        ("FOO=123#not-an-inline-comment", ["FOO": "123#not-an-inline-comment"]),
        ("FOO=\"bar#baz\"", ["FOO": "bar#baz"]),
        ("FOO=\"bar#baz\"#", ["FOO": "bar#baz"]),
        ("FOO=\"bar#baz\" # comment", ["FOO": "bar#baz"]),
        ("FOO='bar#baz' # comment", ["FOO": "bar#baz"]),
        ("FOO=\"bar#baz#bang\" # comment", ["FOO": "bar#baz#bang"]),
        ("FOO=\"ba#r\"", ["FOO": "ba#r"]),
        ("FOO='ba#r'", ["FOO": "ba#r"]),
        ("FOO=\"bar\\n\\ b\\az\"", ["FOO": "bar\n\\ b\u{7}z"]),
        ("FOO=\"bar\\\\\\n\\ b\\az\"", ["FOO": "bar\\\n\\ b\u{7}z"]),
        ("FOO=\"bar\\\\r\\ b\\az\"", ["FOO": "bar\\r\\ b\u{7}z"]),
        ("FOO=\"bar\\nbaz\\\\\"", ["FOO": "bar\nbaz\\"]),
        ("=\"value\"", ["": "value"]),
        (" KEY =value", ["KEY": "value"]),
        ("   KEY=value", ["KEY": "value"]),
        ("\tKEY=value", ["KEY": "value"]),
        ("KEY=\"\\0123\"", ["KEY": "S"]),
        ("KEY=\"\\x07\"", ["KEY": "\\x07"]),
        ("KEY=\"\\u12e4\"", ["KEY": "\\u12e4"]),
        ("KEY=\"\\U00101234\"", ["KEY": "\\U00101234"]),
        ("FOO=test\nBAR=$FOO", ["BAR": "test", "FOO": "test"]),
        ("FOO=test\nBAR=${FOO}bar", ["BAR": "testbar", "FOO": "test"]),
        ("BAR=$FOO", ["BAR": ""]),
        ("FOO=test\nBAR=\"quote $FOO\"", ["BAR": "quote test", "FOO": "test"]),
        ("BAR='quote $FOO'", ["BAR": "quote $FOO"]),
        ("FOO=\"foo\\$BAR\"", ["FOO": "foo$BAR"]),
        ("FOO=\"foo\\${BAR}\"", ["FOO": "foo${BAR}"]),
        ("FOO=test\nBAR=\"foo\\${FOO} ${FOO}\"", ["BAR": "foo${FOO} test", "FOO": "test"]),
    ])
    func composeGo(text: String, values: [String: String]) throws {
        #expect(try Dotenv.parse(Array(text.utf8), lookup: { _ in nil }) == values)
    }

    @Test func severalLines() throws {
        let text = """
            \u{FEFF}# first
            A=1 # comment

            export B="two
            lines"
            C='$A'
            D=${A}${B:+x}
            INHERITED
            ABSENT
            E=
            F: yaml
            """
        let values = try Dotenv.parse(Array(text.utf8), lookup: { ["INHERITED": "yes"][$0] })
        #expect(
            values == [
                "A": "1", "B": "two\nlines", "C": "$A", "D": "1x", "INHERITED": "yes", "E": "", "F": "yaml",
            ])
    }

    @Test func theEnvironmentWinsOverEarlierLines() throws {
        let values = try Dotenv.parse(Array("A=file\nB=$A".utf8), lookup: { ["A": "outer"][$0] })
        #expect(values == ["A": "file", "B": "outer"])
    }

    @Test(arguments: [
        ("A=1\nB C=2", 2, "variable name 'B C' must not contain a space"),
        ("A=\"open\nB=2", 1, "unterminated quoted value"),
        ("\n\nA!=1", 3, "unexpected character '!' in variable name"),
        ("A=${", 1, "invalid interpolation format '${': '${' is not closed by '}'"),
    ])
    func errorsHaveLines(text: String, line: Int, message: String) {
        #expect {
            try Dotenv.parse(Array(text.utf8), lookup: { _ in nil })
        } throws: { error in
            (error as? DotenvError).map { $0.line == line && $0.message == message && !$0.hint.isEmpty } ?? false
        }
    }

    @Test func rawKeepsQuotesAndDollars() throws {
        let text = "# c\nA=\"x $Y\"\n  B=1 # no comment\nC\nD\n"
        let values = try Dotenv.parseRaw(Array(text.utf8), lookup: { ["C": "c"][$0] })
        #expect(values == ["A": "\"x $Y\"", "B": "1 # no comment", "C": "c"])
    }
}
