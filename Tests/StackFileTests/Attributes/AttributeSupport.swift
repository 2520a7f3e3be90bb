import StackModel
import Testing

@testable import StackFile

/// What one service's lines make of a property of the model. An image is added where nothing says what to run.
func expect<Value: Equatable>(
    _ lines: String, _ property: KeyPath<Service, Value>, _ value: Value, top: String = "",
    environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let service = try onlyService(lines, top: top, environment: environment)
    #expect(service[keyPath: property] == value, sourceLocation: sourceLocation)
}

/// The service `web` of a file made of its lines; other services may stand in `top`, which starts at the top level.
func onlyService(_ lines: String, top: String = "", environment: [String: String] = [:]) throws -> Service {
    let heads = lines.split(separator: "\n").map { $0.split(separator: ":")[0] }
    let saysWhat = heads.contains { ["image", "build", "provider", "extends"].contains($0) }
    let text =
        "services:\n  web:\n" + (saysWhat ? "" : "    image: app\n")
        + lines.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)\n" }.joined()
        + (top.isEmpty ? "" : top + "\n")
    return try service("web", of: text, environment: environment)
}

/// A service of a file with all its profiles.
func service(_ name: String, of text: String, environment: [String: String] = [:]) throws -> Service {
    try #require(try stack(text, environment: environment).services[name])
}

/// A whole file; a few files for `env_file` and the like stand beside it.
func stack(_ text: String, environment: [String: String] = [:]) throws -> Stack {
    var project = Everything.project(text)
    project.environment.merge(environment) { _, new in new }
    return try project.load {
        $0.profiles = ["*"]
        $0.keepsUnused = true
    }.stack
}

let second: Int64 = 1_000_000_000

/// A value with some of its properties set.
func with<Value>(_ value: Value, _ change: (inout Value) -> Void) -> Value {
    var result = value
    change(&result)
    return result
}
