/// `[user@]host[:port][/path]`: a machine with an engine, and that engine's socket there if it is not the user's own.
public struct SSHDestination: Equatable, Sendable, CustomStringConvertible {
    public let user: String?
    /// A name, an address, or a `Host` of ssh_config(5).
    public let host: String
    public let port: UInt16?
    /// Absolute path.
    public let socketPath: String?

    /// `nil` for what is none. Nothing in it may be taken for an option or for words of a shell.
    public init?(parsing text: String) {
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        let path = String(text[slash...])
        var authority = text[..<slash]
        if let at = authority.lastIndex(of: "@") {
            user = String(authority[..<at])
            authority = authority[authority.index(after: at)...]
        } else {
            user = nil
        }
        let portText: Substring?
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            let rest = authority[authority.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            portText = rest.isEmpty ? nil : rest.dropFirst()
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = parts.first.map(String.init) ?? ""
            portText = parts.count > 1 ? parts[1] : nil
        }
        port = portText.flatMap { UInt16($0) }
        socketPath = path.isEmpty || path == "/" ? nil : path
        guard portText == nil || (port ?? 0) > 0, Self.isPlain(host, ".-_:%"),
            user.map({ Self.isPlain($0, ".-_+\\@") }) ?? true,
            socketPath.map({ Self.isPlain($0, ".-_/+") && $0.utf8.count <= EngineHost.pathByteCountMax }) ?? true
        else { return nil }
    }

    private static func isPlain(_ text: String, _ marks: String) -> Bool {
        !text.isEmpty && !text.hasPrefix("-")
            && text.unicodeScalars.allSatisfy { scalar in
                scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                    || marks.unicodeScalars.contains(scalar)
            }
    }

    public var description: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return (user.map { "\($0)@" } ?? "") + name + (port.map { ":\($0)" } ?? "") + (socketPath ?? "")
    }

    /// The arguments of ssh(1): the engine's socket there on its standard input and output. All of one user's requests
    /// to one machine share a connection, which stays open for a minute.
    ///
    /// - Parameter controlFolder: of the user alone; `nil`: a connection for each request.
    func arguments(controlFolder: String?) -> [String] {
        var result = ["ssh", "-T", "-o", "ConnectTimeout=30"]
        if let controlFolder {
            result += [
                "-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", "ControlPath=\(controlFolder)/ssh-%C",
            ]
        }
        if let user { result += ["-l", user] }
        if let port { result += ["-p", "\(port)"] }
        result += ["--", host, "gantry", "dial-stdio"]
        if let socketPath { result += ["--host", "unix://\(socketPath)"] }
        return result
    }
}
