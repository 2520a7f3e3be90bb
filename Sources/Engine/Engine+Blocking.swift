import ContainerNetwork
import ContainerRuntime
import Images
import LinuxSystem

/// Calls into the rooms that block, made on the pool's threads; their errors become the engine's.
extension Engine {
    nonisolated func onPool<Value: Sendable>(
        _ body: @escaping @Sendable () throws(SystemError) -> Value
    ) async throws(EngineError) -> Value {
        do throws(SystemError) { return try await pool.run(body) } catch { throw .system(error) }
    }

    /// For several of the others' steps at once: each hop to a thread and back costs more than most of them.
    nonisolated func onThread<Value: Sendable>(
        _ body: @escaping @Sendable () throws(EngineError) -> Value
    ) async throws(EngineError) -> Value {
        try await pool.run(body)
    }

    /// - Parameter threads: another pool for what takes long; `nil`: the common one.
    nonisolated func onRuntime<Value: Sendable>(
        of container: String, on threads: BlockingPool? = nil,
        _ body: @escaping @Sendable (Runtime) throws(RuntimeError) -> Value
    ) async throws(EngineError) -> Value {
        let runtime = runtime
        do throws(RuntimeError) {
            return try await (threads ?? pool).run { () throws(RuntimeError) in try body(runtime) }
        } catch {
            throw .runtime(error, container: container)
        }
    }

    nonisolated func onNetwork<Value: Sendable>(
        _ body: @escaping @Sendable (NetworkManager) throws(NetworkError) -> Value
    ) async throws(EngineError) -> Value {
        let network = network
        do throws(NetworkError) {
            return try await pool.run { () throws(NetworkError) in try body(network) }
        } catch {
            throw .network(error)
        }
    }

    nonisolated func onImages<Value: Sendable>(
        _ body: @escaping @Sendable (ImageStore) throws(ImageError) -> Value
    ) async throws(EngineError) -> Value {
        let images = images
        do throws(ImageError) {
            return try await pool.run { () throws(ImageError) in try body(images) }
        } catch {
            throw .image(error)
        }
    }

    /// Work that outlives the request that asked for it; ends with the engine at the latest.
    public nonisolated func inBackground(_ job: @escaping @Sendable () async -> Void) { background.start(job) }
}
