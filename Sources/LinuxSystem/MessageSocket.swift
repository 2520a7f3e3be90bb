import CLinux
import Glibc

/// Short texts over a Unix socket that keeps message boundaries (`SOCK_SEQPACKET`, unix(7)).
public enum MessageSocket {
    private static let byteCountMax = 4096

    /// Connects to `path`; the socket is close-on-exec.
    public static func connect(to path: String) throws(SystemError) -> FileDescriptor {
        let connection = FileDescriptor(owning: try check("socket") { gantry_message_socket() })
        let raw = connection.raw
        try check("connect", path: path) { gantry_unix_connect(raw, path) }
        return connection
    }

    /// Sends one message; a peer that is gone is EPIPE, never a signal.
    public static func send(_ text: String, to raw: Int32) throws(SystemError) {
        let bytes = Array(text.utf8.prefix(byteCountMax))
        try check("send") { Glibc.send(raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
    }

    /// The next message; `nil` when the peer has closed.
    public static func receive(from raw: Int32) throws(SystemError) -> String? {
        var buffer = [UInt8](repeating: 0, count: byteCountMax)
        let count = try check("recv") { recv(raw, &buffer, buffer.count, 0) }
        return count == 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}
