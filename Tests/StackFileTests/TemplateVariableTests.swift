import Testing

@testable import StackFile

struct TemplateVariableTests {
    @Test func formsAreTold() {
        let found = templateVariables(in: "$A ${B} ${C-c} ${D:-d} ${E?e} ${F:?f} ${G+g} ${H:+h} $$I $${J}")
        #expect(found.map(\.name) == ["A", "B", "C", "D", "E", "F", "G", "H"])
        #expect(found.map(\.defaultValue) == [nil, nil, "c", "d", nil, nil, nil, nil])
        #expect(found.map(\.alternate) == [nil, nil, nil, nil, nil, nil, "g", "h"])
        #expect(found.map(\.isRequired) == [false, false, false, false, true, true, false, false])
        #expect(found.map(\.emptyIsUnset) == [false, false, false, true, false, true, false, true])
        #expect(found.map(\.offset) == [0, 3, 8, 15, 23, 30, 38, 45])
    }

    @Test func defaultsHoldVariables() {
        let found = templateVariables(in: "ä${A:-${B:-x}-$C}")
        #expect(found.map(\.name) == ["A", "B", "C"] && found.map(\.offset) == [1, 6, 14])
        #expect(found[0].defaultValue == "${B:-x}-$C" && found[1].defaultValue == "x")
        #expect(templateVariables(in: "${A:?say $B}").map(\.name) == ["A", "B"])
    }

    @Test(arguments: ["$", "$$", "${", "${}", "${1}", "${A:}", "${A!x}", "${A", "$1", "${ A}", "a$", "${A:"])
    func whatIsNoTemplateIsPassedOver(_ text: String) {
        #expect(templateVariables(in: text).isEmpty)
    }

    @Test func depthIsLimited() {
        let text = String(repeating: "${A:-", count: 10_000) + String(repeating: "}", count: 10_000)
        #expect(templateVariables(in: text).count == Template.depthMax)
    }

    @Test func allValuesOfAStackAreSearched() throws {
        let project = MemoryProject(
            """
            name: ${NAME}
            x-a: ["$X"]
            services:
              web: {image: "${TAG}", profiles: [p], labels: {a: "${TAG:-1}", b: "${TAG:-2}", $KEY: c}}
            """)
        let variables = try project.document { $0.interpolates = false }.variables
        #expect(variables.map(\.name) == ["TAG", "X"] && variables.first?.defaultValue == "1")
    }

    @Test func tablesAreThoseOfDockerCompose() {
        let variables = templateVariables(in: "${A:-a} ${B:?} ${C:+c}")
        #expect(
            renderVariables(variables, .table) == """
                NAME                REQUIRED            DEFAULT VALUE       ALTERNATE VALUE
                A                   false               a                   \("")
                B                   true                                    \("")
                C                   false                                   c

                """)
        #expect(
            renderVariables(Array(variables.prefix(1)), .json) == """
                {
                    "A": {
                        "Name": "A",
                        "DefaultValue": "a",
                        "PresenceValue": "",
                        "Required": false
                    }
                }

                """)
        #expect(
            renderVariables(Array(variables.prefix(1)), .yaml) == """
                A:
                    name: A
                    defaultvalue: a
                    presencevalue: ""
                    required: false

                """)
        #expect(renderVariables([], .yaml) == "{}\n" && renderVariables([], .json) == "{}\n")
    }
}
