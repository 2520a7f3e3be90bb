import CLinux

@testable import Netlink

/// Reads bytes, whatever they are, as every kind of message: each gives a value or a `NetlinkError`. Answers what went
/// otherwise, or was not read back as it was written.
func readEverything(_ bytes: [UInt8]) -> String? {
    // With the first length put right as well, so that changed bytes get past the first check.
    var mended = bytes
    if mended.count >= 16 {
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: mended.count)) { mended.replaceSubrange(0..<4, with: $0) }
    }
    var reader = EveryParser()
    for datagram in [bytes, mended] {
        for message in reader.attempt({ try NetlinkMessage.parse(datagram) }) ?? [] { reader.read(message) }
    }
    for offset in stride(from: 0, to: min(bytes.count, 256), by: 4) {
        _ = AttributePath(bytes[...]).name(at: offset)
        _ = AttributePath(bytes[...]).name(ofType: 1, inNestAt: offset)
    }
    return reader.strange
}

private struct EveryParser {
    var strange: String?

    mutating func read(_ message: NetlinkMessage) {
        _ = attempt { try Link(message) }
        _ = attempt { try AssignedAddress(message) }
        _ = attempt { try Route(message) }
        _ = attempt { try RoutingRule(message) }
        _ = attempt { try Neighbour(message) }
        _ = attempt { try ConnectionEvent(message) }
        _ = attempt { try SocketEntry(message, transport: 6) }
        _ = attempt { try FirewallEvent(message) }
        _ = attempt { try Acknowledgement(message).explanation(message.payload) }
        _ = attempt { try Acknowledgement(done: message) }
        if let connection = attempt({ try Connection(message) }) { rewrite(connection) }
        guard let entry = attempt({ try FirewallMessage(message) }) else { return }
        _ = attempt { try TableEntry(entry) }
        _ = attempt { try ChainEntry(entry) }
        _ = attempt { try SetEntry(entry) }
        if let rule = attempt({ try RuleEntry(entry) }) { rewrite(rule) }
        for attribute in entry.attributes {
            for item in attempt({ try attribute.nested() }) ?? [] {
                if let element = attempt({ try SetElement(item.nested()) }) { rewrite(element) }
            }
        }
    }

    // MARK: what is read, written, is read the same

    private mutating func rewrite(_ rule: RuleEntry) {
        var builder = MessageBuilder()
        builder.newRule(rule.expressions, chain: rule.chain, table: rule.place.table)
        guard let again = parsed(builder, { try RuleEntry(FirewallMessage($0)).expressions }) else { return }
        if again != rule.expressions { strange = "\(rule.expressions) became \(again)" }
    }

    private mutating func rewrite(_ element: SetElement) {
        var builder = MessageBuilder()
        builder.newElements([element], set: "s", table: "t")
        let again = parsed(builder) { message in
            let list = try FirewallMessage(message)[NFTA_SET_ELEM_LIST_ELEMENTS]?.nested() ?? []
            return try list.map { try SetElement($0.nested()) }
        }
        guard let again else { return }
        var sent = element
        sent.remainingMilliseconds = nil
        if again != [sent] { strange = "\(sent) became \(again)" }
    }

    private mutating func rewrite(_ connection: Connection) {
        // Tuples of one family and of transports that have what they name.
        let isWhole = [connection.original, connection.reply].allSatisfy {
            [4, 16].contains($0.source.count) && $0.source.count == $0.destination.count
        }
        guard isWhole else { return }
        var builder = MessageBuilder()
        builder.newConnection(connection)
        guard let again = parsed(builder, { try Connection($0) }) else { return }
        var sent = connection
        (sent.id, sent.originalCount, sent.replyCount) = (nil, nil, nil)
        if again != sent { strange = "\(sent) became \(again)" }
    }

    /// `nil` when it does not fit a message.
    private mutating func parsed<Value>(
        _ builder: MessageBuilder, _ read: (NetlinkMessage) throws -> Value
    ) -> Value? {
        guard !builder.isOversized else { return nil }
        do {
            guard let message = try NetlinkMessage.parse(builder.bytes).first else { return nil }
            return try read(message)
        } catch {
            strange = "what was written cannot be read: \(error)"
            return nil
        }
    }

    mutating func attempt<Value>(_ body: () throws -> Value) -> Value? {
        do {
            return try body()
        } catch {
            // A typed error is as good as a value.
            if !(error is NetlinkError) { strange = "untyped error: \(error)" }
            return nil
        }
    }
}
