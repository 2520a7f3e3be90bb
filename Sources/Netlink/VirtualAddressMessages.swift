import CLinux
import Glibc

extension MessageBuilder {
    /// Adds an address that the interface answers for but never sends from by itself: with an IPv6 one that is
    /// preferred, the longest match (RFC 6724, rule 8) would choose it over the interface's own.
    public mutating func newVirtualAddress(_ address: InterfaceAddress) {
        message(type: RTM_NEWADDR.type16, flags: NLM_F_CREATE | NLM_F_REPLACE) {
            let isV6 = address.address.count == 16
            let noDetection: UInt32 = isV6 ? IFA_F_NODAD.kernelValue : 0
            $0.appendNative(UInt8(truncatingIfNeeded: isV6 ? AF_INET6 : AF_INET))
            $0.appendNative(address.prefixLength)
            $0.appendNative(UInt8(truncatingIfNeeded: noDetection))
            $0.appendNative(UInt8(truncatingIfNeeded: RT_SCOPE_UNIVERSE.kernelValue))
            $0.appendNative(address.index)
            $0.put(IFA_LOCAL, address.address)
            $0.put(IFA_ADDRESS, address.address)
            guard isV6 else { return }
            // struct ifa_cacheinfo: preferred for no time, valid for ever, two times that the kernel fills in.
            let lifetimes: [UInt32] = [0, UInt32.max, 0, 0]
            $0.put(IFA_CACHEINFO, lifetimes.flatMap { value in withUnsafeBytes(of: value) { Array($0) } })
        }
    }
}
