import SupervisorPlan

/// Hooks of the specification, checked, with the state that they are told.
public enum HookCompiler {
    private static let timeoutSecondsMax = 1_000_000

    public static func compile(_ request: LaunchRequest) throws(RuntimeError) -> HooksPlan {
        var plan = HooksPlan()
        guard let hooks = request.spec.hooks else { return plan }
        plan.prestart = try compile(hooks.prestart, request.hookEnvironment)
        plan.createRuntime = try compile(hooks.createRuntime, request.hookEnvironment)
        plan.createContainer = try compile(hooks.createContainer, request.hookEnvironment)
        plan.startContainer = try compile(hooks.startContainer, [])
        plan.poststart = try compile(hooks.poststart, request.hookEnvironment)
        plan.poststop = try compile(hooks.poststop, request.hookEnvironment)
        plan.stateText = stateText(request)
        return plan
    }

    private static func compile(
        _ hooks: [RuntimeSpec.Hook]?, _ environment: [String]
    ) throws(RuntimeError) -> [HookPlan] {
        var plans: [HookPlan] = []
        for hook in hooks ?? [] {
            guard hook.path.hasPrefix("/") else { throw .invalidSpec("hook '\(hook.path)' is not an absolute path") }
            if let timeout = hook.timeout, !(1...timeoutSecondsMax).contains(timeout) {
                throw .invalidSpec("hook '\(hook.path)': its timeout must be positive")
            }
            let arguments = hook.args ?? []
            let environment = hook.env ?? environment
            try PlanCompiler.checkStrings([hook.path] + arguments + environment)
            plans.append(
                HookPlan(
                    path: hook.path, arguments: arguments.isEmpty ? [hook.path] : arguments,
                    environment: environment, timeoutMilliseconds: UInt64(hook.timeout ?? 0) * 1000))
        }
        return plans
    }

    /// <https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#state> around status and pid.
    private static func stateText(_ request: LaunchRequest) -> [String] {
        let annotations = (request.spec.annotations ?? [:]).sorted { $0.key < $1.key }
            .map { "\(quoted($0.key)):\(quoted($0.value))" }
        let members = annotations.isEmpty ? "" : ",\"annotations\":{\(annotations.joined(separator: ","))}"
        return [
            "{\"ociVersion\":\(quoted(request.spec.ociVersion)),\"id\":\(quoted(request.id)),\"status\":\"",
            "\",\"pid\":", ",\"bundle\":\(quoted(request.bundle))\(members)}",
        ]
    }

    /// RFC 8259.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{1}"..."\u{1f}", "\u{7f}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            case "\0": result += " "  // A plan's strings hold none.
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
