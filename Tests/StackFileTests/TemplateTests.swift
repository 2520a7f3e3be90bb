import Testing

@testable import StackFile

struct TemplateTests {
    static let environment = ["FOO": "first", "BAR": "", "JSON": "{\"json\":2}"]

    /// Cases of compose-go's template package.
    @Test(
        arguments: [
            ("-ok ${BAR:-defaultValue}", true, "-ok defaultValue"),
            ("+ok ${UNSET:-${BAR-defaultValue}}", true, "+ok "),
            ("-ok ${FOO:-defaultValue}", true, "-ok first"),
            (":-ok ${UNSET-defaultValue}", true, ":-ok defaultValue"),
            (":-ok ${BAR-defaultValue}", true, ":-ok "),
            (":?ok ${BAR-defaultValue}", true, ":?ok "),
            (":?ok ${BAR:-defaultValue}", true, ":?ok defaultValue"),
            (":+ok ${BAR:-defaultValue}", true, ":+ok defaultValue"),
            ("+ok ${BAR-defaultValue}", true, "+ok "),
            ("?ok ${BAR:-defaultValue}", true, "?ok defaultValue"),
            ("ok ${UNSET_VAR-$FOO}", true, "ok first"),
            ("ok ${UNSET_VAR-${FOO}}", true, "ok first"),
            ("ok ${UNSET_VAR-${FOO} ${FOO}}", true, "ok first first"),
            ("ok ${BAR:-$FOO}", true, "ok first"),
            ("ok ${BAR:-${FOO}}", true, "ok first"),
            ("ok ${BAR:-${FOO} ${FOO}}", true, "ok first first"),
            ("ok ${BAR+$FOO}", true, "ok first"),
            ("ok ${BAR+$FOO ${FOO:+second}}", true, "ok first second"),
            (
                "not ok ${UNSET_VAR:?Mandatory Variable Unset}", false,
                "required variable UNSET_VAR is missing a value: Mandatory Variable Unset"
            ),
            (
                "not ok ${BAR:?Mandatory Variable Empty}", false,
                "required variable BAR is missing a value: Mandatory Variable Empty"
            ),
            ("not ok ${UNSET_VAR:?}", false, "required variable UNSET_VAR is missing a value"),
            (
                "not ok ${UNSET_VAR?Mandatory Variable Unset}", false,
                "required variable UNSET_VAR is missing a value: Mandatory Variable Unset"
            ),
            ("not ok ${UNSET_VAR?}", false, "required variable UNSET_VAR is missing a value"),
            (
                "not ok ${UNSET_VAR:?Mandatory Variable ${FOO}}", false,
                "required variable UNSET_VAR is missing a value: Mandatory Variable first"
            ),
            (
                "not ok ${UNSET_VAR?Mandatory Variable ${FOO}}", false,
                "required variable UNSET_VAR is missing a value: Mandatory Variable first"
            ),
            ("ok ${FOO:?err}", true, "ok first"),
            ("ok ${FOO?err}", true, "ok first"),
            ("ok ${BAR?err}", true, "ok "),
            ("${UNSET_VAR?bar-baz}", false, "required variable UNSET_VAR is missing a value: bar-baz"),
            ("${UNSET_VAR-myerror?msg}", true, "myerror?msg"),
            ("${FOO?bar-baz}", true, "first"),
            ("${BAR:-default_value_for_empty_var}", true, "default_value_for_empty_var"),
            ("${UNSET_VAR-default_value_for_unset_var}", true, "default_value_for_unset_var"),
            ("$${foo}", true, "${foo}"),
            ("foo", true, "foo"),
            ("a $ string", true, "a $ string"),
            ("^REGEX$", true, "^REGEX$"),
            ("$}", true, "$}"),
            ("$", true, "$"),
            ("${", false, "Invalid template"),
            ("${}", false, "Invalid template"),
            ("${ }", false, "Invalid template"),
            ("${ foo}", false, "Invalid template"),
            ("${foo }", false, "Invalid template"),
            ("${foo!}", false, "Invalid template"),
            ("$FOO-bar", true, "first-bar"),
            ("This ${missing} var", true, "This  var"),
            ("This ${BAR} var", true, "This  var"),
            ("This $FOO var", true, "This first var"),
            ("This ${FOO} var", true, "This first var"),
            ("ok ${missing:-def}", true, "ok def"),
            ("ok ${missing-def}", true, "ok def"),
            ("${A:+${A},}B", true, "B"),
            ("${A:-${B}}", true, ""),
            ("ok ${BAR:-def}", true, "ok def"),
            ("ok ${FOO:-def}", true, "ok first"),
            ("ok ${BAR-def}", true, "ok "),
            ("ok ${UNSET_VAR:+presence_value}", true, "ok "),
            ("ok ${UNSET_VAR+presence_value}", true, "ok "),
            ("ok ${FOO:+presence_value}", true, "ok presence_value"),
            ("ok ${FOO+presence_value}", true, "ok presence_value"),
            ("ok ${BAR+presence_value}", true, "ok presence_value"),
            ("ok ${BAR:+presence_value}", true, "ok "),
            ("ok ${BAR:-/non:-alphanumeric}", true, "ok /non:-alphanumeric"),
            ("ok ${missing:-{\"json\":1}}", true, "ok {\"json\":1}"),
            ("ok ${missing-{\"json\":1}}", true, "ok {\"json\":1}"),
            ("ok ${JSON:-{\"json\":1}}", true, "ok {\"json\":2}"),
            ("ok ${JSON-{\"json\":1}}", true, "ok {\"json\":2}"),
        ] as [(String, Bool, String)])
    func composeGo(template: String, isValid: Bool, expected: String) {
        let subject = Template(lookup: { Self.environment[$0] }, unset: { _ in })
        do throws(TemplateError) {
            let text = try subject.substitute(template)
            #expect(isValid)
            #expect(text == expected)
        } catch .required(let name, let message) {
            #expect(!isValid)
            #expect(
                "required variable \(name) is missing a value" + (message.isEmpty ? "" : ": " + message) == expected)
        } catch {
            #expect(!isValid)
            #expect(error == .invalid)
            #expect(expected == "Invalid template")
        }
    }

    @Test func unusedBranchesAreNotEvaluated() throws {
        var unset: [String] = []
        let subject = Template(lookup: { Self.environment[$0] }, unset: { unset.append($0) })
        #expect(try subject.substitute("${FOO:-$ONE} ${TWO:+$THREE} ${FOUR:-x} $FIVE ${SIX}") == "first  x  ")
        #expect(unset == ["FIVE", "SIX"])
    }

    @Test func nestingHasALimit() {
        let subject = Template(lookup: { _ in nil }, unset: { _ in })
        let depth = 10_000
        let text = String(repeating: "${A:-", count: depth) + String(repeating: "}", count: depth)
        #expect(throws: TemplateError.tooDeep) { try subject.substitute(text) }
    }
}
