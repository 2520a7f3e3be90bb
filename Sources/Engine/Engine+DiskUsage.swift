import EngineWire
import Images
import LinuxSystem
import Reconciler
import StackModel

/// What everything takes on the disk, and what can be given back.
extension Engine {
    /// `GET /system/df`. Images are counted by the store's books; containers' and volumes' folders are walked.
    public func diskUsage() async throws(EngineError) -> DiskUsageReply {
        let used = usedImages
        let (summaries, total, reclaimable) = try await onImages { images throws(ImageError) in
            let usage = images.usage()
            let perImage = Dictionary(usage.images.map { ($0.id, $0) }) { first, _ in first }
            let summaries = try images.images().map { image in
                var summary = ImageSummary(image)
                if let one = perImage[image.id] {
                    summary.Size = Int64(clamping: one.byteCount)
                    summary.VirtualSize = summary.Size
                    summary.SharedSize = Int64(clamping: one.sharedByteCount)
                }
                return summary
            }
            return (
                summaries, Int64(clamping: usage.byteCount), Int64(clamping: images.reclaimableByteCount(used: used))
            )
        }
        var counts: [String: Int64] = [:]
        for container in containers.values { counts[container.stored.definition.imageID, default: 0] += 1 }
        var images: [ImageSummary] = []
        for var summary in summaries {
            summary.Containers = counts[summary.Id] ?? 0
            images.append(summary)
        }
        return DiskUsageReply(
            LayersSize: total, ImagesReclaimable: reclaimable, Images: images,
            Containers: try await containerUsages(), Volumes: try await volumeUsages(),
            BuildCache: try await buildCacheItems())
    }

    private func containerUsages() async throws(EngineError) -> [DiskUsageReply.Container] {
        var usages: [DiskUsageReply.Container] = []
        for container in containers.values.sorted(by: { $0.stored.createdAt > $1.stored.createdAt }) {
            let stored = container.stored
            let status = try status(of: stored.id)
            let state = status.state.rawValue
            usages.append(
                DiskUsageReply.Container(
                    Id: stored.id, Names: ["/\(stored.name)"], Image: status.image, ImageID: stored.definition.imageID,
                    Command: status.command, Created: stored.createdAt / 1_000_000_000, State: state,
                    Status: status.exitCode.map { "Exited (\($0))" }
                        ?? (state.prefix(1).uppercased() + state.dropFirst()),
                    SizeRw: 0, Labels: stored.labels,
                    Mounts: stored.volumes.values.sorted().map { DiskUsageReply.Mount(Type: "volume", Name: $0) }))
        }
        for index in usages.indices { usages[index].SizeRw = try await writtenByteCount(usages[index].Id) }
        return usages
    }

    private func volumeUsages() async throws(EngineError) -> [DiskUsageReply.Volume] {
        var usages: [DiskUsageReply.Volume] = []
        for volume in volumes.values.sorted(by: { $0.name < $1.name }) {
            let folder = options.volumeData(volume.name)
            // A server may be slow to tell of its files, and they take no place here.
            let byteCount =
                isForeign(volume: volume.name)
                ? 0 : try await onPool { () throws(SystemError) in try FileSystem.treeByteCount(folder) }
            let userCount = containers.values.count { $0.stored.volumes.values.contains(volume.name) }
            usages.append(
                DiskUsageReply.Volume(
                    Name: volume.name, CreatedAt: rfc3339(volume.createdAt), Mountpoint: folder,
                    Labels: labels(of: volume),
                    Options: volume.definition.driverOptions,
                    UsageData: DiskUsageReply.Volume.Usage(
                        Size: Int64(clamping: byteCount), RefCount: Int64(userCount))))
        }
        return usages
    }

    /// Bytes in a container's writable layer.
    func writtenByteCount(_ id: String) async throws(EngineError) -> Int64 {
        let upper = "\(options.containerData(id))/upper"
        let byteCount = try await onPool { () throws(SystemError) in try FileSystem.treeByteCount(upper) }
        return Int64(clamping: byteCount)
    }

    // MARK: - Prune

    /// `POST /containers/prune`: containers that do not run and that no active stack keeps: ended `gantry run`s, and
    /// those of stacks that are down.
    public func pruneContainers(_ values: [String: [String]]) async throws(EngineError) -> ContainerPruneReply {
        let filters = try ObjectFilters(values, known: ["label", "label!", "until"])
        var reply = ContainerPruneReply(ContainersDeleted: [], SpaceReclaimed: 0)
        let candidates = containers.values.filter { isLeftOver($0, filters) }.map(\.stored.id).sorted()
        for id in candidates {
            let byteCount = try await writtenByteCount(id)
            // It may have been started, or removed, meanwhile.
            guard let container = containers[id], isLeftOver(container, filters) else { continue }
            try await removeContainer(id, anonymousVolumes: false)
            reply.ContainersDeleted?.append(id)
            reply.SpaceReclaimed += byteCount
        }
        announcePrune("container", byteCount: reply.SpaceReclaimed)
        return reply
    }

    private func isLeftOver(_ container: Container, _ filters: ObjectFilters) -> Bool {
        let stored = container.stored
        // One that was made and never started may be about to be.
        let mayBeStarted = stored.startedAt == nil && stored.free == nil
        guard container.process == nil, !mayBeStarted, !container.stopping, !isRestarting(stored.id) else {
            return false
        }
        guard stored.oneOff || stacks[stored.stackName]?.record.active != true else { return false }
        return filters.matches(created: stored.createdAt, labels: stored.labels)
    }

    /// `POST /volumes/prune`: anonymous volumes, or with the filter `all=true` all, that neither a container has nor an
    /// active stack.
    public func pruneVolumes(_ values: [String: [String]]) async throws(EngineError) -> VolumePruneReply {
        let filters = try ObjectFilters(values, known: ["label", "label!", "all"])
        let all = filters.truth("all") ?? false
        var reply = VolumePruneReply(VolumesDeleted: [], SpaceReclaimed: 0)
        let candidates = volumes.values.filter { volume in
            (all || volume.anonymous) && stacks[volume.stackName]?.record.active != true
                && filters.matches(created: volume.createdAt, labels: labels(of: volume))
        }.map(\.name).sorted()
        for name in candidates {
            let folder = options.volumeData(name)
            let byteCount = try await onPool { () throws(SystemError) in try FileSystem.treeByteCount(folder) }
            guard volumes[name] != nil,
                !containers.values.contains(where: { $0.stored.volumes.values.contains(name) })
            else { continue }
            try await removeVolume(name)
            reply.VolumesDeleted?.append(name)
            reply.SpaceReclaimed += Int64(clamping: byteCount)
        }
        announcePrune("volume", byteCount: reply.SpaceReclaimed)
        return reply
    }
}
