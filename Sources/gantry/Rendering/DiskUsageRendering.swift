import EngineWire
import StackModel

/// Output of `gantry system df`.
struct DiskUsageLooks {
    var usage: DiskUsageReply
    var now: Moment

    private var images: [ImageSummary] { usage.Images ?? [] }
    private var containers: [DiskUsageReply.Container] { usage.Containers ?? [] }
    private var volumes: [DiskUsageReply.Volume] { usage.Volumes ?? [] }
    private var builds: [BuildCacheItem] { usage.BuildCache ?? [] }

    var summary: Listing {
        let idle = containers.filter { $0.State != "running" }
        let unused = volumes.filter { $0.UsageData.RefCount == 0 }
        return Listing(
            columns: [
                ("Type", "TYPE"), ("TotalCount", "TOTAL"), ("Active", "ACTIVE"), ("Size", "SIZE"),
                ("Reclaimable", "RECLAIMABLE"),
            ],
            rows: [
                row(
                    "Images", images.count, images.count { ($0.Containers ?? 0) > 0 }, usage.LayersSize,
                    usage.ImagesReclaimable ?? 0),
                row(
                    "Containers", containers.count, containers.count - idle.count, sum(containers.map(\.SizeRw)),
                    sum(idle.map(\.SizeRw))),
                row(
                    "Local Volumes", volumes.count, volumes.count - unused.count,
                    sum(volumes.map(\.UsageData.Size)), sum(unused.map(\.UsageData.Size))),
                row(
                    "Build Cache", builds.count, builds.count { $0.InUse },
                    sum(builds.filter { !$0.Shared }.map(\.Size)),
                    sum(builds.filter { !$0.InUse && !$0.Shared }.map(\.Size))),
            ])
    }

    private func sum(_ sizes: [Int64]) -> Int64 { sizes.reduce(0, &+) }

    private func row(_ type: String, _ total: Int, _ active: Int, _ size: Int64, _ reclaimable: Int64) -> JSONText {
        let percent = size > 0 ? " (\(Int64(Double(reclaimable) / Double(size) * 100))%)" : ""
        return .object([
            ("Active", .string("\(active)")), ("Reclaimable", .string(humanSize(bytes: reclaimable) + percent)),
            ("Size", .string(humanSize(bytes: size))), ("TotalCount", .string("\(total)")), ("Type", .string(type)),
        ])
    }

    // MARK: - Verbose

    private var imageListing: Listing {
        var listing = ImageLooks(now: now).listing(images)
        listing.columns = [
            ("Repository", "REPOSITORY"), ("Tag", "TAG"), ("ID", "IMAGE ID"), ("CreatedSince", "CREATED"),
            ("Size", "SIZE"), ("SharedSize", "SHARED SIZE"), ("UniqueSize", "UNIQUE SIZE"),
            ("Containers", "CONTAINERS"),
        ]
        return listing
    }

    private var containerListing: Listing {
        let commandWidthMax = 20
        let rows = containers.map { container in
            let age = humanDuration(seconds: now.nanoseconds / 1_000_000_000 &- container.Created) + " ago"
            let names = container.Names.map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 }
            return JSONText.object([
                ("Command", .string("\"\(container.Command.truncated(to: commandWidthMax))\"")),
                ("ID", .string(String(container.Id.prefix(12)))), ("Image", .string(container.Image)),
                ("LocalVolumes", .string("\(container.Mounts.count)")),
                ("Names", .string(names.joined(separator: ","))), ("RunningFor", .string(age)),
                ("Size", .string(humanSize(bytes: container.SizeRw))), ("State", .string(container.State)),
                ("Status", .string(container.Status)),
            ])
        }
        return Listing(
            columns: [
                ("ID", "CONTAINER ID"), ("Image", "IMAGE"), ("Command", "COMMAND"), ("LocalVolumes", "LOCAL VOLUMES"),
                ("Size", "SIZE"), ("RunningFor", "CREATED"), ("Status", "STATUS"), ("Names", "NAMES"),
            ], headings: [("State", "STATE")], rows: rows)
    }

    private var volumeListing: Listing {
        let rows = volumes.map { volume in
            JSONText.object([
                ("Links", .string("\(volume.UsageData.RefCount)")), ("Mountpoint", .string(volume.Mountpoint)),
                ("Name", .string(volume.Name)), ("Size", .string(humanSize(bytes: volume.UsageData.Size))),
            ])
        }
        return Listing(
            columns: [("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")],
            headings: [("Mountpoint", "MOUNTPOINT")], rows: rows)
    }

    private var buildListing: Listing {
        let rows = builds.map { item in
            let used = Moment(rfc3339: item.LastUsedAt).map { moment in
                humanDuration(seconds: (now.nanoseconds &- moment.nanoseconds) / 1_000_000_000) + " ago"
            }
            return JSONText.object([
                ("CacheType", .string(item.type)), ("ID", .string(item.ID)), ("InUse", .string("\(item.InUse)")),
                ("LastUsedSince", .string(used ?? "")), ("Shared", .string("\(item.Shared)")),
                ("Size", .string(humanSize(bytes: item.Size))),
            ])
        }
        return Listing(
            columns: [
                ("ID", "CACHE ID"), ("CacheType", "CACHE TYPE"), ("Size", "SIZE"), ("LastUsedSince", "LAST USED"),
                ("Shared", "SHARED"),
            ],
            headings: [("InUse", "IN USE")], rows: rows)
    }

    func verboseText() throws(CommandFailure) -> String {
        var text = "Images space usage:\n\n" + (try imageListing.render(.table))
        text += "\nContainers space usage:\n\n" + (try containerListing.render(.table))
        text += "\nLocal Volumes space usage:\n\n" + (try volumeListing.render(.table))
        let size = humanSize(bytes: sum(builds.filter { !$0.Shared }.map(\.Size)))
        text += "\nBuild cache usage: \(size)\n\n" + (try buildListing.render(.table))
        return text
    }

    var verboseJSON: JSONText {
        .object([
            ("Images", .array(imageListing.rows)), ("Containers", .array(containerListing.rows)),
            ("Volumes", .array(volumeListing.rows)), ("BuildCache", .array(buildListing.rows)),
        ])
    }
}
