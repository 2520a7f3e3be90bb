import EngineClient
import EngineWire
import StackModel

/// What the watch action `rebuild` does: builds services and replaces their containers by ones of the new images.
struct ServiceRebuild {
    let session: Session
    let client: EngineClient
    let stack: Stack
    /// Builds without a word.
    var quiet = false
    /// Removes images that have lost their name to new ones.
    var prunes = true

    /// Builds those of `services` that have `build:`. A signal is a `WatchInterruption`.
    func build(_ services: [String]) throws {
        let requests = try StackBuild(stack: stack, session: session).requests(services)
        do {
            _ = try session.build(BuildBatch(builds: requests), mode: quiet ? .quiet : session.lineMode)
        } catch let failure as CommandFailure where failure.exitCode > 128 {
            throw WatchInterruption(signal: failure.exitCode - 128)
        }
    }

    /// Replaces the containers of `services`, and of no others, whether anything has changed or not.
    func replace(_ services: [String], _ signals: SignalSource) throws {
        var request = ApplyRequest(stack: stack, services: services)
        request.forceRecreate = true
        request.noDependencies = true
        let stream = try client.apply(stack: stack.name, request)
        switch try follow(stream, session.progressPrinter(mode: session.lineMode), signals) {
        case .done: break
        case .failed(let diagnostics): throw CommandFailure(diagnostics)
        case .interrupted(let signal): throw WatchInterruption(signal: signal)
        }
    }

    /// Before the start: what is watched is built, as its files may have changed, and what has no image yet.
    func buildForStart(_ services: [String]) throws {
        let wanted = try services.filter { name in
            guard let service = stack.services[name], service.build != nil else { return false }
            let isWatched = service.develop?.watch.isEmpty == false
            return try isWatched || service.pullPolicy?.mode == .build || images(of: [name]).isEmpty
        }
        if !wanted.isEmpty { try build(wanted) }
    }

    /// The images that services have now, by their ids.
    func images(of services: [String]) throws -> Set<String> {
        var found: Set<String> = []
        for name in services {
            guard let image = stack.services[name]?.image else { continue }
            do {
                let document = try JSONText(parsing: try client.imageDocument(image))
                if case .object(let members) = document,
                    case .string(let id)? = members.first(where: { $0.0 == "Id" })?.1
                {
                    found.insert(id)
                }
            } catch EngineClientError.refused(let status, _) where status == 404 {
                continue
            }
        }
        return found
    }

    /// Of `images`, removes what has no name any more and no container.
    func prune(_ images: Set<String>) throws {
        guard prunes, !images.isEmpty else { return }
        for image in try client.images(filters: ["dangling": ["true"]]) where images.contains(image.Id) {
            do {
                _ = try client.removeImage(image.Id, force: false, noPrune: false)
            } catch EngineClientError.refused {
                // Something still uses it: then it is not in the way.
                continue
            }
        }
    }
}
