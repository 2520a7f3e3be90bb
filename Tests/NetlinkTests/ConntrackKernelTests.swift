import CLinux
import Glibc
import Testing

@testable import Netlink

/// Tracked connections in the kernel of a network namespace, as we, /proc/net/nf_conntrack and conntrack(8) say.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct ConntrackKernelTests {
    private static func tuples(
        _ source: [UInt8], _ destination: [UInt8], _ transport: UInt8, _ ports: (UInt16, UInt16)?,
        answeredBy server: [UInt8]? = nil, at serverPort: UInt16? = nil
    ) -> (ConnectionTuple, ConnectionTuple) {
        (
            ConnectionTuple(
                source: source, destination: destination, transport: transport, sourcePort: ports?.0,
                destinationPort: ports?.1),
            ConnectionTuple(
                source: server ?? destination, destination: source, transport: transport,
                sourcePort: serverPort ?? ports?.1, destinationPort: ports?.0)
        )
    }

    private static func fd(_ last: UInt8) -> [UInt8] { [0xfd] + [UInt8](repeating: 0, count: 14) + [last] }

    /// TCP, UDP, ICMP; both families; translated and not; marks, zones, states.
    private static let connections: [Connection] = {
        var list: [Connection] = []
        for index in 1...3 as ClosedRange<UInt8> {
            let (original, reply) = tuples(
                [10, 0, 0, index], [10, 9, 0, 1], 6, (40_000 + UInt16(index), 8080), answeredBy: [10, 1, 0, index],
                at: 80)
            var tcp = Connection(original: original, reply: reply, timeoutSeconds: 600)
            tcp.mark = UInt32(index) | 0x100
            tcp.status = UInt32(IPS_SEEN_REPLY.rawValue | IPS_ASSURED.rawValue | IPS_CONFIRMED.rawValue)
            tcp.tcpState = .established
            list.append(tcp)
            let (original6, reply6) = tuples(
                fd(index), fd(99), 17, (50_000, 53), answeredBy: fd(100 + index), at: 5353)
            var udp = Connection(original: original6, reply: reply6, timeoutSeconds: 500)
            udp.zone = index == 1 ? 0 : 7
            list.append(udp)
        }
        let (original, reply) = tuples([10, 0, 0, 1], [10, 9, 0, 1], 17, (50_000, 53))
        list.append(Connection(original: original, reply: reply, timeoutSeconds: 400))
        let (original6, reply6) = tuples(fd(1), fd(99), 6, (40_001, 8080))
        var closing = Connection(original: original6, reply: reply6, timeoutSeconds: 300)
        closing.tcpState = .timeWait
        list.append(closing)
        for isV6 in [false, true] {
            let (client, server) = isV6 ? (fd(1), fd(2)) : ([10, 0, 0, 1], [10, 0, 0, 2])
            var (original, reply) = tuples(client, server, isV6 ? 58 : 1, nil)
            original.icmp = .init(type: isV6 ? 128 : 8, code: 0, id: 77)
            reply.icmp = .init(type: isV6 ? 129 : 0, code: 0, id: 77)
            list.append(Connection(original: original, reply: reply, timeoutSeconds: 200))
        }
        return list
    }()

    private static func make(_ socket: NetlinkSocket) throws {
        var request = MessageBuilder()
        for connection in connections { request.newConnection(connection) }
        try socket.transact(request, operation: "make connections")
    }

    @Test func connectionsAreMadeAndReadAsTheKernelListsThem() throws {
        let (ours, listed, again) = try inPrivateNetwork {
            let socket = try NetlinkSocket(.netfilter)
            try Self.make(socket)
            var twice = MessageBuilder()
            for connection in Self.connections.prefix(2) { twice.newConnection(connection) }
            let again = try socket.transactEach(twice, operation: "make connections again")
            return (try socket.connections(), try shell("cat /proc/net/nf_conntrack"), again)
        }
        #expect(again.map { $0?.code } == [EEXIST, EEXIST])
        let lines = listed.split(separator: "\n").map { ProcConnection(String($0)) }
        #expect(lines.count == Self.connections.count)
        #expect(Set(ours.map { ProcConnection($0) }) == Set(lines))
        for connection in ours { #expect(connection.id != nil) }
        for wanted in Self.connections {
            let made = try #require(ours.first { $0.original == wanted.original && $0.zone == wanted.zone })
            #expect(made.reply == wanted.reply && made.mark == wanted.mark && made.tcpState == wanted.tcpState)
            #expect(made.isReplied == wanted.isReplied && made.isAssured == wanted.isAssured)
            let seconds = Int(made.timeoutSeconds ?? 0)
            #expect((Int(wanted.timeoutSeconds ?? 0) - 30...Int(wanted.timeoutSeconds ?? 0)).contains(seconds))
        }
    }

    private static let hasConntrack = makesOptional("command -v conntrack", "conntrack(8)")

    @Test(.enabled(if: hasConntrack, "conntrack(8) is not installed")) func idsAreThoseOfConntrack() throws {
        let (ours, theirs) = try inPrivateNetwork {
            let socket = try NetlinkSocket(.netfilter)
            try Self.make(socket)
            return (try socket.connections(), try shell("conntrack -L -o xml,id 2> /dev/null"))
        }
        let flows = theirs.split(separator: "\n").filter { $0.hasPrefix("<flow>") }
        #expect(!ours.isEmpty && flows.count == ours.count)
        for connection in ours {
            let id = try #require(connection.id)
            let flow = try #require(flows.first { $0.contains("<id>\(id)</id>") })
            let source = try #require(text(connection.original.source))
            let server = try #require(text(connection.reply.source))
            #expect(flow.contains("<src>\(source)</src>") && flow.contains("<src>\(server)</src>"))
            #expect(flow.contains("<mark>\(connection.mark)</mark>"))
            #expect(flow.contains("<zone>\(connection.zone)</zone>") == (connection.zone != 0))
            #expect(flow.contains("<assured/>") == connection.isAssured)
            #expect(flow.contains("<unreplied/>") == !connection.isReplied)
        }
    }

    /// A filter and what it means.
    private struct Case: Sendable {
        var filter: ConntrackFilter
        var fits: @Sendable (Connection) -> Bool
        var count: Int

        init(_ count: Int, _ set: (inout ConntrackFilter) -> Void, _ fits: @escaping @Sendable (Connection) -> Bool) {
            filter = ConntrackFilter()
            set(&filter)
            self.fits = fits
            self.count = count
        }
    }

    private static let cases = [
        Case(3, { ($0.transport, $0.originalDestinationPort) = (6, 8080) }) {
            $0.original.transport == 6 && $0.original.destinationPort == 8080 && $0.original.source.count == 4
        },
        Case(3, { ($0.transport, $0.originalDestinationPort, $0.family) = (17, 53, UInt8(AF_INET6)) }) {
            $0.original.transport == 17 && $0.original.source.count == 16
        },
        Case(1, { $0.replySource = [10, 1, 0, 2] }) { $0.reply.source == [10, 1, 0, 2] },
        Case(1, { $0.replySource = fd(102) }) { $0.reply.source == fd(102) },
        Case(1, { ($0.transport, $0.replySource, $0.replySourcePort) = (6, [10, 1, 0, 3], 80) }) {
            $0.reply.source == [10, 1, 0, 3]
        },
        Case(3, { $0.originalSource = [10, 0, 0, 1] }) { $0.original.source == [10, 0, 0, 1] },
        Case(1, { ($0.originalSource, $0.transport, $0.originalSourcePort) = (fd(1), 6, 40_001) }) {
            $0.original.source == fd(1) && $0.original.transport == 6
        },
        Case(4, { $0.originalDestination = [10, 9, 0, 1] }) { $0.original.destination == [10, 9, 0, 1] },
        Case(1, { ($0.replyDestination, $0.transport) = ([10, 0, 0, 2], 6) }) {
            $0.reply.destination == [10, 0, 0, 2]
        },
        Case(2, { $0.mark = .init(1, mask: 1) }) { $0.mark & 1 == 1 },
        Case(3, { $0.mark = .init(0x100, mask: 0xff00) }) { $0.mark & 0xff00 == 0x100 },
        Case(1, { $0.mark = .init(0x102) }) { $0.mark == 0x102 },
        Case(
            3,
            {
                let bit = UInt32(IPS_ASSURED.rawValue)
                $0.status = .init(bit, mask: bit)
            }
        ) { $0.isAssured },
        Case(2, { ($0.zone, $0.family) = (7, UInt8(AF_INET6)) }) { $0.zone == 7 },
        Case(1, { ($0.zone, $0.transport, $0.originalDestinationPort, $0.family) = (0, 17, 53, UInt8(AF_INET6)) }) {
            $0.zone == 0 && $0.original.transport == 17 && $0.original.source.count == 16
        },
        Case(0, { $0.originalSource = [10, 77, 0, 1] }) { _ in false },
    ]

    @Test func filtersFitWhatTheySay() throws {
        let outcomes = try inPrivateNetwork {
            let socket = try NetlinkSocket(.netfilter)
            return try Self.cases.map { item in
                try Self.make(socket)
                let all = try socket.connections()
                let found = try socket.connections(item.filter)
                try socket.forgetConnections(item.filter, operation: "forget some")
                let left = try socket.connections()
                for family in [AF_INET, AF_INET6] {
                    var rest = ConntrackFilter()
                    rest.family = UInt8(family)
                    try socket.forgetConnections(rest, operation: "forget the rest")
                }
                return (all, found, left, try socket.connections().count)
            }
        }
        for (item, (all, found, left, rest)) in zip(Self.cases, outcomes) {
            let ids = { (list: [Connection]) in Set(list.map(\.id)) }
            let fitting = all.filter(item.fits)
            #expect(all.count == Self.connections.count && fitting.count == item.count, "\(item.filter)")
            #expect(ids(found) == ids(fitting), "\(item.filter)")
            #expect(ids(left) == ids(all).subtracting(ids(fitting)), "\(item.filter)")
            #expect(rest == 0)
        }
    }
}

/// What /proc/net/nf_conntrack says of a connection, but for the time it has left.
private struct ProcConnection: Hashable {
    private var words: [String]

    /// `ipv4 2 tcp 6 99 ESTABLISHED src=… dst=… sport=… dport=… src=… … [ASSURED] mark=0 zone=0 use=2`
    init(_ line: String) {
        let parts = line.split(separator: " ").map(String.init)
        let transport = parts.dropFirst(3).first ?? ""
        let state = parts.dropFirst(5).first { !$0.contains("=") && !$0.hasPrefix("[") }
        let details = parts.filter { ($0.contains("=") || $0.hasPrefix("[")) && !$0.hasPrefix("use=") }
        let place = details.firstIndex { $0.hasPrefix("mark=") } ?? details.endIndex
        let marks = details.filter { $0.hasPrefix("[") }.sorted()
        let fields = details[..<place].filter { !$0.hasPrefix("[") } + details[place...].filter { !$0.hasPrefix("[") }
        words = [transport, state ?? ""] + fields + marks
    }

    init(_ connection: Connection) {
        let states: [Connection.TCPState: String] = [.established: "ESTABLISHED", .timeWait: "TIME_WAIT"]
        var marks: [String] = []
        if connection.isAssured { marks.append("[ASSURED]") }
        if !connection.isReplied { marks.append("[UNREPLIED]") }
        words =
            ["\(connection.original.transport)", connection.tcpState.flatMap { states[$0] } ?? ""]
            + Self.words(connection.original) + Self.words(connection.reply)
            + ["mark=\(connection.mark)", "zone=\(connection.zone)"] + marks
    }

    private static func words(_ tuple: ConnectionTuple) -> [String] {
        var words = ["src=\(address(tuple.source))", "dst=\(address(tuple.destination))"]
        if let port = tuple.sourcePort { words.append("sport=\(port)") }
        if let port = tuple.destinationPort { words.append("dport=\(port)") }
        if let icmp = tuple.icmp { words += ["type=\(icmp.type)", "code=\(icmp.code)", "id=\(icmp.id)"] }
        return words
    }

    /// All digits of IPv6 addresses.
    private static func address(_ bytes: [UInt8]) -> String {
        guard bytes.count == 16 else { return text(bytes) ?? "" }
        let digits = Array(Bytes.hexadecimal(bytes))
        return stride(from: 0, to: 32, by: 4).map { String(digits[$0..<$0 + 4]) }.joined(separator: ":")
    }
}
