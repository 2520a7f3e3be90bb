import StackModel
import Testing

@testable import StackGraph

@Suite struct StackGraphTests {
    private var shop: Stack {
        var stack = Stack(name: "shop")
        var web = Service(image: "nginx")
        web.dependsOn = ["app": Dependency(condition: .healthy)]
        web.ports = [Port(target: 80)]
        web.ports[0].published = 8080
        web.networks = ["front": NetworkAttachment()]
        var app = Service(image: "app:\"1\"")
        app.replicas = 3
        app.dependsOn = ["db": Dependency(condition: .started)]
        app.networks = ["front": NetworkAttachment(), "back": NetworkAttachment()]
        var db = Service(image: "postgres")
        db.mounts = [Mount(kind: .volume, source: "data", target: "/var/lib")]
        db.networks = ["back": NetworkAttachment()]
        stack.services = ["web": web, "app": app, "db": db]
        stack.networks = ["front": Network(), "back": Network()]
        stack.volumes = ["data": Volume()]
        return stack
    }

    @Test func everythingOfAStackIsThere() {
        let graph = StackGraph(shop)
        #expect(
            graph.nodes.map(\.id) == [
                "port:8080", "service:app", "service:db", "service:web", "network:back", "network:front", "volume:data",
            ])
        #expect(graph.nodes[1].lines == ["app", "app:\"1\"", "3 replicas"])
        #expect(graph.edges.contains(.init(from: "service:web", to: "service:app", kind: .needs, label: "healthy")))
        #expect(graph.edges.contains(.init(from: "port:8080", to: "service:web", kind: .publishes, label: "80")))
        #expect(graph.edges.contains(.init(from: "service:db", to: "volume:data", kind: .uses, label: "/var/lib")))
    }

    @Test func theOneNetworkOfAllIsLeftOut() {
        var stack = shop
        stack.networks = ["default": Network()]
        for name in stack.services.keys { stack.services[name]?.networks = ["default": NetworkAttachment()] }
        #expect(!StackGraph(stack).nodes.contains { $0.kind == .network })
    }

    @Test func liveStateColoursServices() {
        let live: [String: StackGraph.Live] = [
            "web": .init(running: 1, ready: 1, hasFailures: false),
            "app": .init(running: 3, ready: 1, hasFailures: true),
            "db": .init(running: 0, ready: 0, hasFailures: true),
        ]
        let graph = StackGraph(shop, live: live)
        let health = Dictionary(uniqueKeysWithValues: graph.nodes.map { ($0.id, $0.health) })
        #expect(health["service:web"] == .good)
        #expect(health["service:app"] == .partial)
        #expect(health["service:db"] == .bad)
        #expect(health["volume:data"] == .some(nil))
        #expect(graph.nodes[1].lines.last == "1/3 ready")
        #expect(StackGraph(shop, live: [:]).nodes[1].health == .absent)
    }

    @Test func dotQuotesWhatItIsGiven() {
        let dot = StackGraph(shop).dot
        #expect(dot.hasPrefix("digraph \"shop\" {\n"))
        #expect(dot.contains(#""service:app" [label="app\napp:\"1\"\n3 replicas", shape=box];"#))
        #expect(dot.contains(#""service:web" -> "service:app" [label="healthy"];"#))
        #expect(dot.contains(#""service:db" -> "volume:data" [label="/var/lib", style=dashed, arrowhead=none];"#))
    }

    @Test func mermaidHasEntitiesForWhatMeansSomethingThere() {
        let mermaid = StackGraph(shop).mermaid
        #expect(mermaid.hasPrefix("flowchart LR\n  n0([\"8080\"])\n  n1[\"app<br/>app:#34;1#34;<br/>3 replicas\"]\n"))
        #expect(mermaid.contains("n3 -->|\"healthy\"| n1"))
    }

    @Test func edgesLeadToTheRightAndBoxesDoNotOverlap() {
        let graph = StackGraph(shop)
        let layout = Layout(graph)
        for edge in graph.edges {
            guard let from = layout.boxes[edge.from], let to = layout.boxes[edge.to] else {
                Issue.record("no box for \(edge)")
                continue
            }
            #expect(from.x + from.width < to.x)
        }
        let boxes = layout.boxes.sorted { $0.key < $1.key }.map(\.value)
        for (index, one) in boxes.enumerated() {
            #expect(one.x >= 0 && one.x + one.width <= layout.width && one.y + one.height <= layout.height)
            for other in boxes[(index + 1)...] {
                let isApart =
                    one.x + one.width <= other.x || other.x + other.width <= one.x || one.y + one.height <= other.y
                    || other.y + other.height <= one.y
                #expect(isApart)
            }
        }
    }

    @Test func circlesComeToAnEnd() {
        var stack = shop
        stack.services["db"]?.dependsOn = ["web": Dependency(condition: .started)]
        #expect(StackGraph(stack).svg.hasSuffix("</svg>\n"))
    }

    @Test func svgIsWellFormed() {
        var stack = shop
        stack.name = "a<b>&\"c\"\u{1}"
        let svg = StackGraph(stack, live: [:]).svg
        #expect(svg.contains(">a&lt;b&gt;&amp;&quot;c&quot;?</text>"))
        #expect(svg.components("<rect") == svg.components("rx=") + 1)
        #expect(!svg.contains("inf") && !svg.contains("nan"))
    }
}

extension String {
    /// How often `part` is in it.
    fileprivate func components(_ part: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: part) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
