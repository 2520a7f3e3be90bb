import StackModel
import Testing

@testable import StackFile

struct PortSyntaxTests {
    @Test(arguments: [
        ("80", [Port(target: 80)]),
        ("8080:80", [Port(target: 80, published: 8080)]),
        ("127.0.0.1:8080:80/udp", [Port(target: 80, published: 8080, hostIP: "127.0.0.1", transport: .udp)]),
        ("127.0.0.1::80", [Port(target: 80, hostIP: "127.0.0.1")]),
        ("[::1]:8080:80", [Port(target: 80, published: 8080, hostIP: "::1")]),
        ("::1:8080:80", [Port(target: 80, published: 8080, hostIP: "::1")]),
        ("5000/SCTP", [Port(target: 5000, transport: .sctp)]),
        ("9090-9091:80-81", [Port(target: 80, published: 9090), Port(target: 81, published: 9091)]),
        ("3000-3002", [Port(target: 3000), Port(target: 3001), Port(target: 3002)]),
    ])
    func shortForm(text: String, ports: [Port]) throws {
        #expect(try loadService("ports: [\"\(text)\"]").ports == ports)
    }

    @Test func numbersAndLongForm() throws {
        let service = try loadService(
            """
            ports:
              - 443
              - {target: 80, published: "8080", host_ip: 127.0.0.1, protocol: udp, mode: host, name: x}
              - {target: "${T}", published: "${P-}"}
            """, environment: ["T": "81"])
        var named = Port(target: 80, published: 8080, hostIP: "127.0.0.1", transport: .udp)
        (named.name, named.mode) = ("x", .host)
        #expect(service.ports == [Port(target: 443), named, Port(target: 81)])
    }

    @Test(arguments: [
        "80/xyz", "99999:80", "0", "80:0", "1-3:1-2", "a:80", "300.1.1.1:80:80", "[::1:80:80", "[::1]80", "80:", "-80",
        "9-8", "1:2:3:4:5", "+80",
    ])
    func invalid(text: String) {
        let errors = serviceErrors("ports:\n  - \"\(text)\"")
        #expect(errors.map(\.code) == ["stack.value"])
        #expect(errors.first?.source == SourceMark(file: "compose.yaml", line: 5, column: 9))
    }

    @Test func aRangeForOnePortIsKeptToChooseFrom() throws {
        let loaded = try MemoryProject("services: {web: {image: a, ports: [\"8000-8010:80\"]}}").load()
        var port = Port(target: 80, published: 8000)
        port.publishedLast = 8010
        #expect(loaded.stack.services["web"]?.ports == [port])
        #expect(loaded.warnings.isEmpty)
    }

    @Test func theSameEntryTwiceIsOne() throws {
        #expect(try loadService("ports: [\"80:80\", \"80:80/tcp\", \"81:80\"]").ports.map(\.published) == [80, 81])
    }

    @Test func publishedTwice() {
        let project = MemoryProject(
            """
            services:
              a: {image: x, ports: ["8080:80"]}
              b:
                image: x
                ports:
                  - "8080:80/udp"
                  - 127.0.0.1:8080:80
                  - 8080:81
            """)
        #expect(project.places() == ["stack.conflict compose.yaml:8:9"])
        #expect(project.errors().first?.message == "host port 0.0.0.0:8080/tcp is published by service 'a' already")
    }
}
