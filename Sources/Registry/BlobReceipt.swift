import Images

/// How much of a blob has come, and its digest so far. Fed with what an earlier run left behind, it makes the transfer
/// go on from there. On one thread at a time.
public final class BlobReceipt {
    private let hasher: Hasher256?
    /// From the beginning without gaps.
    public private(set) var byteCount: Int64 = 0

    public init() { hasher = Hasher256() }

    /// For a sink that has `byteCount` bytes already and checks the digest of them all itself.
    public init(verifiedBySink byteCount: Int64) {
        hasher = nil
        self.byteCount = byteCount
    }

    public func add(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        hasher?.update(bytes)
        byteCount += Int64(bytes.count)
    }

    /// Once, at the end; nil where the sink knows.
    func finish() -> Digest? { hasher?.finish() }
}

/// `bytes FIRST-LAST/TOTAL` (RFC 9110 section 14.4).
struct ContentRange: Equatable, Sendable {
    var first: Int64
    var last: Int64
    /// nil for `*`.
    var total: Int64?

    init?(_ text: String) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].lowercased() == "bytes" else { return nil }
        let halves = parts[1].split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, let (first, last) = ContentRange.parseRange(halves[0]) else { return nil }
        self.first = first
        self.last = last
        if halves[1] == "*" { return }
        guard let total = ContentRange.number(halves[1]), last < total else { return nil }
        self.total = total
    }

    /// `FIRST-LAST`, with or without a unit before it: the form of an upload's Range.
    static func parseUpload(_ text: String) -> (first: Int64, last: Int64)? {
        let range = text.lowercased().hasPrefix("bytes=") ? text.dropFirst("bytes=".count) : text[...]
        return parseRange(range)
    }

    private static func parseRange(_ text: Substring) -> (Int64, Int64)? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = number(ends[0]), let last = number(ends[1]), first <= last else {
            return nil
        }
        return (first, last)
    }

    /// Digits only: `Int64` takes a sign, too.
    private static func number(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(text) : nil
    }
}

/// Takes the pieces of a blob in order.
public typealias BlobSink = (UnsafeRawBufferPointer) throws(RegistryError) -> Void

extension RegistryClient {
    /// Loads a blob into `sink` while its digest and size are checked; only when this returns is the content what the
    /// descriptor says. A transfer that breaks goes on where it stopped, with another mirror if there is one.
    public func fetchBlob(
        _ blob: ContentDescriptor, _ name: RepositoryName, resuming receipt: BlobReceipt = BlobReceipt(),
        into sink: BlobSink
    ) throws(RegistryError) {
        let what = "blob \(blob.digest)"
        guard receipt.byteCount <= blob.size else {
            throw .wrongSize(expected: blob.size, actual: receipt.byteCount, what: what)
        }
        if receipt.byteCount < blob.size {
            try withoutActuallyEscaping(sink) { sink throws(RegistryError) in
                let transfer = BlobTransfer(blob, name, receipt, sink)
                _ = try perform(
                    { () throws(RegistryError) in transfer.call() }, progress: { receipt.byteCount },
                    { head, bytes throws(RegistryError) in try transfer.receive(head, bytes) })
            }
        }
        if let actual = receipt.finish(), actual != blob.digest {
            throw .digestMismatch(expected: blob.digest, actual: actual, what: what)
        }
    }
}

/// The answers that together are one blob.
private final class BlobTransfer {
    private let blob: ContentDescriptor
    private let name: RepositoryName
    private let receipt: BlobReceipt
    private let sink: BlobSink
    /// Bytes at the beginning of the current answer that are here already.
    private var skipByteCount: Int64?

    init(_ blob: ContentDescriptor, _ name: RepositoryName, _ receipt: BlobReceipt, _ sink: @escaping BlobSink) {
        self.blob = blob
        self.name = name
        self.receipt = receipt
        self.sink = sink
    }

    func call() -> RegistryCall {
        skipByteCount = nil
        var call = RegistryCall(name, "blobs/\(blob.digest)", what: "blob \(blob.digest)")
        call.capability = .pull
        call.accepted = [200, 206]
        if receipt.byteCount > 0 { call.headers.set("range", "bytes=\(receipt.byteCount)-") }
        let size = blob.size
        call.check = { [receipt, name] _ throws(RegistryError) in
            guard receipt.byteCount == size else {
                throw .unreachable(
                    host: name.registry, why: "a blob ends after \(receipt.byteCount) of \(size) bytes",
                    isPermanent: false)
            }
        }
        return call
    }

    func receive(_ head: HTTPHead, _ bytes: UnsafeRawBufferPointer) throws(RegistryError) -> Bool {
        guard head.status == 200 || head.status == 206 else { return false }
        if skipByteCount == nil { skipByteCount = try begin(head) }
        let skipped = Int(min(skipByteCount ?? 0, Int64(bytes.count)))
        skipByteCount = (skipByteCount ?? 0) - Int64(skipped)
        let new = UnsafeRawBufferPointer(rebasing: bytes[skipped...])
        guard Int64(new.count) <= blob.size - receipt.byteCount else {
            throw .wrongSize(
                expected: blob.size, actual: receipt.byteCount + Int64(new.count), what: "blob \(blob.digest)")
        }
        guard !new.isEmpty else { return true }
        try sink(new)
        receipt.add(new)
        return true
    }

    /// How many bytes of an answer to leave out: none of the range that was asked for, all that is here of a whole.
    private func begin(_ head: HTTPHead) throws(RegistryError) -> Int64 {
        guard head.status == 206 else { return receipt.byteCount }
        let text = head.headers["content-range"] ?? ""
        guard let range = ContentRange(text), range.first == receipt.byteCount, range.total ?? blob.size == blob.size
        else {
            throw .invalidResponse(
                host: name.registry, why: "Content-Range \(harmless(text)) for bytes from \(receipt.byteCount) on")
        }
        return 0
    }
}
