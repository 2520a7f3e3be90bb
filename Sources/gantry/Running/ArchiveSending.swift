import EngineClient
import Images

/// Carries the client's errors through the archive's writer, which knows only its own.
final class ArchiveSending {
    private let send: (UnsafeRawBufferPointer) throws(EngineClientError) -> Bool
    private var failure: EngineClientError?
    private var isRefused = false
    private(set) var byteCount: Int64 = 0

    init(_ send: @escaping (UnsafeRawBufferPointer) throws(EngineClientError) -> Bool) { self.send = send }

    func take(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        do throws(EngineClientError) {
            isRefused = try !send(bytes)
        } catch {
            failure = error
        }
        guard failure == nil, !isRefused else { throw .archive(why: "the engine does not read on") }
        byteCount += Int64(bytes.count)
    }

    /// Nothing when the engine has refused: what it answers is better than any word of ours.
    func rethrow(_ error: any Error) throws {
        if let failure { throw failure }
        if !isRefused { throw error }
    }
}
