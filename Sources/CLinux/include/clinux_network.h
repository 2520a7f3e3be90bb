// Sockets, rtnetlink, nfnetlink: used by Netlink and ContainerNetwork.
#pragma once
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
// The kernel's headers come after glibc's: <linux/libc-compat.h> then leaves out what both declare.
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/neighbour.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/veth.h>

// Function-like or cast macros that do not import.
static const uint32_t gantry_nft_data_verdict = NFT_DATA_VERDICT;
static const uint32_t gantry_nla_type_mask = (uint16_t)NLA_TYPE_MASK;

// Absent from the uapi headers of the build host or private to net/netfilter/nf_conntrack_netlink.c: which fields of a
// tuple CTA_FILTER compares (enum ctattr_filter flags, kernel >= 5.8).
static const uint32_t gantry_cta_filter_ip_src = 1 << 0;
static const uint32_t gantry_cta_filter_ip_dst = 1 << 1;
static const uint32_t gantry_cta_filter_proto_num = 1 << 3;
static const uint32_t gantry_cta_filter_proto_src_port = 1 << 4;
static const uint32_t gantry_cta_filter_proto_dst_port = 1 << 5;

// setns(2) and unshare(2) are declared by <sched.h> only under _GNU_SOURCE; sockaddr casts do not import.
static inline int gantry_bind_netlink(int fd, struct sockaddr_nl *address) {
  return bind(fd, (struct sockaddr *)address, sizeof *address);
}
static inline int gantry_getsockname_netlink(int fd, struct sockaddr_nl *address) {
  socklen_t length = sizeof *address;
  return getsockname(fd, (struct sockaddr *)address, &length);
}
static inline long gantry_sendto_kernel(int fd, const void *bytes, size_t count) {
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  return sendto(fd, bytes, count, 0, (struct sockaddr *)&kernel, sizeof kernel);
}
// Returns the datagram's whole length, also when it is longer than the buffer (MSG_TRUNC); `sender` gets its port id.
static inline long gantry_recvfrom_netlink(int fd, void *buffer, size_t count, int flags, uint32_t *sender) {
  struct sockaddr_nl from = {0};
  socklen_t length = sizeof from;
  long received = recvfrom(fd, buffer, count, flags | MSG_TRUNC, (struct sockaddr *)&from, &length);
  *sender = from.nl_pid;
  return received;
}
static inline int gantry_bind_ipv4(int fd, uint32_t address_network_order, uint16_t port_host_order) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port_host_order), .sin_addr = {.s_addr = address_network_order}};
  return bind(fd, (struct sockaddr *)&address, sizeof address);
}
// Port of a bound IPv4 socket, host order; -1 with errno on failure.
static inline int gantry_local_port_ipv4(int fd) {
  struct sockaddr_in address = {0};
  socklen_t length = sizeof address;
  return getsockname(fd, (struct sockaddr *)&address, &length) < 0 ? -1 : ntohs(address.sin_port);
}
// glibc's transparent unions of sockaddr pointers do not import.
static inline int gantry_connect_ipv4(int fd, uint32_t address_network_order, uint16_t port_host_order) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port_host_order), .sin_addr = {.s_addr = address_network_order}};
  return connect(fd, (struct sockaddr *)&address, sizeof address);
}
// The connecting side's address, network order, is stored in `peer`.
static inline int gantry_accept_ipv4(int fd, uint32_t *peer) {
  struct sockaddr_in address = {0};
  socklen_t length = sizeof address;
  int accepted = accept4(fd, (struct sockaddr *)&address, &length, SOCK_CLOEXEC);
  *peer = address.sin_addr.s_addr;
  return accepted;
}
