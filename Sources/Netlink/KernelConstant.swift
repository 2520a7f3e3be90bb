import CLinux

/// A numeric constant of a kernel header. Swift imports anonymous enums as `Int`, macros as `Int32` and named enums as
/// structs; this gives them one face.
public protocol KernelConstant {
    /// The number as the header defines it.
    var kernelValue: UInt32 { get }
}

extension Int: KernelConstant {
    public var kernelValue: UInt32 { UInt32(truncatingIfNeeded: self) }
}

extension Int32: KernelConstant {
    public var kernelValue: UInt32 { UInt32(bitPattern: self) }
}

extension UInt32: KernelConstant {
    public var kernelValue: UInt32 { self }
}

extension KernelConstant where Self: RawRepresentable, RawValue == UInt32 {
    public var kernelValue: UInt32 { rawValue }
}

extension KernelConstant {
    /// As an attribute or message type.
    var type16: UInt16 { UInt16(truncatingIfNeeded: kernelValue) }
}

extension cntl_msg_types: KernelConstant {}
extension ctattr_filter: KernelConstant {}
extension ctattr_ip: KernelConstant {}
extension ctattr_l4proto: KernelConstant {}
extension ctattr_protoinfo: KernelConstant {}
extension ctattr_protoinfo_tcp: KernelConstant {}
extension ctattr_counters: KernelConstant {}
extension ctattr_tuple: KernelConstant {}
extension ctattr_type: KernelConstant {}
extension in6_addr_gen_mode: KernelConstant {}
extension nf_tables_msg_types: KernelConstant {}
extension nfnl_batch_attributes: KernelConstant {}
extension nft_bitwise_attributes: KernelConstant {}
extension nft_byteorder_attributes: KernelConstant {}
extension nft_chain_attributes: KernelConstant {}
extension nft_cmp_attributes: KernelConstant {}
extension nft_counter_attributes: KernelConstant {}
extension nft_ct_attributes: KernelConstant {}
extension nft_data_attributes: KernelConstant {}
extension nft_dynset_attributes: KernelConstant {}
extension nft_expr_attributes: KernelConstant {}
extension nft_exthdr_attributes: KernelConstant {}
extension nft_fib_attributes: KernelConstant {}
extension nft_gen_attributes: KernelConstant {}
extension nft_hash_attributes: KernelConstant {}
extension nft_hook_attributes: KernelConstant {}
extension nft_immediate_attributes: KernelConstant {}
extension nft_list_attributes: KernelConstant {}
extension nft_log_attributes: KernelConstant {}
extension nft_lookup_attributes: KernelConstant {}
extension nft_masq_attributes: KernelConstant {}
extension nft_meta_attributes: KernelConstant {}
extension nft_nat_attributes: KernelConstant {}
extension nft_ng_attributes: KernelConstant {}
extension nft_payload_attributes: KernelConstant {}
extension nft_range_attributes: KernelConstant {}
extension nft_redir_attributes: KernelConstant {}
extension nft_reject_attributes: KernelConstant {}
extension nft_rt_attributes: KernelConstant {}
extension nft_rule_attributes: KernelConstant {}
extension nft_set_attributes: KernelConstant {}
extension nft_set_desc_attributes: KernelConstant {}
extension nft_set_elem_attributes: KernelConstant {}
extension nft_set_elem_list_attributes: KernelConstant {}
extension nft_set_field_attributes: KernelConstant {}
extension nft_table_attributes: KernelConstant {}
extension nft_verdict_attributes: KernelConstant {}
extension nlmsgerr_attrs: KernelConstant {}
extension rt_class_t: KernelConstant {}
extension rt_scope_t: KernelConstant {}
extension rtattr_type_t: KernelConstant {}
