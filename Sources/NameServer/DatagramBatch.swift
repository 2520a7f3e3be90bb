import CLinux
import Glibc

/// Questions of one socket, received together, and their answers, sent together: recvmmsg(2), sendmmsg(2).
final class DatagramBatch {
    private static let countMax = DNSLimits.datagramsPerTurnCountMax
    private static let slotByteCount = DNSLimits.questionByteCountMax

    private var bytes = [UInt8](repeating: 0, count: countMax * slotByteCount)
    private var lengths = [UInt32](repeating: 0, count: countMax)
    private var senders = [sockaddr_in](repeating: sockaddr_in(), count: countMax)

    /// How many came; an error is one of an earlier answer (ICMP), reported once, or says that there are none.
    func receive(_ raw: Int32) -> Int {
        let count = gantry_receive_datagrams(
            raw, &bytes, Self.slotByteCount, Int32(Self.countMax), &lengths, &senders)
        return Int(max(count, 0))
    }

    /// A datagram that is longer than a question may be is cut off, and refused for its form.
    func packet(_ index: Int) -> [UInt8] {
        let start = index * Self.slotByteCount
        let packet = Array(bytes[start..<start + min(Int(lengths[index]), Self.slotByteCount)])
        lengths[index] = 0
        return packet
    }

    func sender(_ index: Int) -> sockaddr_in { senders[index] }

    /// An answer in place of the question.
    func setReply(_ reply: [UInt8], _ index: Int) {
        guard reply.count <= Self.slotByteCount else { return }
        let start = index * Self.slotByteCount
        bytes.replaceSubrange(start..<start + reply.count, with: reply)
        lengths[index] = UInt32(reply.count)
    }

    /// Sends the answers among the first `count`. One that the kernel does not take is lost, as UDP may: the client
    /// asks again.
    func send(_ raw: Int32, _ count: Int) {
        _ = gantry_send_datagrams(raw, &bytes, Self.slotByteCount, Int32(count), &lengths, &senders)
    }
}
