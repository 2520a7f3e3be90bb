import StackModel
import Testing

@testable import StackFile

/// Whatever the bytes, a load ends in a stack or in errors. The seed is fixed, so that a failure can be repeated.
struct FuzzTests {
    private let seedFile = """
        name: demo
        x-base: &base {image: "app:${TAG:-1}", restart: on-failure:3}
        include: [other.yaml]
        services:
          web:
            <<: *base
            command: ["a", 'b', "${X}"]
            ports: ["8080:80/tcp", "127.0.0.1:90-91:90-91", {target: 1, published: "2"}]
            environment: [A=1, B]
            volumes: ["./a:/b:ro,z", "data:/c", {type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0755}}]
            healthcheck: {test: curl x, interval: 1m30s}
            deploy: {replicas: 2, resources: {limits: {cpus: "0.5", memory: 50M}}}
            ulimits: {nofile: {soft: 1, hard: 2}}
            depends_on: {db: {condition: service_started}}
            extra_hosts: ["a:1.2.3.4"]
          db: {extends: web, ports: !override [80], depends_on: !reset {}}
        networks: {default: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}
        volumes: {data: {external: true}}
        configs: {c: {content: "x $$y"}}
        """

    private func render(_ diagnostics: [Diagnostic]) {
        for format in [DiagnosticFormat.text, .json] { _ = renderDiagnostics(diagnostics, format, color: true) }
    }

    private func load(_ bytes: [UInt8]) {
        var options = LoadOptions(workingDirectory: "/w", environment: ["HOME": "/h"])
        options.profiles = ["*"]
        let access = FileAccess(
            read: { (path, _) throws(FileProblem) in
                if path == "/w/compose.yaml" || path == "/w/.env" { return bytes }
                throw .missing
            }, exists: { $0 == "/w/compose.yaml" })
        do throws(StackFileError) {
            let loaded = try loadStack(options, files: access)
            _ = loaded.render(.yaml) + loaded.render(.json)
            render(loaded.warnings)
        } catch {
            #expect(!error.diagnostics.isEmpty && error.diagnostics.count <= 20)
            render(error.diagnostics)
        }
    }

    @Test func randomBytes() {
        var random = SeededRandom(state: 1)
        for _ in 0..<1500 {
            let count = Int.random(in: 0...200, using: &random)
            load((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
    }

    @Test func randomYAMLCharacters() {
        let alphabet = Array("abs:{}[]-,&*!|>'\"#%@`? \n\n  $\\0123456789.~<=xe_/".utf8)
        var random = SeededRandom(state: 2)
        for _ in 0..<3000 {
            let count = Int.random(in: 0...120, using: &random)
            load((0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 })
        }
    }

    @Test func changedStackFiles() {
        let original = Array(seedFile.utf8)
        let tokens = [
            "99999999999999999999", "-1", "${", "$", "~", "{}", "[]", "\"\"", "null", "*base", "!reset", "!override",
            ":", "-", "0", "1e999", ".nan", "\u{1F600}", "/", "..", "=",
        ].map { Array($0.utf8) }
        var random = SeededRandom(state: 3)
        for _ in 0..<2000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: position)
                case 2: bytes.insert(contentsOf: tokens.randomElement(using: &random) ?? [], at: position)
                default:
                    let end = min(bytes.count, position + Int.random(in: 1...12, using: &random))
                    bytes.replaceSubrange(position..<end, with: tokens.randomElement(using: &random) ?? [])
                }
            }
            load(bytes)
        }
    }

    /// Every value of the file replaced by values of every kind.
    @Test func valuesOfTheWrongKind() {
        let lines = seedFile.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let values = [
            "", "5", "-1", "1.5", "true", "text", "[]", "[[]]", "{}", "{a: {}}", "[{}]", "[~]", "{a: ~}", "\"\"",
        ]
        for (index, line) in lines.enumerated() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            for value in values {
                var changed = lines
                changed[index] = line[...colon] + " " + value
                load(Array(changed.joined(separator: "\n").utf8))
            }
        }
        for key in Schema.serviceProcess.keys.sorted() + Schema.serviceWorld.keys.sorted()
            + Schema.serviceResources.keys.sorted() + Schema.serviceLifecycle.keys.sorted()
        {
            for value in values { load(Array("services: {a: {image: x, \(key): \(value)}}".utf8)) }
        }
    }

    @Test func randomTemplatesAndEnvironmentFiles() {
        let alphabet = Array("AB_{}$:-?+\"'\\ #=\n0x".utf8)
        var random = SeededRandom(state: 4)
        for _ in 0..<5000 {
            let count = Int.random(in: 0...40, using: &random)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            let text = String(decoding: bytes, as: UTF8.self)
            let template = Template(lookup: { $0 == "A" ? "a" : nil }, unset: { _ in })
            // Only a trap would be a failure: both outcomes are right for random text.
            _ = try? template.substitute(text)
            // Whether it fails does not matter here, only that it does not trap.
            _ = try? Dotenv.parse(bytes, lookup: { _ in nil })
            // Whether it fails does not matter here, only that it does not trap.
            _ = try? PortSyntax.parse(text)
            // Whether it fails does not matter here, only that it does not trap.
            _ = try? MountSyntax.parse(text)
            _ = ShellWords(text)
            _ = parseBytes(text)
            _ = parseDuration(text)
        }
    }
}
