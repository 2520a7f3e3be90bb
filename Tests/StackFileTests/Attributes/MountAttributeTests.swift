import StackModel
import Testing

@testable import StackFile

/// Volumes, folders in memory, configs, secrets and devices of a service.
struct MountAttributeTests {
    private let top = "volumes: {data: , other: }"

    private static func bind(_ source: String, _ target: String, readOnly: Bool = false) -> Mount {
        with(Mount(kind: .bind, source: source, target: target, readOnly: readOnly)) { $0.createHostPath = true }
    }

    private static func volume(_ source: String?, _ target: String, readOnly: Bool = false) -> Mount {
        Mount(kind: .volume, source: source, target: target, readOnly: readOnly)
    }

    @Test(arguments: [
        ("/var/lib/mysql", volume(nil, "/var/lib/mysql")),
        ("/opt/data:/var/lib/mysql", bind("/opt/data", "/var/lib/mysql")),
        ("./cache:/tmp/cache", bind("/work/demo/cache", "/tmp/cache")), (".:/code", bind("/work/demo", "/code")),
        ("../up:/up", bind("/work/up", "/up")),
        ("~/configs:/etc/configs/:ro", bind("/home/me/configs", "/etc/configs", readOnly: true)),
        ("data:/var/lib/mysql", volume("data", "/var/lib/mysql")), ("data:/d:ro", volume("data", "/d", readOnly: true)),
        ("data:/d:rw", volume("data", "/d")), ("data:/d:nocopy", with(volume("data", "/d")) { $0.noCopy = true }),
        // Options that compose-go does not know in the short syntax are dropped.
        ("data:/d:volume-nocopy", volume("data", "/d")), ("/a:/b:cached", bind("/a", "/b")),
        ("/a:/b:z", with(bind("/a", "/b")) { $0.selinux = "z" }),
        ("/a:/b:ro,Z", with(bind("/a", "/b", readOnly: true)) { $0.selinux = "Z" }),
        ("/a:/b:rslave", with(bind("/a", "/b")) { $0.propagation = "rslave" }),
        ("/a:/b:ro,shared", with(bind("/a", "/b", readOnly: true)) { $0.propagation = "shared" }),
    ])
    func shortVolume(text: String, mount: Mount) throws {
        try expect("volumes: [\"\(text)\"]", \.mounts, [mount], top: top)
    }

    @Test(arguments: [
        ("type: bind, source: /a, target: /b", bind("/a", "/b")),
        ("type: bind, source: ./a, target: /b, read_only: true", bind("/work/demo/a", "/b", readOnly: true)),
        (
            "type: bind, source: /a, target: /b, bind: {create_host_path: false}",
            with(bind("/a", "/b")) { $0.createHostPath = false }
        ),
        ("type: bind, source: /a, target: /b, bind: {create_host_path: \"true\"}", bind("/a", "/b")),
        (
            "type: bind, source: /a, target: /b, bind: {propagation: rshared}",
            with(bind("/a", "/b")) { $0.propagation = "rshared" }
        ),
        ("type: bind, source: /a, target: /b, bind: {selinux: z}", with(bind("/a", "/b")) { $0.selinux = "z" }),
        (
            "type: bind, source: /a, target: /b, consistency: delegated",
            with(bind("/a", "/b")) { $0.consistency = "delegated" }
        ),
        ("type: volume, source: data, target: /d", volume("data", "/d")),
        ("type: volume, target: /d", volume(nil, "/d")),
        (
            "type: volume, source: data, target: /d, volume: {nocopy: true}",
            with(volume("data", "/d")) { $0.noCopy = true }
        ),
        (
            "type: volume, source: data, target: /d, volume: {subpath: sub/dir}",
            with(volume("data", "/d")) { $0.subpath = "sub/dir" }
        ),
        (
            "type: volume, source: data, target: /d, volume: {labels: {a: b}}",
            with(volume("data", "/d")) { $0.volumeLabels = ["a": "b"] }
        ),
        (
            "type: volume, source: data, target: /d, volume: {labels: [a=b]}",
            with(volume("data", "/d")) { $0.volumeLabels = ["a": "b"] }
        ),
        ("type: tmpfs, target: /t", Mount(kind: .tmpfs, target: "/t")),
        ("type: tmpfs, target: /t, tmpfs: {size: 10000}", with(Mount(kind: .tmpfs, target: "/t")) { $0.size = 10_000 }),
        (
            "type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0o1777}",
            with(Mount(kind: .tmpfs, target: "/t")) {
                $0.size = 1 << 20
                $0.mode = 0o1777
            }
        ),
        ("type: tmpfs, target: /t, tmpfs: {size: 0}", with(Mount(kind: .tmpfs, target: "/t")) { $0.size = 0 }),
        (
            "type: image, source: app/image, target: /i, image: {subpath: /foo}",
            with(Mount(kind: .image, source: "app/image", target: "/i")) { $0.subpath = "/foo" }
        ),
        ("type: npipe, source: a, target: /b", Mount(kind: .npipe, source: "a", target: "/b")),
        ("type: cluster, source: a, target: /b", Mount(kind: .cluster, source: "a", target: "/b")),
    ])
    func longVolume(text: String, mount: Mount) throws {
        try expect("volumes: [{\(text)}]", \.mounts, [mount], top: top)
    }

    @Test(arguments: ["enabled", "disabled", "writable", "readonly"])
    func recursion(word: String) throws {
        try expect(
            "volumes: [{type: bind, source: /a, target: /b, bind: {recursive: \(word)}}]", \.mounts.first?.recursion,
            Mount.Recursion(rawValue: word))
    }

    @Test func foldersInMemory() throws {
        try expect("tmpfs: /run", \.mounts, [Mount(kind: .tmpfs, target: "/run")])
        try expect(
            "tmpfs: [/run, /tmp]", \.mounts, [Mount(kind: .tmpfs, target: "/run"), Mount(kind: .tmpfs, target: "/tmp")])
        try expect(
            "tmpfs: [\"/run:mode=755,size=1m,uid=1009\"]", \.mounts,
            [
                with(Mount(kind: .tmpfs, target: "/run")) {
                    $0.mode = 0o755
                    $0.size = 1 << 20
                }
            ])
        try expect("tmpfs: [\"/run:ro\"]", \.mounts, [Mount(kind: .tmpfs, target: "/run", readOnly: true)])
    }

    @Test func volumesFrom() throws {
        try expect(
            "volumes_from: [bar, \"bar:ro\", \"container:name\", \"container:name:rw\"]", \.volumesFrom,
            ["bar", "bar:ro", "container:name", "container:name:rw"], top: "  bar: {image: b}")
    }

    @Test func configs() throws {
        let top = "configs: {config1: {content: a}, config2: {content: b}}"
        try expect(
            "configs: [config1, {source: config2, target: /my_config, uid: \"103\", gid: \"104\", mode: 0440}]",
            \.configs,
            [
                FileMount(source: "config1", target: "/config1"),
                FileMount(source: "config2", target: "/my_config", uid: 103, gid: 104, mode: 0o440),
            ], top: top)
        try expect(
            "configs: [{source: config1}]", \.configs, [FileMount(source: "config1", target: "/config1")], top: top)
        try expect("configs: [{source: config1, target: dir/name}]", \.configs.first?.target, "/dir/name", top: top)
    }

    @Test func secrets() throws {
        let top = "secrets: {secret1: {environment: TOKEN}, secret2: {environment: TOKEN}}"
        try expect(
            "secrets: [secret1, {source: secret2, target: my_secret, uid: \"103\", gid: \"104\", mode: 0440}]",
            \.secrets,
            [
                FileMount(source: "secret1", target: "/run/secrets/secret1"),
                FileMount(source: "secret2", target: "/run/secrets/my_secret", uid: 103, gid: 104, mode: 0o440),
            ], top: top)
        for mode in ["0o440", "0440", "\"0440\"", "288"] {
            try expect("secrets: [{source: secret1, mode: \(mode)}]", \.secrets.first?.mode, 0o440, top: top)
        }
        try expect("secrets: [{source: secret1, target: /etc/abs}]", \.secrets.first?.target, "/etc/abs", top: top)
    }

    @Test func devices() throws {
        try expect(
            "devices: [\"/dev/ttyUSB0:/dev/ttyUSB0\", \"/dev/sda:/dev/xvda:rwm\", /dev/single, "
                + "\"/dev/a:r\", vendor.com/class=dev]",
            \.devices,
            [
                "/dev/ttyUSB0:/dev/ttyUSB0:rwm", "/dev/sda:/dev/xvda:rwm", "/dev/single:/dev/single:rwm",
                "/dev/a:/dev/a:r", "vendor.com/class=dev",
            ])
        try expect(
            "devices: [{source: /dev/source, target: /dev/target, permissions: rw}, {source: /dev/alone}]", \.devices,
            ["/dev/source:/dev/target:rw", "/dev/alone:/dev/alone:rwm"])
        try expect(
            "device_cgroup_rules: [\"c 1:3 mr\", \"a 7:* rmw\"]", \.deviceCgroupRules, ["c 1:3 mr", "a 7:* rmw"])
    }

    @Test func storage() throws {
        try expect("read_only: true", \.readOnly, true)
        try expect("shm_size: 64m", \.shmSize, 64 << 20)
        try expect("shm_size: 10000", \.shmSize, 10_000)
        try expect("storage_opt: {size: 1G}", \.storageOptions, ["size": "1G"])
        try expect("use_api_socket: true", \.useAPISocket, true)
    }
}
