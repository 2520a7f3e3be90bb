import CLinux
import Glibc
import LinuxSystem

/// Events of other network namespaces: of all that have a number in the socket's own, as those at the other ends of
/// its veth pairs have.
extension NetlinkSocket {
    private static let controlByteCount = 256

    /// From now on events of these namespaces come, too: `receiveNamespacedEvents`. The kernel sends those whose user
    /// namespace the opener has CAP_NET_BROADCAST in.
    public func listenToAllNamespaces() throws(NetlinkError) {
        do throws(SystemError) {
            var value: Int32 = 1
            let raw = rawDescriptor
            try check("setsockopt") {
                setsockopt(
                    raw, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &value, socklen_t(MemoryLayout<Int32>.size))
            }
        } catch {
            throw .system(error)
        }
    }

    /// The next datagram of events, with the number of the namespace that it comes from; `nil` for the socket's own.
    /// Blocks; `.overrun` means that events were lost.
    public func receiveNamespacedEvents() throws(NetlinkError) -> (namespaceID: Int32?, messages: [NetlinkMessage]) {
        while true {
            var sender = sockaddr_nl()
            var control = [UInt8](repeating: 0, count: Self.controlByteCount)
            var controlByteCount = 0
            var received = -1
            var failure: Int32 = 0
            let raw = rawDescriptor
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.receiveByteCountMax) { buffer, count in
                (received, controlByteCount) = Self.receive(raw, into: buffer, &control, &sender)
                failure = received < 0 ? errno : 0
                count = max(0, min(received, buffer.count))
            }
            if failure == ENOBUFS { throw .overrun }
            if failure != 0 { throw .system(SystemError("recvmsg", path: nil, code: failure)) }
            guard received <= bytes.count else { throw .malformed("datagram of \(received) bytes is too long") }
            // Only the kernel's: another process may send to this port id too.
            guard sender.nl_pid == 0 else { continue }
            return (Self.namespaceID(control.prefix(controlByteCount)), try NetlinkMessage.parse(bytes))
        }
    }

    private static func receive(
        _ raw: Int32, into buffer: UnsafeMutableBufferPointer<UInt8>, _ control: inout [UInt8],
        _ sender: inout sockaddr_nl
    ) -> (Int, Int) {
        var part = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        return withUnsafeMutablePointer(to: &part) { parts in
            withUnsafeMutablePointer(to: &sender) { sender in
                control.withUnsafeMutableBytes { control in
                    var header = msghdr()
                    header.msg_name = UnsafeMutableRawPointer(sender)
                    header.msg_namelen = socklen_t(MemoryLayout<sockaddr_nl>.size)
                    (header.msg_iov, header.msg_iovlen) = (parts, 1)
                    (header.msg_control, header.msg_controllen) = (control.baseAddress, control.count)
                    var received: Int
                    repeat {
                        received = recvmsg(raw, &header, Int32(truncatingIfNeeded: MSG_TRUNC))
                    } while received < 0 && errno == EINTR
                    return (received, received < 0 ? 0 : Int(header.msg_controllen))
                }
            }
        }
    }

    /// `struct cmsghdr` is a length of eight bytes, level and type of four, then the data; each is padded to eight.
    static func namespaceID(_ control: ArraySlice<UInt8>) -> Int32? {
        let headerByteCount = 16
        var rest = control
        while rest.count >= headerByteCount {
            let (length, level, type, value) = rest.withUnsafeBytes { bytes in
                (
                    bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: Int32.self),
                    bytes.loadUnaligned(fromByteOffset: 12, as: Int32.self),
                    bytes.count >= 20 ? bytes.loadUnaligned(fromByteOffset: 16, as: Int32.self) : nil
                )
            }
            guard length >= UInt64(headerByteCount), length <= UInt64(rest.count) else { return nil }
            if level == SOL_NETLINK, type == NETLINK_LISTEN_ALL_NSID, length >= UInt64(headerByteCount + 4) {
                return value
            }
            rest = rest.dropFirst((Int(length) + 7) & ~7)
        }
        return nil
    }
}
