import Dockerfile
import Images

/// Instructions that only say how containers of the image run.
extension StageRun {
    mutating func applySettings(_ step: Instruction) {
        switch step.command {
        case .cmd(let invocation):
            config.config.cmd = invocation.arguments(shell: scope.effectiveShell)
            hasCommand = true
        case .entrypoint(let invocation):
            config.config.entrypoint = invocation.arguments(shell: scope.effectiveShell)
            // The base's arguments were for the base's program.
            if !hasCommand { config.config.cmd = nil }
        case .label(let pairs):
            for pair in pairs { config.config.labels[pair.key.text] = pair.value.text }
        case .expose(let words):
            config.config.exposedPorts = Set(config.config.exposedPorts + words.map(\.text)).sorted()
        case .volume(let words):
            config.config.volumes = Set(config.config.volumes + words.map(\.text)).sorted()
        case .user(let word): config.config.user = word.text
        case .stopSignal(let word): config.config.stopSignal = word.text
        case .shell(let words): config.config.shell = words.map(\.text)
        case .maintainer(let word): config.author = word.text
        case .onbuild(let trigger): config.config.onBuild.append(trigger.expression)
        case .healthcheck(let check): config.config.healthcheck = healthcheck(check)
        // The scope has what ENV and ARG say.
        case .env, .argument, .run, .copy, .add, .workdir: break
        }
        if let entry = addHistory(step, created: lastCreated, isEmpty: true) { config.history.append(entry) }
    }

    private func healthcheck(_ check: HealthCheck) -> ContainerDefaults.Healthcheck {
        guard case .command(let probe) = check else { return ContainerDefaults.Healthcheck(test: check.test) }
        func said(_ value: Int64) -> Int64? { value == 0 ? nil : value }
        return ContainerDefaults.Healthcheck(
            test: check.test, interval: said(probe.interval), timeout: said(probe.timeout),
            retries: probe.retries == 0 ? nil : probe.retries, startPeriod: said(probe.startPeriod),
            startInterval: said(probe.startInterval))
    }
}
