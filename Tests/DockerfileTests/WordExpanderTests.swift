import Testing

@testable import Dockerfile

/// How words are processed, after the tables of the frontend's shell lexer.
struct WordExpanderTests {
    static let variables = Variables(environment: ["PWD=/home", "SHELL=bash", "KOREAN=한국어", "NULL="])

    /// Word and result; `nil` for an error.
    static let table: [(String, String?)] = [
        ("hello", "hello"), ("he'll'o", "hello"), ("he'llo", nil), (#"he\'llo"#, "he'llo"), (#"he\\'llo"#, nil),
        (#"abc\tdef"#, "abctdef"), (#""abc\tdef""#, #"abc\tdef"#), (#""abc\\tdef""#, #"abc\tdef"#),
        (#"'abc\tdef'"#, #"abc\tdef"#), (#"hello\"#, "hello"), (#"hello\\"#, #"hello\"#), (#""hello"#, nil),
        (#""hello\""#, nil), (#""hel'lo""#, "hel'lo"), ("'hello", nil), (#"'hello\'"#, #"hello\"#),
        (#"'hello\\there'"#, #"hello\\there"#), (#""''""#, "''"), ("$.", "$."), ("he$1x", "hex"), ("he$.x", "he$.x"),
        ("he$pwd.", "he."), ("he$PWD", "he/home"), (#"he\$PWD"#, "he$PWD"), (#"he\\$PWD"#, #"he\/home"#),
        (#"he"\$PWD""#, "he$PWD"), (#"he'\$PWD'"#, #"he\$PWD"#), ("$", "$"), ("a$", "a$"), ("$$", ""),
        ("he${}xx", nil), ("he${", nil), ("he${PWD", nil), ("he${PWD}xx", "he/homexx"), ("he${{PWD}", nil),
        ("${:x}", nil),
        ("he${XXX:-000}xx", "he000xx"), ("he${PWD:-000}xx", "he/homexx"), ("he${XXX:-$PWD}xx", "he/homexx"),
        ("he${XXX:-${PWD:-yyy}}xx", "he/homexx"), ("he${XXX:-${YYY:-yyy}}xx", "heyyyxx"), ("he${XXX:YYY}", nil),
        ("he${XXX?}", nil), ("he${XXX:?}", nil), ("he${PWD:?}", "he/home"), ("${NULL?}", ""), ("${NULL:?}", nil),
        ("${XXX:?it is needed", nil), ("he${XXX:+${PWD}}xx", "hexx"), ("he${PWD:+${XXX}}xx", "hexx"),
        ("he${PWD:+${SHELL}}xx", "hebashxx"), ("he${XXX:+000}xx", "hexx"), ("he${PWD:+000}xx", "he000xx"),
        ("${NULL-x}", ""), ("${NULL:-x}", "x"), ("${NULL+x}", "x"), ("${NULL:+x}", ""), ("'he${XX}'", "he${XX}"),
        (#""he${PWD}""#, "he/home"), (#""he'$PWD'""#, "he'/home'"), ("'$PWD'", "$PWD"), (#"'"hello"'"#, #""hello""#),
        ("he${PWD:=000}xx", nil), ("he${PWD=000}xx", nil), ("he${PWD:+${PWD}:}xx", "he/home:xx"),
        (#"he${XXX:-\$PWD:}xx"#, "he$PWD:xx"), (#"he${XXX:-\${PWD}z}xx"#, "he${PWDz}xx"), ("안녕하세요", "안녕하세요"),
        ("안'녕'하세요", "안녕하세요"), ("안'녕하세요", nil), ("안${KOREAN}", "안한국어"), ("${XXX:-'a b'}", "a b"),
        (#"${XXX:-"$PWD"}"#, "/home"), ("${XXX:-}", ""), ("$PWD$SHELL", "/homebash"), ("${PWD}$", "/home$"),
        ("${XXX:-'}'}", "}"), ("$a_b", ""), ("$é", ""),
    ]

    @Test(arguments: table)
    func words(word: String, expected: String?) {
        #expect(expand(word, Self.variables) == expected)
    }

    /// Word, variables, result.
    static let patterns: [(String, [String], String?)] = [
        (#"${FOO#()[]{\}^$.\*\?|\\}"#, [#"FOO=()[]{}^$.*?|\x"#], "x"), (#"${FOO%%\**}"#, ["FOO=xx**"], "xx"),
        ("${FOO#*x*y}", ["FOO=xxyy"], "y"), ("${FOO#*}", ["FOO=xxyy"], "xxyy"), ("${FOO##*}", ["FOO=xxyy"], ""),
        ("${FOO#$BAR}", ["FOO=xxyy", "BAR=x"], "xyy"), ("${FOO#$BAR}", ["FOO=xxyy", "BAR="], "xxyy"),
        ("${FOO#}", ["FOO=xxyy"], "xxyy"), ("${FOO##*x}", ["FOO=xxyy"], "yy"), ("${FOO##}", ["FOO=xxyy"], "xxyy"),
        (#"${FOO#?\?}"#, ["FOO=???y"], "?y"), ("${ABC:-.}${FOO%x}${ABC:-.}", ["FOO=xxyy"], ".xxyy."),
        (#"${FOO%%\**\*}"#, ["FOO=a***yy*"], "a"), ("${FOO%y*}", ["FOO=xyxyx"], "xyx"),
        ("${FOO%%y*}", ["FOO=xyxyx"], "x"),
        ("${FOO%}", ["FOO=xxyy"], "xxyy"), ("${FOO%.tar.gz}", ["FOO=a.tar.gz"], "a"),
        ("${FOO##*/}", ["FOO=/a/b/c"], "c"),
        ("${FOO%/*}", ["FOO=/a/b/c"], "/a/b"), ("${XXX#a}", [], ""), (#"${FOO#\x}"#, ["FOO=x"], nil),
        (
            #"${FOO/$NEEDLE/.} - ${FOO//$NEEDLE/.}"#, ["FOO=/foo*/*/*.txt", #"NEEDLE=\*/"#],
            "/foo.*/*.txt - /foo..*.txt"
        ),
        ("${FOO/$NEEDLE/} - ${FOO//$NEEDLE/}", ["FOO=/tmp/tmp/bar.txt", "NEEDLE=/tmp"], "/tmp/bar.txt - /bar.txt"),
        (
            "${FOO/$NEEDLE/$R} - ${FOO//$NEEDLE/$R}", ["FOO=/a/foo/b/c.txt", "NEEDLE=/?/", "R=/"],
            "/foo/b/c.txt - /foo/c.txt"
        ),
        ("${FOO/$N/$R}", ["FOO=http://google.de", "N=http://", "R=https://"], "https://google.de"),
        (#"${FOO//\//\/}"#, ["FOO=/tmp/foo.txt"], #"\/tmp\/foo.txt"#),
        ("${FOO/$BAR/ww}", ["FOO=xxyy", "BAR="], "wwxxyy"),
        ("${FOO//$BAR/w}", ["FOO=xy", "BAR="], "wxwyw"), ("${FOO//ww}", ["FOO=xxyy"], nil),
        ("${FOO//}", ["FOO=xxyy"], nil),
        ("${FOO/a*c/-}", ["FOO=xabcabcx"], "x-x"), ("${FOO//a?/-}", ["FOO=abacad"], "---"),
        ("${FOO//*/-}", ["FOO=ab"], "-"),
        ("v${VERSION//./_}", ["VERSION=1.2.3"], "v1_2_3"),
    ]

    @Test(arguments: patterns)
    func substitutes(word: String, variables: [String], expected: String?) {
        #expect(expand(word, Variables(environment: variables)) == expected)
    }

    @Test func messages() {
        #expect(message("${XXX:?it is needed}") == "XXX: it is needed")
        #expect(message("${XXX?}") == "XXX: is not allowed to be unset")
        #expect(message("${NULL:?}") == "NULL: is not allowed to be empty")
        #expect(message("${PWD") == "syntax error: missing '}'")
        #expect(message("${}") == "syntax error: bad substitution")
        #expect(message("${PWD:=x}") == "unsupported modifier (:=) in substitution")
        #expect(message("'a") == "unexpected end of statement while looking for matching single-quote")
        #expect(message("\"a") == "unexpected end of statement while looking for matching double-quote")
        #expect(message(#"${PWD#\x}"#) == #"invalid pattern (\x) in substitution: invalid escape '\x'"#)
    }

    @Test func divides() throws {
        let variables = Variables(environment: ["dog=x y", "cat='a b'"])
        let expander = WordExpander(escape: "\\")
        #expect(try expander.expand("hello $dog world", in: variables).words == ["hello", "x", "y", "world"])
        #expect(try expander.expand("a \"$dog\" b", in: variables).words == ["a", "x y", "b"])
        #expect(try expander.expand("a\\ b  'c d'e", in: variables).words == ["a b", "c de"])
        #expect(try expander.expand("$cat", in: variables).words == ["'a", "b'"])
        #expect(try expander.expand("  ", in: variables).words == [])
        #expect(try expander.expand("$none x", in: variables).words == ["x"])
    }

    @Test func says() throws {
        let found = try WordExpander(escape: "\\").expand("$PWD ${A:-$B} \\$C", in: Self.variables)
        #expect(found.matched == ["PWD"])
        #expect(found.unmatched == ["A", "B"])
    }

    @Test func backquoteEscapes() throws {
        let expander = WordExpander(escape: "`")
        #expect(try expander.expand(#"C:\x`$PWD"#, in: Self.variables).text == #"C:\x$PWD"#)
    }

    @Test func keepsWhatIsUnset() throws {
        var expander = WordExpander(escape: "\\")
        expander.keepsUnset = true
        expander.keepsQuotes = true
        for word in ["$a ${a}", "${a:-b}", "${a+b}", "'$PWD'", "\"x\"", "${a#b}", "${a/b/c}", "${a:?b}"] {
            #expect(try expander.expand(word, in: Self.variables).text == word)
        }
    }

    /// What doubles with each line would fill any memory.
    @Test func growthEnds() throws {
        var variables = Variables(environment: ["A=" + String(repeating: "x", count: 64 * 1024)])
        var message = ""
        for _ in 0..<10 {
            do throws(ExpansionError) {
                variables["A"] = try WordExpander(escape: "\\").expand("$A$A", in: variables).text
            } catch {
                message = error.message
            }
        }
        #expect(message == "the expanded word has more than 1048576 characters")
        #expect(self.message(String(repeating: "${a:-", count: 5000)) == "substitutions are nested too deep")
    }

    @Test func patternsEnd() {
        let text = String(repeating: "a", count: 50_000)
        let word = "${A//a*b*c*d/x}"
        let found = expand(word, Variables(environment: ["A=" + text]))
        #expect(found == nil)
        #expect(expand("${A//*b/x}", Variables(environment: ["A=" + text])) == text)
    }

    /// A text in single quotes, or with every character escaped, is itself again.
    @Test func roundTrips() throws {
        var random = SystemRandomNumberGenerator()
        let letters = Array("ab $'\"\\{}:-/#%?*\t\n.é🚀".unicodeScalars)
        for _ in 0..<2000 {
            let scalars = (0..<Int.random(in: 0...12, using: &random)).map { _ in letters.randomElement() ?? "a" }
            let text = String(scalars: scalars)
            let quoted =
                "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
            #expect(try WordExpander(escape: "\\").expand(quoted, in: Self.variables).text == text)
            let escaped = String(scalars: scalars.flatMap { ["\\", $0] as [Unicode.Scalar] })
            let expansion = try WordExpander(escape: "\\").expand(escaped, in: Self.variables)
            #expect(expansion.text == text)
            #expect(expansion.words == (text.isEmpty ? [] : [text]))
        }
    }

    private func expand(_ word: String, _ variables: Variables) -> String? {
        do throws(ExpansionError) {
            return try WordExpander(escape: "\\").expand(word, in: variables).text
        } catch {
            return nil
        }
    }

    private func message(_ word: String) -> String? {
        do throws(ExpansionError) {
            _ = try WordExpander(escape: "\\").expand(word, in: Self.variables)
            return nil
        } catch {
            return error.message
        }
    }
}
