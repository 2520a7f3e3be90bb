import EngineWire
import FoundationEssentials
import StackModel
import Testing

@testable import gantry

@Suite struct PlanTests {
    private func image(_ line: Int) -> PlanReply.Field { field("image", "shop/web:1", "shop/web:2", line: line) }

    private var plan: PlanReply {
        var web = (1...3).map { number in
            change(
                .recreate, .container, "service.web[\(number)]", "image changed, environment.LOG changed and 2 more",
                line: 3, order: "start-first: it has a healthcheck",
                fields: [
                    image(3), field("environment.LOG", "info", "debug", line: 6),
                    field("environment.DB_PASSWORD", "(sensitive)", "(sensitive)", line: 7, sensitive: true),
                    field("environment.NEW", nil, "1", line: 8), field("environment.OLD", "1", nil),
                ])
        }
        web[2].fields.removeLast()
        var plan = PlanReply(
            stack: "shop",
            changes: [
                change(.create, .network, "network.front", "does not exist", line: 20), web[0],
                change(
                    .recreate, .container, "service.db[1]", "command changed", order: "stop-first: it writes to /data",
                    fields: [field("command", "postgres", "postgres -c fsync=off", line: 12)],
                    disruption: .interruption), web[1], web[2],
                change(.wait, .container, "service.db[1]", "healthy before web"),
                change(.repair, .firewall, "web\u{1b}[2J", "rules are missing"),
                change(.remove, .container, "service.old[1]", "service is not in the stack file"),
            ], repaired: ["bridge shop_back made again"],
            diagnostics: [Diagnostic(.warning, code: "x", "careful")])
        (plan.base.revision, plan.target.revision) = (41, 42)
        plan.orphans = [PlanReply.Object(address: "service.gone[1]", name: "shop-gone-1")]
        plan.drift = [
            PlanReply.Drift(
                address: "service.db[1]", class: "limits", detail: "memory is 1 GiB", policy: "repair",
                repair: "written back")
        ]
        return plan
    }

    @Test func showsEveryChange() {
        #expect(
            renderPlan(plan, folder: "/srv/shop", color: false) == """
                Stack shop · revision 41 → 42 · 1 to create, 4 to replace, 1 to repair, 1 to remove, 1 drifted, 1 orphan

                +   network.front      create: does not exist               compose.yaml:20:5
                -/+ service.web[1..2]  replace · start-first: it has a healthcheck
                      ~ image                    shop/web:1 → shop/web:2    compose.yaml:3:5
                      ~ environment.LOG          info → debug               compose.yaml:6:5
                      ~ environment.DB_PASSWORD  (sensitive) → (sensitive)  compose.yaml:7:5
                      + environment.NEW          1                          compose.yaml:8:5
                      - environment.OLD          1
                -/+ service.web[3]     replace · start-first: it has a healthcheck
                      ~ image                    shop/web:1 → shop/web:2    compose.yaml:3:5
                      ~ environment.LOG          info → debug               compose.yaml:6:5
                      ~ environment.DB_PASSWORD  (sensitive) → (sensitive)  compose.yaml:7:5
                      + environment.NEW          1                          compose.yaml:8:5
                -/+ service.db[1]      replace · stop-first: it writes to /data
                      ~ command  postgres → postgres -c fsync=off           compose.yaml:12:5
                !   web^[[2J           repair: rules are missing
                -   service.old[1]     remove: service is not in the stack file
                !   service.db[1]      drift (limits): memory is 1 GiB, written back
                ?   service.gone[1]    orphan: not in the stack file, stays without --remove-orphans

                Disruption: service.db is interrupted.

                Repaired by the engine in the last minutes:
                !   bridge shop_back made again

                """)
    }

    @Test func saysThatNothingChanges() {
        var quiet = PlanReply(stack: "shop", changes: [change(.wait, .container, "service.db[1]", "healthy")])
        #expect(renderPlan(quiet, folder: "/", color: true) == "No changes.\n")
        #expect(renderPlanMarkdown(quiet, folder: "/") == "### Stack `shop`: no changes\n")
        #expect(quiet.effective.isEmpty && !quiet.changed)
        // What only the engine reads makes a revision, and touches nothing.
        (quiet.base.revision, quiet.target.revision, quiet.changed) = (1, 2, true)
        #expect(
            renderPlan(quiet, folder: "/", color: false) == "Stack shop · revision 1 → 2 · no containers change\n\n")
    }

    @Test func coloursSymbolsAndValues() {
        let small = PlanReply(
            stack: "shop",
            changes: [
                change(.recreate, .volume, "volume.v", "r", fields: [field("driver", "a", "b")], disruption: .dataLoss)
            ])
        #expect(
            renderPlan(small, folder: "/srv", color: true) == """
                \u{1b}[1mStack shop · not up · 1 to replace\u{1b}[0m

                \u{1b}[33m-/+\u{1b}[0m \u{1b}[1mvolume.v\u{1b}[0m  replace: r
                      \u{1b}[33m~\u{1b}[0m driver  \u{1b}[31ma\u{1b}[0m → \u{1b}[32mb\u{1b}[0m

                Disruption: \u{1b}[31mthe data of volume.v is lost\u{1b}[0m.

                """)
    }

    @Test func longValuesAreShownWhereTheyDiffer() {
        let long = String(repeating: "x", count: 100)
        let (before, after) = excerpts(long + "one", long + "two")
        #expect(before == "…xxxxxxxxxxxxone" && after == "…xxxxxxxxxxxxtwo")
        #expect(excerpts("a\nb", "a\nc") == ("a⏎b", "a⏎c"))
        #expect(excerpt(long).count == 64 && excerpt("") == "\"\"")
        #expect(excerpts("short", "shorter") == ("short", "shorter"))
    }

    @Test func forPullRequests() {
        var small = plan
        small.changes = [plan.changes[0], plan.changes[2]]
        #expect(
            renderPlanMarkdown(small, folder: "/srv/shop") == """
                ### Stack `shop`: 1 to create, 1 to replace, 1 drifted, 1 orphan

                Revision 41 → 42. Disruption: **service.db is interrupted**.

                | | object | change | source |
                | --- | --- | --- | --- |
                | `+` | `network.front` | create: does not exist | `compose.yaml:20` |
                | `-/+` | `service.db[1]` | replace · stop-first: it writes to /data |  |
                | `!` | `service.db[1]` | drift: limits: memory is 1 GiB | |
                | `?` | `service.gone[1]` | orphan: not in the stack file | |

                ```diff
                @@ service.db[1] @@
                - command: postgres
                + command: postgres -c fsync=off
                ```

                > **warning**: careful

                """)
    }

    @Test func nothingBreaksOutOfMarkdown() {
        let text = renderPlanMarkdown(
            PlanReply(
                stack: "s`\n# x",
                changes: [
                    change(.recreate, .container, "service.a[1]", "a|<b>", fields: [field("c", "```", "\n```\n")])
                ]),
            folder: "/")
        #expect(text.contains("replace: a\\|\\<b\\>"))
        #expect(text.contains("````diff\n"))
        #expect(!text.contains("\n# x"))
    }

    @Test func forMachines() throws {
        let bytes = try planDocument(plan)
        #expect(try planDocument(plan) == bytes)
        let read = try JSONDecoder().decode(PlanReply.self, from: Data(bytes))
        var expected = plan
        expected.gantry = gantryVersion
        #expect(read == expected)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains(#""format_version" : "1.0""#) && text.contains(#""action" : "replace""#))
        #expect(try planJSON(plan).text.hasPrefix(#"{"applyable":true,"base":{"#))
    }

    @Test func differencesReadAsADiff() {
        let diff = DiffReply(
            stack: "shop", from: "revision 1", to: "stack file",
            sections: [
                .init(
                    address: "service.web", action: .changed, fields: [image(3), field("user", nil, "app")],
                    source: SourceMark(file: "/srv/compose.yaml", line: 2, column: 3)),
                .init(address: "volume.old", action: .removed),
            ])
        #expect(
            renderDiff(diff, folder: "/srv", color: false) == """
                --- shop, revision 1
                +++ shop, stack file
                @@ service.web @@ compose.yaml:2
                - image: shop/web:1
                + image: shop/web:2
                + user: app
                @@ volume.old removed @@

                """)
        #expect(renderDiff(DiffReply(stack: "s", from: "", to: "", sections: []), folder: "/", color: true) == "")
    }

    @Test func concludes() {
        #expect(conclusion("shop", changes: 1, milliseconds: 3249) == "Stack shop has converged: 1 change in 3.2 s.\n")
        #expect(conclusion("shop", changes: nil, milliseconds: 90) == "Stack shop has not converged after 0.0 s.\n")
    }

    @Test func namesFilesFromHere() {
        #expect(relativePath("/a/b/c", to: "/a") == "b/c")
        #expect(relativePath("/a/b/c", to: "/") == "a/b/c")
        #expect(relativePath("/ab/c", to: "/a") == "/ab/c")
    }
}
