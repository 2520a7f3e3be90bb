import EngineWire
import StackModel
import Testing

@testable import gantry

@Suite struct PlanTests {
    private var plan: PlanReply {
        PlanReply(
            stack: "shop",
            changes: [
                change(.create, .network, "shop_front", "not there yet", line: 20),
                change(.recreate, .container, "shop-app-1", "image changed", line: 3),
                change(.start, .container, "shop-db-1", "not running", line: 9),
                change(.wait, .container, "shop-db-1", "healthy before app"),
                change(.repair, .firewall, "web\u{1b}[2J", "rules are missing"),
                change(.remove, .container, "shop-old-1", "not in the stack file"),
            ], repaired: ["bridge shop_back made again"],
            warnings: [Diagnostic(.warning, code: "x", "careful")])
    }

    @Test func showsEveryChange() {
        #expect(
            renderPlan(plan, folder: "/srv/shop", color: false) == """
                +   network shop_front    create: not there yet          compose.yaml:20:5
                -/+ container shop-app-1  recreate: image changed        compose.yaml:3:5
                ~   container shop-db-1   start: not running             compose.yaml:9:5
                !   firewall web^[[2J     repair: rules are missing
                -   container shop-old-1  remove: not in the stack file

                Plan: 1 to create, 1 to recreate, 1 to start, 1 to repair, 1 to remove.

                Repaired by the engine in the last minutes:
                !   bridge shop_back made again

                """)
    }

    @Test func saysThatNothingChanges() {
        let waiting = PlanReply(stack: "shop", changes: [change(.wait, .container, "shop-db-1", "healthy")])
        #expect(renderPlan(waiting, folder: "/", color: true) == "No changes.\n")
        #expect(waiting.effective.isEmpty)
    }

    @Test func coloursSymbols() {
        let small = PlanReply(stack: "shop", changes: [change(.remove, .volume, "v", "r", line: 1)])
        #expect(
            renderPlan(small, folder: "/srv", color: true)
                == "\u{1b}[31m-  \u{1b}[0m volume v  remove: r  \u{1b}[2mshop/compose.yaml:1:5\u{1b}[0m\n\n"
                + "Plan: 1 to remove.\n")
    }

    @Test func forMachines() {
        var small = plan
        small.changes = [plan.changes[0], plan.changes[4]]
        #expect(
            renderPlanJSON(small) == #"""
                {"stack":"shop","changes":[{"action":"create","kind":"network","name":"shop_front","reason":"not ther\#
                e yet","order":null,"source":{"file":"/srv/shop/compose.yaml","line":20,"column":5}},{"action":"repair\#
                ","kind":"firewall","name":"web\u001b[2J","reason":"rules are missing","order":null,"source":null}],"r\#
                epaired":["bridge shop_back made again"],"warnings":[{"severity":"warning","code":"x","message":"caref\#
                ul","source":null,"hint":null}]}

                """#)
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
