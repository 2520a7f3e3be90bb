import EngineWire
import StackModel
import Testing

@testable import gantry

@Suite struct LiveTreeTests {
    private let second: Int64 = 1_000_000_000

    /// Two services: `web`, three replicas with a healthcheck, waits for `db`.
    private func stack() -> Stack {
        var web = Service(image: "web:1")
        web.replicas = 3
        web.healthcheck = Healthcheck(test: ["CMD", "true"])
        web.dependsOn = ["db": Dependency(condition: .healthy)]
        var database = Service(image: "db:1")
        database.healthcheck = Healthcheck(test: ["CMD", "true"])
        return Stack(name: "shop", services: ["web": web, "db": database])
    }

    private func tree(_ stack: Stack? = nil) -> LiveTree {
        var tree = LiveTree(stackName: "shop", stack: stack ?? self.stack(), at: 0)
        tree.update(kind: .network, name: "shop_front", state: .working, status: "Creating", at: 0)
        tree.update(kind: .network, name: "shop_front", state: .done, status: "Created", at: second / 10)
        tell(&tree, "shop-db-1", .done, "Started", at: second / 2)
        for number in 1...3 { tell(&tree, "shop-web-\(number)", .done, "Created", at: second / 5) }
        return tree
    }

    private func tell(
        _ tree: inout LiveTree, _ name: String, _ state: ProgressEvent.State, _ status: String, at time: Int64
    ) {
        tree.update(kind: .container, name: name, state: state, status: status, at: time)
    }

    private func look(
        _ tree: inout LiveTree, at time: Int64, _ containers: [ContainerStatus], _ rollout: RolloutReply? = nil
    ) {
        tree.update(LiveTree.Look(askedAt: time, containers: containers, rollout: rollout))
    }

    private func healthy(_ service: String, _ number: Int) -> ContainerStatus {
        container(service, number) { $0.health = .healthy }
    }

    private func picture(_ tree: LiveTree, at time: Int64, columns: Int = 60, rows: Int = 24) -> [String] {
        tree.frame(now: time, columns: columns, rows: rows, color: false)
    }

    /// Without what the width does.
    private func words(_ lines: [String]) -> [String] {
        lines.map { $0.split(separator: " ").joined(separator: " ") }
    }

    @Test func showsWhoWaitsForWhom() {
        var tree = tree()
        look(&tree, at: second, [container("db", 1) { $0.health = .starting }])
        #expect(
            picture(tree, at: 2 * second) == [
                "[+] shop  1/5 done  2.0s",
                " ├ ✔ network front  created                            0.1s",
                " ├ ⠋ db             health starting                    1.5s",
                " └ · web            waiting for db to be healthy       1.8s",
                "    ├ · web-1       created                            1.8s",
                "    ├ · web-2       created                            1.8s",
                "    └ · web-3       created                            1.8s",
            ])
        look(&tree, at: 3 * second, [healthy("db", 1)])
        tell(&tree, "shop-web-1", .working, "Starting", at: 3 * second)
        let later = words(picture(tree, at: 4 * second))
        #expect(later[2] == "├ ✔ db healthy 2.5s")
        #expect(later[3] == "└ ⠋ web 0/3 healthy 3.8s")
        #expect(later[4] == "├ ⠋ web-1 starting 3.8s")
    }

    /// Replicas are created side by side: which is heard of first is chance.
    @Test func whatOthersWaitForStandsAboveThem() {
        var tree = LiveTree(stackName: "shop", stack: stack(), at: 0)
        tell(&tree, "shop-web-1", .done, "Created", at: second / 10)
        tell(&tree, "shop-db-1", .done, "Created", at: second / 5)
        let lines = words(picture(tree, at: second))
        #expect(lines[1].hasPrefix("├ ⠋ db") || lines[1].hasPrefix("├ · db"))
        #expect(lines[2].hasPrefix("└ · web"))
    }

    @Test func showsHowFarAnUpdateIs() {
        var tree = tree()
        let rollout = RolloutReply(
            stack: "shop", revision: 5, isStable: false,
            services: [
                RolloutReply.Service(
                    service: "web", replicas: 3, updated: 1, ready: 3, state: .progressing, problems: [])
            ])
        tell(&tree, "shop-web-1", .working, "Stopping", at: second)
        tell(&tree, "shop-web-1-next", .done, "Started", at: second)
        look(&tree, at: 2 * second, [healthy("db", 1), healthy("web", 1)], rollout)
        let lines = words(picture(tree, at: 3 * second))
        #expect(lines[0] == "[+] shop revision 5 3/6 done 3.0s")
        #expect(lines[3] == "└ ⠋ web 1/3 updated, 3 healthy 2.8s")
        #expect(lines[4] == "├ ⠋ web-1 stopping, replaced by revision 5 2.8s")
        #expect(lines[5].hasPrefix("├ ✔ web-1-next started"))
        // Between two steps all that are there are well, and yet the update goes on.
        var between = tree
        tell(&between, "shop-web-1", .done, "Removed", at: 3 * second)
        #expect(words(picture(between, at: 3 * second))[3] == "└ ⠋ web 1/3 updated, 3 healthy 2.8s")
        // The one that has come takes over the name.
        tell(&tree, "shop-web-1", .working, "Renaming", at: 3 * second)
        tell(&tree, "shop-web-1", .done, "Renamed", at: 3 * second)
        #expect(!picture(tree, at: 3 * second).contains { $0.contains("next") })
        // One that is too much goes, and nothing replaces it.
        tell(&tree, "shop-web-4", .working, "Stopping", at: 3 * second)
        #expect(words(picture(tree, at: 4 * second)).last == "└ ⠋ web-4 stopping 1.0s")
    }

    @Test(arguments: [
        (RolloutReply.State.canary, "· web canary: 1/3 updated, 3 healthy; waits for `gantry promote`"),
        (.paused, "· web paused: 1/3 updated, 3 healthy"), (.failed, "✘ web failed: web:2 is unhealthy"),
    ])
    func saysWhyAnUpdateStands(state: RolloutReply.State, text: String) {
        var tree = tree()
        let service = RolloutReply.Service(
            service: "web", replicas: 3, updated: 1, ready: 3, state: state,
            problems: [Diagnostic(code: "rollout", "web:2 is unhealthy")])
        look(
            &tree, at: second, [healthy("db", 1)],
            RolloutReply(stack: "shop", revision: 5, isStable: false, services: [service]))
        #expect(words(picture(tree, at: second, columns: 120)).contains { $0.contains(text) })
    }

    @Test func failuresAreSeenInAnyRoom() {
        var stack = stack()
        for name in ["a", "b", "c", "d", "e"] {
            stack.services[name] = Service(image: "i")
            stack.services[name]?.replicas = 4
        }
        var tree = tree(stack)
        for name in ["a", "b", "c", "d", "e"] {
            for number in 1...4 { tell(&tree, "shop-\(name)-\(number)", .done, "Started", at: 0) }
        }
        tell(&tree, "shop-d-3", .failed, "Error", at: second)
        for rows in [4, 5, 6, 8, 12, 20] {
            let lines = picture(tree, at: 2 * second, rows: rows)
            #expect(lines.count < rows, "\(rows) rows")
            #expect(lines.contains { $0.contains("✘ d ") }, "\(rows) rows")
            if rows > 4 { #expect(lines.contains { $0.contains("✘ d-3") }, "\(rows) rows") }
        }
        #expect(
            words(picture(tree, at: 2 * second, rows: 9)) == [
                "[+] shop 21/25 done 2.0s", "├ ✔ network front created 0.1s", "├ ✔ 5 services done",
                "├ ✘ d 3/4 running, 1 failing 2.0s", "│ ├ ✔ 3 started", "│ └ ✘ d-3 failed 2.0s",
                "└ · web waiting for db to be healthy 1.8s", "└ · 3 created",
            ])
    }

    @Test func fitsEveryTerminal() {
        var tree = tree()
        tell(&tree, "shop-web-1", .working, "Stopping because of \u{1b}[31m a long story of many words", at: second)
        for columns in [1, 5, 10, 11, 20, 24, 40, 80, 200] {
            for rows in [1, 2, 3, 5, 8, 24] {
                let lines = tree.frame(now: second, columns: columns, rows: rows, color: true)
                for line in lines {
                    #expect(visibleText(line).displayWidth <= max(10, columns - 1))
                    #expect(!line.contains("\u{1b}[31m"))
                }
            }
        }
    }

    @Test func theEndIsNoSpinner() {
        var tree = tree()
        tell(&tree, "shop-web-1", .working, "Starting", at: second)
        tree.end = .failed
        let lines = words(picture(tree, at: 9 * second))
        #expect(lines.contains("├ · web-1 starting 8.8s"))
        #expect(!lines.contains { $0.contains("⠋") || $0.contains("waiting for") })
        var other = self.tree()
        other.end = .succeeded
        #expect(words(picture(other, at: second)).contains("├ ✔ web-1 created 0.0s"))
    }

    @Test func whatIsLeftAloneIsCounted() {
        var tree = LiveTree(stackName: "shop", stack: stack(), at: 0)
        tell(&tree, "shop-web-1", .working, "Starting", at: 0)
        look(&tree, at: second, [healthy("db", 1)])
        #expect(words(picture(tree, at: second)).last == "└ ✔ db unchanged")
        // Nobody has asked for it.
        var selected = LiveTree(stackName: "shop", stack: stack(), services: ["web"], dependencies: false, at: 0)
        tell(&selected, "shop-web-1", .working, "Starting", at: 0)
        look(&selected, at: second, [healthy("db", 1)])
        #expect(!picture(selected, at: second).contains { $0.contains("db") })
    }
}
