/// What a file's first bytes say of it.
public enum ArchiveMark {
    /// Bytes to look at.
    public static let byteCount = 512

    /// tar(5)'s mark, or that of a compression that one is packed with.
    public static func isArchive(_ head: [UInt8]) -> Bool {
        let marks: [[UInt8]] = [
            [0x1F, 0x8B], [0x42, 0x5A, 0x68], [0xFD, 0x37, 0x7A, 0x58, 0x5A], [0x28, 0xB5, 0x2F, 0xFD],
        ]
        if marks.contains(where: { head.starts(with: $0) }) { return true }
        let offset = 257
        return head.count >= offset + 5 && head[offset..<(offset + 5)].elementsEqual("ustar".utf8)
    }
}
