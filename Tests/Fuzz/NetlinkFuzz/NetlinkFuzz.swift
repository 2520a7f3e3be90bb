/// What libFuzzer calls with each input: a datagram from a netlink socket. Whatever it holds, it is read as values or
/// refused with a `NetlinkError`; a crash, a hang, a fill of memory or a value that is not read back as it was written
/// is a fault.
///
///     make fuzz-netlink FUZZ_SECONDS=600
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzNetlink(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    if let strange = readEverything([UInt8](UnsafeBufferPointer(start: start, count: count))) {
        preconditionFailure(strange)
    }
    return 0
}
