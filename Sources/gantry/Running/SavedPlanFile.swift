import EngineClient
import EngineWire
import FoundationEssentials
import Glibc
import JSONDocument
import LinuxSystem
import StackFile
import StackModel

/// The file that `plan --out` writes and `show` and `apply` read.
struct SavedPlanFile {
    private static let byteCountMax = 64 << 20

    let path: String
    let plan: PlanReply
    let saved: SavedPlan

    /// `-` is standard input.
    init(_ path: String) throws {
        self.path = path
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try FileSystem.readFile(path == "-" ? "/dev/stdin" : path, byteCountMax: Self.byteCountMax)
        } catch {
            throw CommandFailure(code: "plan.unreadable", "the plan \(path) cannot be read: \(error.reason)")
        }
        let hint = "a plan is what `gantry plan --out FILE` writes"
        do {
            plan = try JSONDecoder().decode(PlanReply.self, from: Data(bytes))
        } catch {
            throw CommandFailure(code: "plan.invalid", "\(path) is no plan", hint: hint)
        }
        guard plan.formatVersion.split(separator: ".").first == PlanReply.formatVersion.split(separator: ".").first
        else {
            throw CommandFailure(
                code: "plan.version",
                "the plan \(path) has format \(plan.formatVersion), which this Gantry does not know",
                hint: "make it again with this version")
        }
        guard let saved = plan.saved else {
            throw CommandFailure(code: "plan.invalid", "\(path) is a plan that was shown, not saved", hint: hint)
        }
        self.saved = saved
    }

    /// For nobody else's eyes: images and paths say something too.
    static func write(_ plan: PlanReply, to path: String) throws {
        let bytes = try planDocument(plan)
        do throws(SystemError) { try FileSystem.writeOutput(path, with: bytes, mode: 0o600) } catch {
            throw CommandFailure(code: "plan.unwritable", "the plan cannot be written to \(path): \(error.reason)")
        }
    }

    // MARK: What is in no file

    /// The saved plan with what may be the values that are not in it, each read again where it came from.
    func request(_ session: Session) -> SavedPlan {
        var request = saved
        let places = saved.stack.withheldPlaces
        guard !places.isEmpty else { return request }
        let again = reloaded(session)
        var candidates: [String: [JSONValue]] = [:]
        for place in places {
            var found = [again?.value(at: place)].compactMap { $0 }
            found += content(at: place, session)
            if let name = place.split(separator: "/").last, let value = session.environment[String(name)] {
                found.append(.string(value))
            }
            candidates[place] = found
        }
        request.candidates = candidates
        return request
    }

    /// Configs and secrets name the file or the variable that they are.
    private func content(at place: String, _ session: Session) -> [JSONValue] {
        guard place.hasSuffix("/content"), case .object(let object) = saved.stack.value(at: String(place.dropLast(8)))
        else { return [] }
        if case .string(let file) = object["file"] {
            // What cannot be read is no candidate; the engine says what is missing.
            guard let bytes = try? FileSystem.readFile(file) else { return [] }
            return [.array(bytes.map { .integer(Int64($0)) })]
        }
        if case .string(let variable) = object["variable"], let value = session.environment[variable] {
            return [.array(value.utf8.map { .integer(Int64($0)) })]
        }
        return []
    }

    /// The stack files, where they still are.
    private func reloaded(_ session: Session) -> JSONValue? {
        func text(_ name: String) -> String? {
            if case .string(let text) = saved.stack.value(at: "/\(name)") { text } else { nil }
        }
        guard case .array(let files) = saved.stack.value(at: "/configFiles"), !files.isEmpty else { return nil }
        var options = session.loadOptions(services: saved.services)
        options.files = files.compactMap { if case .string(let file) = $0 { file } else { nil } }
        options.projectName = plan.stack
        options.projectDirectory = text("workingDirectory")
        // Without the files, or with others, their values are no candidates; the engine says what is missing.
        guard let stack = try? StackFile.loadStack(options).stack,
            let bytes = try? JSONEncoder().encode(stack)  // Of a stack that is just loaded: as above.
        else { return nil }
        return try? JSONDecoder().decode(JSONValue.self, from: bytes)  // As above.
    }
}
