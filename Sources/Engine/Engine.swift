import CLinux
import ContainerNetwork
import ContainerRuntime
import EngineWire
import Glibc
import ImageBuild
import Images
import LinuxSystem
import Logging
import NetworkService
import Reconciler
import Registry
import StackModel
import SupervisorPlan
import Timetable

/// The one writer of all state. Decisions happen on this actor, on values; what blocks runs on `pool`.
///
/// Changes of one stack are serialised by that stack's `AsyncLock`; see `Engine+Converge.swift`.
public actor Engine {
    /// A container and what this process knows about it beyond its record.
    struct Container {
        var stored: StoredContainer
        /// Set while its init process lives.
        var process: Process?
        /// On its way down: no longer offered to the balancer and DNS.
        var stopping = false
        /// Why it is stopped as soon as it has started.
        var startFailure: String?
        var health: HealthState?
        /// See `ObservedContainer.silentPorts`.
        var silentPorts: Set<UInt16> = []
        /// Counts the times that the health check asked to be woken: only the last counts.
        var healthWakes = 0
        /// See `ObservedContainer.readySince`.
        var readySince: Nanoseconds?
        /// By the clock that does not jump: as far as this engine has seen.
        var healthySince: Nanoseconds?
        /// Of this run or, when it has ended, of that one; oldest first.
        var probes: [HealthProbe] = []
        /// The last step of a plan that was about it, and why: `started (image changed)`.
        var lastStep: String?
        /// Counts starts, so that late news of an earlier run is told from news of this one.
        var generation = 0
        var exitWaiters: [CheckedContinuation<Void, Never>] = []
        /// Of its present run, for all who follow its log: however many come and go, there is nothing of each.
        var runEnd: EndFlag?
        /// Its folders were made by this process.
        var hasFolders = false
        /// Its `post_start` hooks are not through yet: not offered either.
        var isStarting: Bool { stored.isStarting == true }
        /// Held while its own layer is mounted, or taken away, by whoever does so.
        let files = AsyncLock()
    }

    /// A live container's processes.
    struct Process: Equatable {
        var pid: Int32
        var supervisorPID: Int32
        var startedAt: Nanoseconds
    }

    struct StackEntry {
        var record: StackRecord
        let lock = AsyncLock()
        /// The command that has the lock; `nil` while it is free or the background loop's.
        var holder: LockHolder?
        var changeWaiters: [CheckedContinuation<Void, Never>] = []
        /// Counts news about the stack, so that none between two looks is missed.
        var changes = 0
        var repaired: [(at: Nanoseconds, text: String)] = []
        /// The time that a waiter is made to look again.
        var wakesAt: Nanoseconds?
        /// Whoever works on a rollout is to stop.
        var isAborted = false
        /// By service: held while its `pre_start` hooks run.
        var hookLocks: [String: AsyncLock] = [:]
        /// By service: how its `pre_start` hooks failed last.
        var hookFailures: [String: (at: Nanoseconds, error: EngineError)] = [:]
    }

    static let parallelOperationsMax = 6
    static let blockingThreadsMax = 64
    static let streamThreadsMax = 2048

    public nonisolated let options: EngineOptions
    nonisolated let startedAt = Clock.now()
    nonisolated let log: Logger
    nonisolated let store: StateStore
    nonisolated let images: ImageStore
    nonisolated let network: NetworkManager
    nonisolated let dns: NetworkServiceClient
    nonisolated let serviceLosses: ServiceLosses
    nonisolated let runtime: Runtime
    nonisolated let poller: Poller
    nonisolated let logNews: LogNews
    nonisolated let pool: BlockingPool
    /// Threads for sessions that may block for as long as a user looks on.
    nonisolated let streams: BlockingPool
    nonisolated let background = BackgroundTasks()
    nonisolated let ports = PortRegistry()
    nonisolated let registries = RegistryConnections()
    nonisolated let buildCaches: CacheMounts
    nonisolated let knownSettings = KnownSettings()
    private let lock: SharedDescriptor
    private var networkWatch: NetworkWatch?
    var settingsWatch: SettingsWatch?

    var containers: [String: Container] = [:]
    var containerIDs: [String: String] = [:]
    var networks: [String: StoredNetwork] = [:]
    var volumes: [String: StoredVolume] = [:]
    var volumeUses: [String: VolumeUse] = [:]
    var stacks: [String: StackEntry] = [:]
    var execs: [String: ExecInstance] = [:]
    var pendingAttach: [String: [SharedDescriptor]] = [:]
    /// What clients send into containers that do not run.
    var incoming: [String: IncomingArchive] = [:]
    /// Exit codes of containers that were removed as they ended, for clients that still wait for them.
    var lastExitCodes: [String: Int] = [:]
    /// Of each network, one for each of its subnets.
    var addressPools: [String: [AddressPool]] = [:]
    var serviceAddresses: [String: StoredServiceAddresses] = [:]
    var endpoints = EndpointState()
    /// When registries were last asked, by the images' whole names.
    var pullTimes: [String: Nanoseconds] = [:]
    /// Images that are being removed: no container is made from them any more.
    var imagesLeaving: Set<Digest> = []
    /// Containers whose records are to be written soon: `saveSoon`.
    var unsaved: Set<String> = []
    var events = EventHub()
    var free = FreeState()
    /// Seconds since 1970.
    var buildCacheTrimmedAt: Int64 = 0
    /// Stages of builds with an interface on a network, by its name.
    var buildUsers: [String: Int] = [:]
    let buildNetworkLock = AsyncLock()
    /// By the keys of their places.
    var cacheSources: [String: CacheSource] = [:]
    let cacheSourceLock = AsyncLock()
    var networkChangePending = false
    var drift = DriftState()
    var counters = EngineCounters()
    var networkChangeConcernsStacks = false
    /// What each stack was, oldest first.
    var revisions: [String: [StoredRevision]] = [:]
    /// By stack and service.
    var jobs: [String: [String: StoredJob]] = [:]
    /// `STACK/RUN` of what is being started, stopped or removed.
    var jobWork: Set<String> = []
    /// When jobs of a stack are to be looked at.
    var jobWakes: [String: Nanoseconds] = [:]
    var jobClock = 0
    /// `STACK/SERVICE` of jobs whose times cannot be known, as was told.
    var brokenJobs: Set<String> = []
    /// By path.
    var timeZones: [String: TimeZoneRules] = [:]
    /// Nobody waits for news of a stack any more.
    var isShuttingDown = false
    /// The same, for threads.
    nonisolated let ending = EndFlag()

    /// Opens the state under the roots.
    ///
    /// - Throws: `EngineError` with code `engine.already-running` when another engine holds the data root.
    public init(options: EngineOptions, log: Logger) throws(EngineError) {
        self.options = options
        self.log = log
        do {
            for folder in [options.dataRoot, options.execRoot] {
                try FileSystem.makeDirectories(folder, mode: 0o711)
            }
            for folder in ["\(options.dataRoot)/containers", "\(options.dataRoot)/volumes", options.cacheDirectory] {
                try FileSystem.makeDirectories(folder, mode: 0o711)
            }
            try FileSystem.makeDirectories("\(options.execRoot)/containers", mode: 0o700)
            for folder in [options.buildContexts, options.buildMounts] {
                try FileSystem.makeDirectories(folder, mode: 0o700)
            }
            try options.makeMountPoints()
            lock = try Self.lockDataRoot(options)
            poller = try Poller(name: "gantry-poll")
            logNews = try LogNews(poller)
            pool = BlockingPool(name: "gantry-work", threadsMax: Self.blockingThreadsMax)
            streams = BlockingPool(name: "gantry-stream", threadsMax: Self.streamThreadsMax)
        } catch let error as EngineError {
            throw error
        } catch let error as SystemError {
            throw Self.startError(error)
        } catch {
            throw .badRequest("\(error)")
        }
        do throws(DatabaseError) { store = try StateStore(path: options.databasePath) } catch {
            throw .database(error)
        }
        do throws(ImageError) {
            images = try ImageStore(root: options.imageRoot, options: options.imageStoreOptions)
            buildCaches = CacheMounts(folder: "\(options.imageRoot)/builds/mounts")
        } catch {
            throw .image(error)
        }
        let losses = ServiceLosses()
        serviceLosses = losses
        dns = NetworkServiceClient(
            supervisorPath: options.supervisorPath, execRoot: options.execRoot, poller: poller,
            onLoss: { losses.note() })
        do throws(NetworkError) {
            network = try NetworkManager(
                tableName: options.tableName, namespaceDirectory: options.namespaceDirectory,
                hostPorts: try options.hostPortClient(), portRelays: dns)
        } catch {
            throw .network(error)
        }
        do throws(RuntimeError) {
            runtime = try Runtime(
                supervisorPath: options.supervisorPath, cgroupParent: options.cgroupParent,
                cacheDirectory: options.cacheDirectory)
        } catch {
            throw .runtime(error, container: "")
        }
        try Self.checkSupervisor(options.supervisorPath)
    }

    /// A container that is started by a supervisor of another build is another one than was asked for.
    private static func checkSupervisor(_ path: String) throws(EngineError) {
        let outcome: HelperProgram.Outcome
        do throws(SystemError) {
            outcome = try HelperProgram.run(
                path: path, arguments: [path, "version"], environment: [], input: [],
                timeoutMilliseconds: supervisorPatienceMilliseconds, keepsErrorOutput: false)
        } catch {
            throw startError(error)
        }
        guard outcome.end == .exited(0), outcome.output == Array(PlanFile.layoutText.utf8) else {
            throw .diagnostics([
                Diagnostic(
                    code: "engine.supervisor-mismatch", "\(path) is of another build of Gantry than this engine",
                    hint: "install gantry and gantry-supervisor of one build side by side")
            ])
        }
    }

    private static let supervisorPatienceMilliseconds: UInt64 = 30_000

    private static func lockDataRoot(_ options: EngineOptions) throws -> SharedDescriptor {
        let file = try FileDescriptor.open(options.lockPath, O_RDWR | O_CREAT, mode: 0o600)
        guard try ExclusiveLock.take(file) else {
            throw EngineError.diagnostics([
                Diagnostic(
                    code: "engine.already-running", "another engine already uses \(options.dataRoot)",
                    hint: "stop it with `gantry engine stop`, or give this one its own --data-root and --exec-root")
            ])
        }
        return SharedDescriptor(file)
    }

    private static func startError(_ error: SystemError) -> EngineError {
        guard error.code == EACCES || error.code == EPERM else { return .system(error) }
        return .diagnostics([
            Diagnostic(
                code: "engine.permission", "the engine may not do this: \(error)",
                hint: "run it as root, for example with sudo")
        ])
    }

    /// Takes up what an earlier engine left running, then works until `shutDown`. The API may be served as soon as
    /// `recover` has returned.
    public func run() async {
        background.start { [self] in await maintainAll() }
        background.start { [self] in await collectImageGarbage() }
        await background.run()
    }

    /// Reads the records, adopts running containers, removes what belongs to nobody.
    public func recover() async throws(EngineError) {
        try loadRecords()
        try noteBoot()
        adoptNetworkService()
        do throws(NetworkError) {
            networkWatch = try network.watch { [self] change in
                background.start { await self.networkChanged(change) }
            }
            settingsWatch = try SettingsWatch { [self] in
                background.start { await self.networkChanged(.routesChanged) }
            }
        } catch {
            throw .network(error)
        }
        await adoptContainers()
        reclaimPorts()
        reclaimFreePorts()
        await unmountUnusedVolumes()
        await sweepOrphans()
        await sweepBuilds()
        closeForeignFirewalls()
        await refreshEndpoints()
        resumeFreeContainers()
        dns.sweep()
        startDriftWatches()
        log.info("engine ready", metadata: ["containers": "\(containers.count)", "stacks": "\(stacks.count)"])
    }

    /// Ends the engine's own work. Containers and their supervisors go on; the next engine adopts them.
    public func shutDown() {
        isShuttingDown = true
        ending.set()
        saveUnsaved()
        background.stop()
        for name in stacks.keys { noteChange(in: name) }
        endNetworkService()
        networkWatch = nil
        settingsWatch?.cancel()
        settingsWatch = nil
        stopDriftWatches()
        closeForeignFirewalls()
        removeUnusedBridge()
        if containers.isEmpty { runtime.removeEmptyParent() }
    }

    private func loadRecords() throws(EngineError) {
        do throws(DatabaseError) {
            for record in try store.all(StackRecord.self) { stacks[record.stackName] = StackEntry(record: record) }
            for revision in try store.all(StoredRevision.self) {
                revisions[revision.stackName, default: []].append(revision)
            }
            for name in revisions.keys { revisions[name]?.sort { $0.number < $1.number } }
            for record in try store.all(StoredNetwork.self) { networks[record.name] = record }
            for record in try store.all(StoredServiceAddresses.self) { serviceAddresses[record.recordID] = record }
            for job in try store.all(StoredJob.self) { jobs[job.stackName, default: [:]][job.service] = job }
            for record in try store.all(StoredPull.self) { pullTimes[record.name] = record.checkedAt }
            for record in try store.all(StoredVolume.self) { volumes[record.name] = record }
            for record in try store.all(StoredContainer.self) { register(Container(stored: record)) }
        } catch {
            throw .database(error)
        }
    }

    func register(_ container: Container) {
        containers[container.stored.id] = container
        containerIDs[container.stored.name] = container.stored.id
    }

    func forget(_ id: String) {
        guard let container = containers.removeValue(forKey: id) else { return }
        unsaved.remove(id)
        pendingAttach[id] = nil
        forgetDrift(of: id)
        if containerIDs[container.stored.name] == id { containerIDs[container.stored.name] = nil }
        for waiter in container.exitWaiters { waiter.resume() }
        runEnded(id, container.runEnd)
        containerForgotten(container)
    }

    /// Writes a record; a full disk must not lose what is in memory, so the caller decides what to do about it.
    func save(_ records: any StoredRecord...) throws(EngineError) {
        do throws(DatabaseError) { try store.save(records) } catch { throw .database(error) }
    }

    /// For news that cannot be refused (a container ended): memory is right, the record follows when it can.
    func saveOrLog(_ record: some StoredRecord) {
        do throws(DatabaseError) { try store.save(record) } catch {
            log.error("record not saved", metadata: ["record": "\(record.recordID)", "error": "\(error)"])
        }
    }

    /// For what the supervisor's folder says too, until the container is removed (start and end): an engine that dies
    /// first is set right by `adoptContainers`. A container that lives for a moment is never written a second time.
    func saveSoon(_ id: String) {
        unsaved.insert(id)
        guard unsaved.count == 1 else { return }
        background.start { [self] in
            // Cancelled at the engine's end, which writes what is left.
            do { try await Task.sleep(for: Self.saveDelay) } catch { return }
            await saveUnsaved()
        }
    }

    private static let saveDelay = Duration.milliseconds(20)

    private func saveUnsaved() {
        let records = unsaved.compactMap { containers[$0]?.stored }
        unsaved = []
        do throws(DatabaseError) { try store.save(records) } catch {
            log.error("records not saved", metadata: ["count": "\(records.count)", "error": "\(error)"])
        }
    }

    /// The container with this id, name or unique id prefix.
    func container(_ reference: String) throws(EngineError) -> Container {
        if let container = containers[reference] { return container }
        if let id = containerIDs[reference], let container = containers[id] { return container }
        let matches = reference.count >= 2 ? containers.values.filter { $0.stored.id.hasPrefix(reference) } : []
        guard let match = matches.first else { throw .containerNotFound(reference) }
        guard matches.count == 1 else { throw .badRequest("id prefix '\(reference)' is not unique") }
        return match
    }
}
