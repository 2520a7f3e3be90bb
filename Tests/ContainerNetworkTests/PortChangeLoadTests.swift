import ContainerNetwork
import InternetAddress
import Testing

@Suite struct PortChangeLoadTests {
    /// Connects as fast as it goes, says how often it was refused. Also the server, in the container's namespace, whose
    /// ports all answer.
    private static let program = """
        import socket, sys, threading, time
        def serve(port):
            server = socket.create_server(("", port), backlog=4096)
            while True: server.accept()[0].close()
        if sys.argv[1] == "serve":
            threads = [threading.Thread(target=serve, args=(80 + number,), daemon=True) for number in range(3)]
            for thread in threads: thread.start()
            time.sleep(60)
        connections = refusals = 0
        end = time.monotonic() + 3
        while time.monotonic() < end:
            with socket.socket() as client:
                # Reset when closed: no port stays in TIME_WAIT.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1] + 7 * [0]))
                client.settimeout(5)
                try: client.connect(("192.0.2.1", 8080))
                except ConnectionRefusedError: refusals += 1
                except OSError: pass
            connections += 1
        print(connections, refusals)
        """

    /// A packet that began its way through the rules before a change goes on with the rules of before and the elements
    /// of after: it comes to a new chain that has no rules for it yet. It must not fall through to the host.
    @Test func noConnectionIsRefusedWhileTheNumberOfBackendsChanges() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let network = NetworkFixture.bridge("a")
        _ = try fixture.container("c0", on: network, host: 2)
        let all = (80...82).map { backend("10.89.1.2", $0) }
        try fixture.apply([network], [PublishedPort(port: 8080, backends: all)])
        let folder = HostLab.directory
        try fixture.lab.shell(
            """
            cat >\(folder)/load.py <<'end'
            \(Self.program)
            end
            # The system's own: a wrapper in its place may wait for a lock, or say something.
            python=$(PATH=/usr/bin:$PATH command -v python3)
            nsenter --net=\(folder)/netns/c0 $python \(folder)/load.py serve >/dev/null 2>&1 & echo $! >\(folder)/server
            for i in $(seq 200); do nsenter --net=\(folder)/netns/c0 ss -Htln | grep -q :82 && break; sleep 0.05; done
            for i in 1 2; do $python \(folder)/load.py connect >\(folder)/client$i 2>/dev/null & done
            """)
        defer { _ = try? fixture.lab.shell("kill $(cat \(folder)/server)") }  // It ends by itself after a minute.
        var isRunning = true
        while isRunning {
            for count in [2, 3] {
                try fixture.apply([network], [PublishedPort(port: 8080, backends: Array(all.prefix(count)))])
                // The chains of before are taken away, so that each change makes one.
                try fixture.onHost { try $0.dropUnusedChains() }
            }
            isRunning = try fixture.lab.shell("cat \(folder)/client?").split(separator: "\n").count < 2
        }
        for line in try fixture.lab.shell("cat \(folder)/client?").split(separator: "\n") {
            let words = try line.split(separator: " ").map { try #require(Int($0), "\(line)") }
            #expect(words[0] > 100)
            #expect(words[1] == 0, "refused of \(words[0])")
        }
    }
}
