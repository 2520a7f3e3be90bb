// swift-tools-version: 6.2
import PackageDescription

// Rooms, top to bottom; a target may depend only on those below it. See docs/architecture.md.
// System libraries with a static archive are linked statically (`-l:libNAME.a`), so that the products need
// nothing but glibc at run time.

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
    // CLinux declares what glibc hides without it; both views of glibc must agree within one compilation.
    .unsafeFlags(["-Xcc", "-D_GNU_SOURCE"]),
]

/// - Parameter isFast: with optimisation in debug builds too, for the simulation of the reconciler.
func room(
    _ name: String, _ dependencies: [Target.Dependency] = [], linker: [LinkerSetting] = [], isFast: Bool = false
) -> Target {
    .target(
        name: name, dependencies: dependencies, swiftSettings: swiftSettings + (isFast ? fast : []),
        linkerSettings: linker)
}

let fast: [SwiftSetting] = [.unsafeFlags(["-O"], .when(configuration: .debug))]

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = [],
    isFast: Bool = false
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: exclude, resources: resources,
        swiftSettings: [
            .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"), .unsafeFlags(["-Xcc", "-D_GNU_SOURCE"]),
        ] + (isFast ? fast : []))
}

let package = Package(
    name: "gantry",
    products: [
        .executable(name: "gantry", targets: ["gantry"]),
        .executable(name: "gantry-supervisor", targets: ["gantry-supervisor"]),
        .executable(name: "gantry-oci", targets: ["gantry-oci"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // Programs
        .executableTarget(
            name: "gantry",
            dependencies: [
                "EngineClient", "EngineWire", "JSONDocument", "Engine", "EngineAPI", "HostCheck", "Registry", "Images",
                "StackFile", "TLSTransport",
                "StackModel", "StackGraph", "FileWatch", "Dockerfile", "InternetAddress", "LinuxSystem", "CLinux",
                "CDashboardPage",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "gantry-oci", dependencies: ["OCICommand"],
            swiftSettings: swiftSettings + [.unsafeFlags(["-static-executable"])],
            linkerSettings: [.unsafeFlags(["-static-executable"])]),
        .executableTarget(
            name: "gantry-supervisor",
            dependencies: [
                "SupervisorPlan", "NetworkService", "NameServer", "PortRelay", "InternetAddress", "LinuxSystem",
                "CLinux",
            ],
            swiftSettings: swiftSettings + [.unsafeFlags(["-static-executable"])],
            linkerSettings: [.unsafeFlags(["-static-executable"])]),

        // What `gantry-oci` does: apart from the program, which is linked in a way that tests cannot be.
        room(
            "OCICommand",
            [
                "ContainerRuntime", "SupervisorPlan", "LinuxSystem", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        // Engine and its interface
        room("EngineWire", ["StackModel", "JSONDocument"]),
        room("EngineClient", ["EngineWire", "StackModel", "TLSTransport", "LinuxSystem", "CLinux"]),
        room(
            "EngineAPI",
            [
                "Engine", "EngineWire", "DockerTranslation", "BuildKitProtocol", "JSONDocument", "Metrics",
                "StackModel",
                "TLSTransport", "LinuxSystem", "CLinux", "CLibCrypto",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        room(
            "Engine",
            [
                "Reconciler", "Timetable", "EngineWire", "DockerTranslation", "JSONDocument", "Metrics", "StackModel",
                "ImageBuild", "Dockerfile", "Registry", "Images",
                "ContainerNetwork", "NetworkService", "NameServer", "InternetAddress", "ContainerRuntime",
                "SupervisorPlan", "FileWatch", "LinuxSystem", "CLinux", "CSQLite",
                .product(name: "Logging", package: "swift-log"),
            ], linker: [.linkedLibrary(":libsqlite3.a"), .linkedLibrary("m")]),

        // TLS with certificates on both sides, for the engine's TCP sockets and their clients.
        room(
            "TLSTransport",
            [
                "LinuxSystem", "CLinux",
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),

        // What decides: pure rooms
        // Containers in the words of Docker's clients.
        room("DockerTranslation", ["StackModel", "JSONDocument"]),
        // What BuildKit's clients say.
        room("BuildKitProtocol", []),
        room("Reconciler", ["StackModel", "Timetable", "InternetAddress"], isFast: true),
        room(
            "StackFile", ["StackModel", "Timetable", "InternetAddress", "CLibYAML"],
            linker: [.linkedLibrary(":libyaml.a")]),
        // The language of Dockerfiles: stages, instructions, variables, ignore files, checks.
        room("Dockerfile", ["StackModel"]),
        room("StackGraph", ["StackModel"]),
        room("StackModel", isFast: true),
        // Any JSON, as it was read.
        room("JSONDocument"),
        // Cron expressions and time zones.
        room("Timetable"),
        // Counters and histograms, and the text that Prometheus reads.
        room("Metrics"),

        // What acts
        // Carries Dockerfiles out: stages, steps and their cache, COPY and ADD.
        room("ImageBuild", ["Registry", "Dockerfile", "Images", "StackModel", "LinuxSystem", "CLinux"]),
        room("Registry", ["Images", "JSONDocument", "LinuxSystem", "CLinux", "CLibCurl"]),
        room(
            "Images", ["LinuxSystem", "CLinux", "CLibArchive", "CLibCrypto", "CLibZstd", "CInflate"],
            linker: [
                .linkedLibrary(":libarchive.a"), .linkedLibrary(":libz.a"), .linkedLibrary(":libzstd.a"),
                .linkedLibrary(":liblzma.a"), .linkedLibrary(":libbz2.a"), .linkedLibrary(":libcrypto.a"),
            ]),
        room(
            "HostCheck", ["ContainerNetwork", "Netlink", "NameServer", "InternetAddress", "LinuxSystem", "CLinux"]),
        room("ContainerNetwork", ["Netlink", "InternetAddress", "LinuxSystem", "CLinux"]),
        // Changes of files, by inotify.
        room("FileWatch", ["Dockerfile", "StackModel", "LinuxSystem", "CLinux"]),
        room("NetworkService", ["NameServer", "PortRelay", "InternetAddress", "LinuxSystem", "CLinux"]),
        room("NameServer", ["InternetAddress", "LinuxSystem", "CLinux"]),
        room("PortRelay", ["LinuxSystem", "CLinux"]),
        room(
            "ContainerRuntime", ["SupervisorPlan", "LinuxSystem", "CLinux", "CLibCap", "CLibSeccomp"],
            linker: [.linkedLibrary(":libseccomp.a"), .linkedLibrary(":libcap.a")]),
        room("SupervisorPlan"),
        room("Netlink", ["LinuxSystem", "CLinux"]),
        room("InternetAddress", ["CLinux"]),
        room("LinuxSystem", ["CLinux"]),

        // C: headers, module maps and what Swift cannot call itself
        .target(name: "CLinux"),
        // The page of `gantry dashboard`: HTML, CSS and JavaScript, embedded as they are.
        .target(name: "CDashboardPage", exclude: ["page"]),
        // Loads libcurl when it is first needed instead of linking it.
        .target(name: "CLibCurl"),
        // Loads ISA-L when the first gzip stream is opened instead of linking it.
        .target(name: "CInflate"),
        .systemLibrary(name: "CLibYAML", pkgConfig: nil, providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CLibCap", pkgConfig: nil, providers: [.apt(["libcap-dev"])]),
        .systemLibrary(name: "CLibSeccomp", pkgConfig: nil, providers: [.apt(["libseccomp-dev"])]),
        .systemLibrary(name: "CLibArchive", pkgConfig: nil, providers: [.apt(["libarchive-dev"])]),
        .systemLibrary(name: "CLibZstd", pkgConfig: nil, providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CLibCrypto", pkgConfig: nil, providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: nil, providers: [.apt(["libsqlite3-dev"])]),

        // Tests
        tests("StackModelTests", ["StackModel"]),
        tests("MetricsTests", ["Metrics"]),
        tests("StackGraphTests", ["StackGraph", "StackModel"]),
        tests(
            "StackFileTests", ["StackFile", "StackModel"],
            exclude: ["Broken", "Expected", "Stacks", "compose-cases-exclusions.txt", "refresh_expected.py"]),
        tests("DockerfileTests", ["Dockerfile", "StackModel"]),
        tests("ReconcilerTests", ["Reconciler", "StackModel", "Timetable", "InternetAddress"]),
        tests("TimetableTests", ["Timetable"]),
        tests("DockerTranslationTests", ["DockerTranslation", "JSONDocument", "StackModel"]),
        tests("ReconcilerSimulationTests", ["Reconciler", "StackModel", "InternetAddress"], isFast: true),
        tests("NetlinkTests", ["Netlink", "LinuxSystem", "CLinux"], exclude: ["everything.nft"]),
        tests("InternetAddressTests", ["InternetAddress"]),
        tests("ContainerNetworkTests", ["ContainerNetwork", "InternetAddress", "Netlink", "LinuxSystem", "CLinux"]),
        tests("HostCheckTests", ["HostCheck", "ContainerNetwork", "InternetAddress"]),
        tests("NameServerTests", ["NameServer", "InternetAddress", "LinuxSystem", "CLinux"]),
        tests("NetworkServiceTests", ["NetworkService", "NameServer", "InternetAddress", "LinuxSystem", "CLinux"]),
        tests(
            "ContainerRuntimeTests", ["ContainerRuntime", "SupervisorPlan", "LinuxSystem", "CLinux"],
            exclude: ["Programs", "Security"]),
        tests("OCICommandTests", ["OCICommand", "ContainerRuntime", "SupervisorPlan", "LinuxSystem"]),
        tests("ImagesTests", ["Images", "LinuxSystem", "CLinux"]),
        tests(
            "ImageBuildTests", ["ImageBuild", "Registry", "Dockerfile", "Images", "LinuxSystem", "CLinux"],
            exclude: ["Servers"]),
        tests("RegistryTests", ["Registry", "Images", "LinuxSystem", "CLinux"], exclude: ["Servers"]),
        tests("FileWatchTests", ["FileWatch", "Dockerfile", "LinuxSystem", "CLinux"]),
        tests("BuildKitProtocolTests", ["BuildKitProtocol"]),
        tests("LinuxSystemTests", ["LinuxSystem", "CLinux"]),
        tests(
            "EngineTests",
            [
                "Engine", "EngineAPI", "EngineWire", "BuildKitProtocol", "ImageBuild", "Images", "Metrics",
                "Reconciler",
                "ContainerNetwork", "InternetAddress", "JSONDocument", "StackModel", "LinuxSystem", "CLinux",
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "Logging", package: "swift-log"),
            ]),
        tests(
            "CommandTests",
            [
                "gantry", "Engine", "EngineAPI", "EngineClient", "EngineWire", "HostCheck", "StackModel", "StackFile",
                "FileWatch", "TLSTransport", "Dockerfile", "LinuxSystem", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], exclude: ["refresh_help.py"]),
        tests("TidyTests", []),
    ]
)

// Fuzzers are built with another sanitizer than everything else: `make fuzz`.
if Context.environment["GANTRY_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "stackfile-fuzz", dependencies: ["StackFile", "StackModel"], path: "Tests/Fuzz/StackFileFuzz",
            swiftSettings: swiftSettings + [.unsafeFlags(["-parse-as-library"])]))
    package.targets.append(
        .executableTarget(
            name: "dockerfile-fuzz", dependencies: ["Dockerfile", "StackModel"], path: "Tests/Fuzz/DockerfileFuzz",
            swiftSettings: swiftSettings + [.unsafeFlags(["-parse-as-library"])]))
    package.targets.append(
        .executableTarget(
            name: "netlink-fuzz", dependencies: ["Netlink"], path: "Tests/Fuzz/NetlinkFuzz",
            swiftSettings: swiftSettings + [.unsafeFlags(["-parse-as-library"])]))
    let images: [Target.Dependency] = ["Images", "Registry", "LinuxSystem", "CLinux"]
    for (name, folder) in [("layer-fuzz", "LayerFuzz"), ("document-fuzz", "DocumentFuzz")] {
        package.targets.append(
            .executableTarget(
                name: name, dependencies: images, path: "Tests/Fuzz/\(folder)",
                swiftSettings: swiftSettings + [.unsafeFlags(["-parse-as-library"])]))
    }
}

// Optimised, and not in the products: `make bench`.
if Context.environment["GANTRY_BENCH"] != nil {
    package.targets.append(
        .executableTarget(
            name: "plan-bench", dependencies: ["Reconciler", "StackModel"], path: "Benchmarks/PlanBench",
            swiftSettings: swiftSettings + [.unsafeFlags(["-parse-as-library"])]))
}
