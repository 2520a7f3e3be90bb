import LinuxSystem
import StackModel
import Timetable

/// The host's time zone database.
extension Engine {
    private static let zoneFolder = "/usr/share/zoneinfo"
    private static let localZone = "/etc/localtime"

    /// - Parameter name: `nil`: the host's own.
    func timeZone(_ name: String?) throws(EngineError) -> TimeZoneRules {
        let path: String
        if let name {
            guard isTimeZoneName(name) else { throw .badRequest("'\(name)' is no name of a time zone") }
            path = "\(Self.zoneFolder)/\(name)"
        } else {
            path = Self.localZone
        }
        if let known = timeZones[path] { return known }
        // A host that says nothing, or has no database, goes by UTC.
        if name == nil || name == "UTC" || name == "Etc/UTC", !FileSystem.exists(path) { return .utc }
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try FileSystem.readFile(path, byteCountMax: TimeZoneRules.fileByteCountMax)
        } catch {
            throw .badRequest("the time zone \(name ?? "of this host") is not known here: \(error)")
        }
        do throws(TimeZoneFileError) {
            let rules = try TimeZoneRules(file: bytes)
            // The host's own may be another tomorrow.
            if name != nil { timeZones[path] = rules }
            return rules
        } catch {
            throw .badRequest("the time zone \(name ?? "of this host") cannot be used: \(path): \(error)")
        }
    }

    /// Before anything is changed: a job whose times cannot be known is refused, at its line.
    func checkTimeZones(_ record: StackRecord) throws(EngineError) {
        var problems: [Diagnostic] = []
        for (name, service) in record.stack.services.sorted(by: { $0.key < $1.key }) {
            guard let schedule = service.schedule else { continue }
            do throws(EngineError) { _ = try timeZone(schedule.timeZone) } catch {
                problems += error.diagnostics.map { diagnostic in
                    Diagnostic(
                        code: "service.time-zone", "service '\(name)': \(diagnostic.message)",
                        source: record.stack.source(of: "services.\(name).x-gantry.schedule.time_zone")
                            ?? record.stack.source(of: "services.\(name)"),
                        hint: "use UTC, or install the package tzdata on the engine's host")
                }
            }
        }
        guard problems.isEmpty else { throw .diagnostics(problems) }
    }
}
