import Testing

@testable import gantry

@Suite struct FormatTemplateTests {
    private let image = JSONText.object([
        ("Id", .string("sha256:aa")), ("Tags", .array([.string("a:1"), .string("b:2")])), ("Size", .number(5)),
        ("Config", .object([("Env", .array([])), ("Labels", .object([("x y", .string("z"))])), ("On", .bool(true))])),
        ("Nothing", .null),
    ])

    private func rendered(_ text: String, strict: Bool = false) throws -> String {
        try FormatTemplate(text).render(image, strict: strict)
    }

    @Test(arguments: [
        ("plain", "plain"), ("{{.Id}}", "sha256:aa"), (#"{{.Id}}\t{{ .Size }}\n"#, "sha256:aa\t5\n"),
        ("{{.Tags}} {{.Config.On}}", "[a:1 b:2] true"), ("{{.Config.Labels}}", "map[x y:z]"),
        ("{{json .Tags}}", #"["a:1","b:2"]"#), ("{{.Tags | json | upper}}", #"["A:1","B:2"]"#),
        (#"{{join .Tags ", "}}"#, "a:1, b:2"), ("{{index .Tags 1}}", "b:2"), (#"{{index .Config.Labels "x y"}}"#, "z"),
        (#"{{index .Config.Labels `none`}}"#, ""), ("{{len .Tags}}{{len .Id}}", "29"),
        ("{{range .Tags}}<{{.}}>{{else}}none{{end}}", "<a:1><b:2>"),
        ("{{range .Config.Env}}x{{else}}none{{end}}", "none"),
        ("{{if .Config.On}}yes{{else}}no{{end}}{{if .Nothing}}!{{end}}", "yes"), ("{{.Missing}}", "<no value>"),
        ("{{.Config.Missing.More}}", "<no value>"), (#"{{println .Size}}"#, "5\n"), (#"a\b"#, #"a\b"#),
    ]) func renders(_ template: String, _ expected: String) throws {
        #expect(try rendered(template) == expected)
    }

    @Test(arguments: [
        "{{", "{{.Id", "{{}}", "{{end}}", "{{if .Id}}", "{{range .Tags}}{{else}}", "{{nonsense .Id}}", "{{.Id .Size}}",
        #"{{join .Tags "x}}"#, "{{.Id |}}", "{{..}}", "{{json}}", "{{index .Tags 7}}", "{{index .Size 1}}",
        "{{else}}",
    ]) func isRefused(_ template: String) {
        #expect(throws: CommandFailure.self) { try self.rendered(template) }
    }

    @Test func unknownFieldsOfListsAreErrors() {
        #expect(
            throws: CommandFailure.usage(
                "there is no field .ID", hint: "the fields are .Id .Tags .Size .Config .Nothing")
        ) {
            try self.rendered("{{.ID}}", strict: true)
        }
    }

    @Test func nestingHasALimit() {
        let deep = String(repeating: "{{if .Id}}", count: 1000)
        #expect(throws: CommandFailure.self) { try self.rendered(deep) }
    }

    @Test func listing() throws {
        let listing = Listing(
            columns: [("A", "FIRST"), ("B", "SECOND")], headings: [("C", "THIRD")],
            rows: [.object([("A", .string("1")), ("B", .string("2")), ("C", .string("\u{1b}3"))])])
        #expect(try listing.render(ListFormat("table")) == "FIRST     SECOND\n1         2\n")
        #expect(try listing.render(ListFormat("json")) == #"{"A":"1","B":"2","C":"\u001b3"}"# + "\n")
        #expect(try listing.render(ListFormat("{{.A}}-{{.C}}")) == "1-^[3\n")
        #expect(try listing.render(ListFormat(#"table {{.C}}\t{{.A}}"#)) == "THIRD     FIRST\n^[3       1\n")
        #expect(throws: CommandFailure.self) { try ListFormat("yaml") }
    }

    @Test func readsDocuments() throws {
        let text = #"{"b":[1,-2.5,null,true,"x"],"a":{"d":{},"c":[]},"Id":"i"}"#
        let document = try JSONText(parsing: Array(text.utf8), first: ["Id"])
        #expect(document.text == #"{"Id":"i","a":{"c":[],"d":{}},"b":[1,"-2.5",null,true,"x"]}"#)
        #expect(throws: (any Error).self) { try JSONText(parsing: Array("{".utf8)) }
    }
}
