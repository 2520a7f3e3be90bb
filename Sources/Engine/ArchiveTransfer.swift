import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// A descriptor for one thread to take, which has it closed when it is done.
final class HandOver: Sendable {
    private let state: Mutex<SharedDescriptor?>

    init(_ descriptor: consuming FileDescriptor) { state = Mutex(SharedDescriptor(descriptor)) }

    func take() -> SharedDescriptor? {
        state.withLock { descriptor in
            defer { descriptor = nil }
            return descriptor
        }
    }
}

/// Both ends of a pipe that holds a MiB, where the kernel grants it.
func archivePipe() throws(SystemError) -> (reader: HandOver, writer: HandOver) {
    var ends: [Int32] = [-1, -1]
    try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
    // A smaller one only means more hops.
    _ = gantry_fcntl(ends[1], F_SETPIPE_SZ, 1 << 20)
    return (HandOver(FileDescriptor(owning: ends[0])), HandOver(FileDescriptor(owning: ends[1])))
}

/// An archive that a thread writes while a client reads it. Letting go of it ends the thread's work.
public final class OutgoingArchive: Sendable {
    private static let pieceByteCount = 256 << 10
    private let reader: SharedDescriptor
    private let failures: AsyncStream<EngineError>
    private let pool: BlockingPool

    init(reader: SharedDescriptor, failures: AsyncStream<EngineError>, pool: BlockingPool) {
        self.reader = reader
        self.failures = failures
        self.pool = pool
    }

    /// The next piece; nil at the end. Throws what went wrong when the archive is not whole.
    public func next() async throws(EngineError) -> [UInt8]? {
        let reader = reader
        let piece: [UInt8]
        do throws(SystemError) {
            piece = try await pool.run { () throws(SystemError) in
                try reader.duplicate().read(upTo: Self.pieceByteCount)
            }
        } catch {
            throw .system(error)
        }
        if !piece.isEmpty { return piece }
        for await failure in failures { throw failure }
        return nil
    }
}

extension Engine {
    /// Has an archive written into a pipe, by a thread of its own; what `write` throws is what its reader gets at last.
    func outgoingArchive(
        _ write: @escaping @Sendable (Int32) throws(EngineError) -> Void
    ) throws(EngineError) -> OutgoingArchive {
        let (failures, failed) = AsyncStream.makeStream(of: EngineError.self)
        let ends: (reader: HandOver, writer: HandOver)
        do throws(SystemError) { ends = try archivePipe() } catch { throw .system(error) }
        guard let reader = ends.reader.take() else { throw .cancelled }
        let (streams, writer) = (streams, ends.writer)
        background.start {
            do throws(EngineError) {
                try await streams.run { () throws(EngineError) in
                    guard let writer = writer.take() else { return }
                    try write(writer.raw)
                }
            } catch {
                failed.yield(error)
            }
            failed.finish()
        }
        return OutgoingArchive(reader: reader, failures: failures, pool: streams)
    }
}

/// An archive that a client sends while a thread extracts it.
final class IncomingArchive: Sendable {
    private let writer: ClosableDescriptor
    private let pool: BlockingPool

    init(writer: SharedDescriptor, pool: BlockingPool) {
        self.writer = ClosableDescriptor(holding: writer)
        self.pool = pool
    }

    /// False when nobody reads any more.
    func write(_ bytes: [UInt8]) async -> Bool {
        let writer = writer
        return await pool.run { writer.writeAll(bytes) }
    }

    /// The archive is complete, or is to be taken for it.
    func end() { writer.close() }
}
