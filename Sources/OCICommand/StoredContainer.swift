import ContainerRuntime
import Glibc
import LinuxSystem

/// What is kept of a container between two commands, beside the runtime's own `state`.
struct ContainerFacts: Codable, Equatable {
    var id: String
    var ociVersion: String
    var bundle: String
    var rootfs: String
    /// RFC 3339.
    var created: String
    /// Name of the user that created it.
    var owner: String
    var annotations: [String: String]?
    /// `config.json` says what to run; without that a container can be created, not started.
    var hasProcess: Bool
    /// Its processes keep the caller's session keyring.
    var sharesKeyring: Bool?
    /// Without hooks the specification need not be read again.
    var hasHooks: Bool?
}

/// A container's folder. It is locked while the container is being created; the kernel lets the lock go with the
/// process, whatever ends it.
struct StoredContainer {
    private static let factsName = "container.json"
    private static let configName = "config.json"

    let directory: String
    let facts: ContainerFacts
    private let lock: SharedDescriptor?

    /// Takes the id: of two that try, one gets it.
    static func create(root: String, _ facts: ContainerFacts, config: [UInt8]) throws -> StoredContainer {
        let directory = "\(root)/\(facts.id)"
        guard mkdir(directory, 0o700) == 0 else {
            if errno == EEXIST { throw OCIError("container '\(facts.id)' exists already") }
            throw SystemError("mkdir", path: directory, code: errno)
        }
        do {
            let folder = SharedDescriptor(try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY))
            let raw = folder.raw
            try check("flock", path: directory) { flock(raw, LOCK_EX) }
            try FileSystem.replaceFile("\(directory)/\(configName)", with: config)
            try FileSystem.replaceFile("\(directory)/\(factsName)", with: Array(try JSON.encode(facts).utf8))
            return StoredContainer(directory: directory, facts: facts, lock: folder)
        } catch {
            try FileSystem.removeTree(directory)
            throw error
        }
    }

    static func open(root: String, id: String) throws -> StoredContainer {
        // Ids are checked at `create`; here, nothing that leads elsewhere.
        guard !id.isEmpty, !id.contains("/"), !id.hasPrefix(".") else {
            throw OCIError("container '\(id)' does not exist")
        }
        let directory = "\(root)/\(id)"
        let bytes: [UInt8]
        do {
            bytes = try FileSystem.readFile("\(directory)/\(factsName)")
        } catch {
            guard error.code == ENOENT else { throw error }
            throw OCIError("container '\(id)' does not exist")
        }
        return StoredContainer(
            directory: directory, facts: try JSON.decode(ContainerFacts.self, bytes, of: "\(directory)/\(factsName)"),
            lock: nil)
    }

    /// The specification as it was when the container was created.
    func spec() throws -> RuntimeSpec {
        let path = "\(directory)/\(Self.configName)"
        return try JSON.decode(RuntimeSpec.self, try FileSystem.readFile(path), of: path)
    }

    func remove() throws { try FileSystem.removeTree(directory) }

    func status(_ runtime: Runtime) throws -> (status: String, pid: Int32) {
        let creating = try isBeingCreated()
        let now = try runtime.status(directory: directory)
        // Its process may be there already: hooks ask for it.
        if creating { return ("creating", now.pid) }
        return (now.status.rawValue, now.pid)
    }

    private func isBeingCreated() throws -> Bool {
        guard lock == nil else { return false }
        let folder = SharedDescriptor(try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY))
        if flock(folder.raw, LOCK_SH | LOCK_NB) == 0 { return false }
        guard errno == EWOULDBLOCK else { throw SystemError("flock", path: directory, code: errno) }
        return true
    }

    /// Names of all containers under `root`.
    static func ids(root: String) throws -> [String] {
        do {
            return try FileSystem.list(root).filter {
                !$0.hasPrefix(".") && FileSystem.exists("\(root)/\($0)/\(factsName)")
            }
        } catch {
            if error.code == ENOENT { return [] }
            throw error
        }
    }
}

/// <https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#state>, and what runc adds to it.
struct StateReport: Codable, Equatable {
    var ociVersion: String
    var id: String
    var pid: Int32
    var status: String
    var bundle: String
    var rootfs: String
    var created: String
    var annotations: [String: String]?
    var owner: String

    init(_ facts: ContainerFacts, status: String, pid: Int32) {
        ociVersion = facts.ociVersion
        id = facts.id
        self.pid = pid
        self.status = status
        bundle = facts.bundle
        rootfs = facts.rootfs
        created = facts.created
        annotations = facts.annotations
        owner = facts.owner
    }
}
