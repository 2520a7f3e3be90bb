import StackModel
import Timetable

extension ServiceBuilder {
    /// `x-gantry.schedule`, long or short.
    func schedule(_ node: Node?) -> Schedule? {
        guard let node, let cron = node.mapping == nil ? node : node["cron"], let text = cron.text else { return nil }
        var schedule = Schedule(cron: text)
        do throws(CronError) {
            _ = try CronExpression(parsing: text)
        } catch {
            report.error("stack.value", "schedule '\(text.prefix(60))': \(error)", at: cron.mark, hint: error.hint)
        }
        guard node.mapping != nil else { return schedule }
        schedule.timeZone = timeZone(node["time_zone"])
        schedule.concurrency = word(node["concurrency"], "concurrency")
        schedule.deadline = duration(node["deadline"])
        schedule.timeout = duration(node["timeout"])
        schedule.succeededKept = count(node.at("history", "succeeded"), "history.succeeded")
        schedule.failedKept = count(node.at("history", "failed"), "history.failed")
        schedule.suspend = node["suspend"]?.flag ?? false
        return schedule
    }

    private func timeZone(_ node: Node?) -> String? {
        guard let node, let name = node.text else { return nil }
        guard isTimeZoneName(name) else {
            report.error(
                "stack.value", "'\(name.prefix(60))' is no name of a time zone", at: node.mark,
                hint: "write a name such as Europe/Berlin or UTC")
            return nil
        }
        return name
    }

    /// What makes no sense beside a schedule.
    func checkSchedule(_ service: Service) {
        guard service.schedule != nil, let mark = node.at("x-gantry", "schedule")?.mark else { return }
        switch service.restart.mode {
        case .no, .onFailure: break
        case .always, .unlessStopped:
            report.error(
                "stack.conflict",
                "service '\(name)' has a schedule, so its runs end, and it is to be restarted whenever it ends",
                at: node["restart"]?.mark ?? node.at("deploy", "restart_policy")?.mark ?? mark,
                hint: "use 'restart: on-failure:N' to repeat runs that fail, or leave it out")
        }
        if service.replicas > 1 {
            report.error(
                "stack.conflict", "service '\(name)' has a schedule, so it cannot have \(service.replicas) replicas",
                at: (node.at("deploy", "replicas") ?? node["scale"])?.mark ?? mark,
                hint: "leave the number out; 'concurrency: allow' lets several runs go on at a time")
        }
    }
}
