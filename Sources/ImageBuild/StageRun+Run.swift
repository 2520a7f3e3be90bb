import Dockerfile
import Images
import LinuxSystem
import StackModel

/// RUN.
extension StageRun {
    mutating func run(_ run: Run, _ step: Instruction, _ title: String) async throws(BuildFailure) {
        let network = try network(of: run)
        try checkSecurity(run)
        let script = run.script(shell: scope.effectiveShell)
        let mounts = SharedValue(try await prepare(run.mounts))
        let environment = scope.runEnvironment
        let user = config.config.user
        let parent = tree.key
        let readsImported = mounts.withLock { $0.contains { $0.source?.isImported == true } }
        let fileStep = FileStep(instruction: step, title: title, isCommand: true, readsImported: readsImported)
        try await self.fileStep(fileStep) { [self] () async throws(BuildFailure) in
            let key = StepKey(parent: parent, "run")
            key.add("arguments", script.arguments)
            key.add("file", script.file.map { [$0.name, $0.content] } ?? [])
            key.add("environment", keyedEnvironment(environment))
            key.add("folder", scope.workingDirectory)
            key.add("user", user)
            key.add("network", network.text)
            key.add("security", (run.security ?? .sandbox).rawValue)
            key.add("hosts", builder.input.hosts.map { "\($0.name)=\($0.address)" })
            key.add("memory", builder.input.sharedMemoryByteCount.map { "\($0)" })
            for (name, limit) in builder.input.ulimits.sorted(by: { $0.key < $1.key }) {
                key.add("ulimit", "\(name)=\(limit.soft):\(limit.hard)")
            }
            var prepared = mounts.withLock { $0 }
            for index in prepared.indices { prepared[index].found = try await add(prepared[index], to: key) }
            mounts.withLock { [prepared] in $0 = prepared }
            return key.finish()
        } perform: { [self] tree, draft, vertex async throws(BuildFailure) in
            let held = HeldMounts(builder.caches)
            var command = RunStep(
                lower: tree.lowerDirectories, upper: draft.upper, work: draft.work, arguments: script.arguments,
                environment: environment, workingDirectory: scope.workingDirectory,
                user: user.isEmpty ? nil : user, network: network, hosts: builder.input.hosts,
                sharedMemoryByteCount: builder.input.sharedMemoryByteCount, ulimits: builder.input.ulimits,
                stage: node.stage)
            command.isPrivileged = run.security == .insecure
            if let file = script.file {
                command.files.append(
                    RunStep.File(
                        path: "\(Run.scriptFolder)/\(file.name)", bytes: Array(file.content.utf8), mode: 0o755, uid: 0,
                        gid: 0))
            }
            do throws(BuildFailure) {
                try await place(mounts.withLock { $0 }, in: &command, held)
                try await addMountPoints(&command, held)
                try await builder.host.run(command) { vertex.output($0, isError: $1) }
            } catch {
                held.release()
                throw error
            }
            held.release()
        }
    }

    private func network(of run: Run) throws(BuildFailure) -> RunNetwork {
        switch run.network {
        case nil, .default: return builder.input.network
        case .some(.none): return .none
        case .host:
            guard builder.input.allowsHostNetwork || builder.input.network == .host else {
                throw BuildFailure.failed(
                    "not-allowed", "RUN --network=host gives the step the host's network, which was not allowed",
                    hint: "build with --allow network.host")
            }
            return .host
        }
    }

    private func checkSecurity(_ run: Run) throws(BuildFailure) {
        if run.security == .insecure, !builder.input.allowsInsecure {
            throw BuildFailure.failed(
                "not-allowed", "RUN --security=insecure runs without confinement, which was not allowed",
                hint: "build with --allow security.insecure")
        }
        if let device = run.devices.first(where: \.isRequired) {
            throw BuildFailure.failed(
                "device", "device '\(device.name)' is not available: CDI devices are not supported")
        }
    }

    /// Proxies are not part of what a step is.
    private func keyedEnvironment(_ environment: [String]) -> [String] {
        let proxies = Set(graph.options.proxyEnvironment)
        return environment.filter { !proxies.contains($0) || isDeclared($0) }
    }

    private func isDeclared(_ entry: String) -> Bool {
        guard let name = entry.split(separator: "=", maxSplits: 1).first else { return false }
        return scope.variables[String(name)] != nil
    }
}
