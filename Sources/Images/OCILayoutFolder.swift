import CLibArchive
import CLinux
import Glibc
import LinuxSystem

/// An OCI image layout as a folder (image-spec `image-layout.md`): the same files as in an OCI archive.
public enum OCILayoutFolder {
    /// Unpacks an OCI archive into `folder`, which is made, or must be empty. Only a layout's own files are taken, each
    /// below `folder`.
    ///
    /// - Parameter next: the archive in pieces; nil is its end.
    public static func unpack(into folder: String, _ next: @escaping () throws -> [UInt8]?) throws(ImageError) {
        try prepare(folder)
        let source = PieceSource { () throws(ImageError) in
            do {
                while let piece = try next() {
                    if !piece.isEmpty { return piece }
                }
                return []
            } catch {
                throw .archive(why: "it broke off: \(error)")
            }
        }
        let reader = try TarReader(source)
        while let entry = try reader.next() {
            let name = String(decoding: entryBytes(archive_entry_pathname(entry)), as: UTF8.self)
            guard archive_entry_filetype(entry) == S_IFREG else { continue }
            guard isOwn(name) else {
                throw .archive(why: "\(quoted(Array(name.utf8))) does not belong to an OCI layout")
            }
            try write(reader, to: "\(folder)/\(name)")
        }
    }

    /// Writes the layout in `folder` as an OCI archive.
    public static func archive(_ folder: String, to descriptor: Int32) throws(ImageError) {
        let writer = TarWriter(descriptor: descriptor)
        var names = ["oci-layout", "index.json"]
        guard FileSystem.exists("\(folder)/oci-layout"), FileSystem.exists("\(folder)/index.json") else {
            throw .archive(why: "\(folder) is no OCI layout: it has no oci-layout or no index.json")
        }
        if FileSystem.exists("\(folder)/blobs/sha256") {
            let blobs = try converting { () throws(SystemError) in try FileSystem.list("\(folder)/blobs/sha256") }
            names += blobs.sorted().map { "blobs/sha256/\($0)" }.filter(isOwn)
        }
        for name in names {
            let path = "\(folder)/\(name)"
            let file = try converting { () throws(SystemError) in
                SharedDescriptor(try FileDescriptor.open(path, O_RDONLY))
            }
            var status = stat()
            guard fstat(file.raw, &status) == 0 else { throw .system(SystemError("fstat", path: path, code: errno)) }
            try writer.file(name, byteCount: Int64(status.st_size), DescriptorSource(descriptor: file.raw))
        }
        try writer.finish()
    }

    private static func prepare(_ folder: String) throws(ImageError) {
        if FileSystem.exists(folder) {
            let names = try converting { () throws(SystemError) in try FileSystem.list(folder) }
            guard names.isEmpty else { throw .archive(why: "\(folder) is not empty; name a new folder") }
        }
        try converting { () throws(SystemError) in
            try FileSystem.makeDirectories("\(folder)/blobs/sha256", mode: 0o755)
        }
    }

    private static func isOwn(_ name: String) -> Bool {
        let prefix = "blobs/sha256/"
        if name == "oci-layout" || name == "index.json" { return true }
        return name.hasPrefix(prefix) && Digest(hex: String(name.dropFirst(prefix.count))) != nil
    }

    private static func write(_ reader: TarReader, to path: String) throws(ImageError) {
        let file = try converting { () throws(SystemError) in
            SharedDescriptor(try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644))
        }
        while let block = try reader.block() {
            var offset = 0
            while offset < block.bytes.count {
                let raw = file.raw
                offset += try converting { () throws(SystemError) in
                    try check("write", path: path) {
                        Glibc.write(raw, block.bytes.baseAddress.map { $0 + offset }, block.bytes.count - offset)
                    }
                }
            }
        }
    }
}
