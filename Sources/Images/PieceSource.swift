/// Pieces that somebody hands over, kept until the next; an empty one is the end.
final class PieceSource: ByteSource {
    /// The first piece is looked at for a header's worth.
    private static let byteCountMin = 512

    private let pieces: () throws(ImageError) -> [UInt8]
    private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 1)

    init(_ pieces: @escaping () throws(ImageError) -> [UInt8]) { self.pieces = pieces }

    deinit { buffer.deallocate() }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        var piece = try pieces()
        // A small one, as the rest of a reply's head, grows.
        while !piece.isEmpty, piece.count < Self.byteCountMin {
            let more = try pieces()
            if more.isEmpty { break }
            piece += more
        }
        buffer.deallocate()
        buffer = .allocate(byteCount: piece.count, alignment: 1)
        buffer.copyBytes(from: piece)
        return UnsafeRawBufferPointer(buffer)
    }
}
