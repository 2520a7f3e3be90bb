import EngineWire
import Images
import Registry
import StackModel

extension Engine {
    /// Images of a stack that are fetched at a time.
    private static let parallelPullsMax = 3

    /// Gets what the services' `pull_policy` asks for (Compose Specification, "pull_policy"), before anything is
    /// changed. Images that cannot be had are left to `resolveImages`, unless their registry said why.
    func pullImages(
        of record: StackRecord, services: Set<String>, progress: @escaping ProgressSink
    ) async throws(EngineError) {
        let wanted = imagesToPull(record, services)
        guard !wanted.isEmpty else { return }
        var failures: [Diagnostic] = []
        await withTaskGroup(of: (String, String, EngineError?).self) { group in
            for (index, (service, image)) in wanted.enumerated() {
                if index >= Self.parallelPullsMax, let ended = await group.next() {
                    failures += diagnostics(ended, record)
                }
                group.addTask { (service, image, await self.pullForService(image, progress)) }
            }
            for await ended in group { failures += diagnostics(ended, record) }
        }
        guard failures.isEmpty else { throw .diagnostics(failures) }
    }

    private func diagnostics(
        _ ended: (service: String, image: String, error: EngineError?), _ record: StackRecord
    ) -> [Diagnostic] {
        // Built, then: that no registry has it is nothing to stop for.
        if record.stack.services[ended.service]?.build != nil, (try? images.image(ended.image)) != nil { return [] }
        return (ended.error?.diagnostics ?? []).map { diagnostic in
            var diagnostic = diagnostic
            // What is missing comes first, with the names near it; then why it could not be had.
            do throws(ImageError) {
                _ = try images.image(ended.image)
            } catch {
                let missing = EngineError.image(error).diagnostics.first
                diagnostic.message = "\(error), and it cannot be pulled: \(diagnostic.message)"
                diagnostic.code = missing?.code ?? diagnostic.code
                diagnostic.hint = diagnostic.hint ?? missing?.hint
            }
            diagnostic.message = "service '\(ended.service)': \(diagnostic.message)"
            diagnostic.source = record.stack.source(of: "services.\(ended.service).image")
            return diagnostic
        }
    }

    /// Each image once, by the first service that has it.
    private func imagesToPull(_ record: StackRecord, _ services: Set<String>) -> [(service: String, image: String)] {
        var seen: Set<String> = []
        return record.stack.services.sorted { $0.key < $1.key }.flatMap { name, service in
            guard services.contains(name) else { return [(service: String, image: String)]() }
            // What is built here has no registry unless the file says so.
            let policy = service.pullPolicy ?? PullPolicy(mode: service.build == nil ? .missing : .never)
            let own = wantsPull(service.image, policy) ? [service.image] : []
            let hooks = service.hookImages.filter { wantsPull($0, service.pullPolicy ?? PullPolicy(mode: .missing)) }
            return (own + hooks).filter { seen.insert($0).inserted }.map { (name, $0) }
        }
    }

    private func wantsPull(_ image: String, _ policy: PullPolicy) -> Bool {
        // Not there, or damaged: what to do is the policy's to say.
        policy.wantsPull(isPresent: (try? images.image(image)) != nil, age: pullAge(image))
    }

    /// Since a registry was last asked for the image; `nil`: never.
    private func pullAge(_ name: String) -> Nanoseconds? {
        // An id: nothing that a registry could be asked for.
        guard let reference = try? ImageReference(parsing: name) else { return nil }
        return pullTimes[reference.canonical].map { Clock.now() - $0 }
    }

    private nonisolated func pullForService(_ name: String, _ progress: @escaping ProgressSink) async -> EngineError? {
        func tell(_ state: ProgressEvent.State, _ status: String) {
            progress(.object(kind: .image, name: name, state: state, status: status))
        }
        do throws(EngineError) {
            let reference: ImageReference
            do throws(ImageError) {
                reference = try ImageReference(parsing: name)
            } catch {
                // An id: nothing that a registry could be asked for.
                return nil
            }
            tell(.working, "Pulling")
            _ = try await pullUntilCancelled(PullRequest(reference)) { _ in }
            tell(.done, "Pulled")
            return nil
        } catch {
            tell(.failed, "Error")
            return error
        }
    }
}

extension Service {
    /// Of its `pre_start` hooks, where they have images of their own.
    var hookImages: [String] { Set(preStart.compactMap(\.image)).subtracting([image]).sorted() }
}

extension PullPolicy {
    /// - Parameters:
    ///   - isPresent: the image is there, and whole.
    ///   - age: since a registry was last asked for it; `nil`: never. Below zero when the clock was set back.
    func wantsPull(isPresent: Bool, age: Nanoseconds?) -> Bool {
        switch mode {
        case .always: return true
        case .missing: return !isPresent
        case .refresh:
            guard isPresent, let age, age >= 0 else { return true }
            return age >= refreshAfter ?? 0
        case .never, .build: return false
        }
    }
}
