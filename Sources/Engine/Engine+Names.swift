import CLinux
import ContainerNetwork
import Glibc
import InternetAddress
import LinuxSystem
import Reconciler
import StackModel

/// What a container is called, and the files that tell it its names. One in the host's network, or in another
/// container's, goes by theirs.
extension Engine {
    /// `host-gateway` in `extra_hosts` when the container has no gateway.
    private static let noGateway = "127.0.0.1"
    private static let hostFileByteCountMax = 4 << 20

    struct Names {
        var hostname: String
        var domainname: String?
        /// Whose `hosts`, `hostname` and `resolv.conf` the container reads.
        var owner: StoredContainer
    }

    func names(of stored: StoredContainer) -> Names {
        let chain = networkChain(of: stored)
        let last = chain[chain.count - 1]
        let standard = last.networkMode == "host" ? hostName() : last.shortID
        return Names(
            hostname: chain.lazy.compactMap(\.definition.service.hostname).first ?? standard,
            domainname: chain.lazy.compactMap(\.definition.service.domainname).first,
            owner: chain.first { $0.definition.service.saysNames } ?? last)
    }

    /// The container, the one whose network it is in, and so on up to one that has a network, or the host's.
    private func networkChain(of stored: StoredContainer) -> [StoredContainer] {
        var chain = [stored]
        while let next = chain[chain.count - 1].networkMode.flatMap({ namedContainer($0, chain[chain.count - 1]) }),
            !chain.contains(where: { $0.id == next.stored.id })
        {
            chain.append(next.stored)
        }
        return chain
    }

    /// Whom `service:NAME` or `container:NAME` means: one that runs, where any of them does.
    func namedContainer(_ mode: String, _ stored: StoredContainer) -> Container? {
        let name = String(mode.drop { $0 != ":" }.dropFirst())
        // One that is gone has no names to give.
        if mode.hasPrefix("container:") { return try? container(name) }
        guard mode.hasPrefix("service:") else { return nil }
        func rank(_ container: Container) -> (Int, Int, Int, String) {
            let stored = container.stored
            return (container.process == nil ? 1 : 0, stored.oneOff ? 1 : 0, stored.number, stored.id)
        }
        return containers.values.filter { $0.stored.stackName == stored.stackName && $0.stored.service == name }
            .min { rank($0) < rank($1) }
    }

    /// The host's addresses as the container reaches them: where its default routes go, else those of its networks'
    /// bridges. One of each family.
    private func hostGateways(_ stored: StoredContainer) -> [String] {
        let routers = stored.attachments.flatMap { attachment in
            networks[attachment.network]?.hasBridge == true ? attachment.interface.gateways : []
        }
        let bridges = stored.attachments.flatMap { attachment in
            guard let network = networks[attachment.network], network.hasBridge else { return [IPAddress]() }
            return network.bridge.subnets.compactMap(\.gateway)
        }
        let found = [false, true].compactMap { isV6 in (routers + bridges).first { $0.isV6 == isV6 } }
        return found.isEmpty ? [Self.noGateway] : found.map(\.description)
    }

    /// Small files on our own disk: written here, not on the pool, to keep a start to one hop.
    func writeNameFiles(_ stored: StoredContainer, hostname: String, folder: String) throws(EngineError) {
        let chain = networkChain(of: stored)
        // Whose interfaces the container sees.
        let last = chain[chain.count - 1]
        let service = service(stored, over: last)
        let gateways = hostGateways(last)
        let extra =
            service.extraHosts.flatMap { host in
                (host.address == "host-gateway" ? gateways : [host.address]).map { (name: host.name, address: $0) }
            } + linkedHosts(of: last)
        let addresses = last.attachments.flatMap { attachment in
            attachment.interface.addresses.map(\.address).filter { !$0.isLinkLocalUnicast }.map(\.description)
        }
        // As Docker has it: what the user says is not overruled by what the host says of the same name.
        let readsHosts = last.networkMode == "host" && service.extraHosts.isEmpty
        do throws(SystemError) {
            try FileSystem.makeDirectories(folder)
            let hosts = hostsFile(
                hostFile: readsHosts ? try hostFile("/etc/hosts") : nil, hostname: hostname,
                domainname: service.domainname, addresses: addresses, extra: extra)
            let resolver = resolvConf(
                service, hostFile: try hostFile("/etc/resolv.conf"), embedded: !last.attachments.isEmpty)
            for (name, text) in [("hosts", hosts), ("hostname", hostname + "\n"), ("resolv.conf", resolver)] {
                try FileSystem.replaceFile("\(folder)/\(name)", with: text.utf8, mode: 0o644)
            }
        } catch {
            throw .system(error)
        }
    }

    /// What a stack file says beside the network of another container goes before that one's own.
    private func service(_ stored: StoredContainer, over owner: StoredContainer) -> Service {
        var service = stored.definition.service
        guard stored.id != owner.id else { return service }
        let other = owner.definition.service
        service.extraHosts += other.extraHosts
        if service.dns.isEmpty { service.dns = other.dns }
        if service.dnsSearch.isEmpty { service.dnsSearch = other.dnsSearch }
        if service.dnsOptions.isEmpty { service.dnsOptions = other.dnsOptions }
        service.domainname = service.domainname ?? other.domainname
        return service
    }

    private func hostFile(_ path: String) throws(SystemError) -> String {
        guard FileSystem.exists(path) else { return "" }
        return String(decoding: try FileSystem.readFile(path, byteCountMax: Self.hostFileByteCountMax), as: UTF8.self)
    }

    /// The host's own name, uname(2).
    private func hostName() -> String {
        var names = utsname()
        uname(&names)
        // SAFETY: a fixed array of the kernel's, read within its own size.
        return withUnsafeBytes(of: &names.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

extension Service {
    /// Something of its own stands in its `hosts`, `hostname` or `resolv.conf`.
    fileprivate var saysNames: Bool {
        hostname != nil || domainname != nil || !extraHosts.isEmpty || !dns.isEmpty || !dnsSearch.isEmpty
            || !dnsOptions.isEmpty
    }
}
