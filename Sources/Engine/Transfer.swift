import StackModel
import Synchronization

/// One line of the answer to `POST /images/create` and `POST /images/{name}/push` (Docker's JSONMessage).
public struct TransferMessage: Encodable, Equatable, Sendable {
    /// Without members where a layer has none, or none any more: clients expect the object nevertheless.
    public struct Progress: Encodable, Equatable, Sendable {
        public var current: Int64?
        public var total: Int64?
    }
    /// What a push has made.
    public struct Pushed: Encodable, Equatable, Sendable {
        public var Tag: String
        public var Digest: String
        public var Size: Int
    }
    public struct Detail: Encodable, Equatable, Sendable {
        public var message: String
    }
    public var status: String?
    public var id: String?
    public var progressDetail: Progress?
    public var error: String?
    public var errorDetail: Detail?
    public var aux: Pushed?
    /// HTTP status of the failure; not part of the line.
    public var failureStatus: Int?

    enum CodingKeys: CodingKey { case status, id, progressDetail, error, errorDetail, aux }

    public init(_ status: String, id: String? = nil, progress: Progress? = nil) {
        self.status = status
        self.id = id
        progressDetail = progress
        if progress == nil, id != nil, !status.hasPrefix("Pulling from") { progressDetail = Progress() }
    }

    init(pushed: Pushed) {
        progressDetail = Progress()
        aux = pushed
    }

    init(failure: EngineError) {
        let text = failure.diagnostics.map(\.message).joined(separator: "; ")
        error = text
        errorDetail = Detail(message: text)
        failureStatus = failure.status
    }
}

/// An image on its way in or out. Ends when its messages do; ending the messages early cancels it.
public struct ImageTransfer: Sendable {
    public let messages: AsyncStream<TransferMessage>
}

typealias TransferSink = @Sendable (TransferMessage) -> Void

/// Tells the bytes of one blob, not more often than eyes can follow.
final class TransferMeter: Sendable {
    private static let intervalMilliseconds: Int64 = 100
    private let status: String
    private let id: String
    private let byteCountTotal: Int64
    private let last = Atomic<Int64>(0)
    private let sink: TransferSink

    init(_ status: String, id: String, byteCountTotal: Int64, _ sink: @escaping TransferSink) {
        self.status = status
        self.id = id
        self.byteCountTotal = byteCountTotal
        self.sink = sink
    }

    func report(_ byteCount: Int64) {
        let now = Clock.now() / 1_000_000
        guard now - last.load(ordering: .relaxed) >= Self.intervalMilliseconds else { return }
        last.store(now, ordering: .relaxed)
        sink(TransferMessage(status, id: id, progress: .init(current: byteCount, total: byteCountTotal)))
    }
}
