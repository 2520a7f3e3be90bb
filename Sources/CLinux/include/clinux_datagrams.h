// Datagrams in batches and of either family, and descriptors over Unix sockets: used by NameServer, PortRelay and
// NetworkService.
#pragma once
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

// mmsghdr arrays point into each other. Up to `count` (at most 64) datagrams, each into a slot of its own; returns how
// many came.
static inline int gantry_receive_datagrams(
    int fd, uint8_t *bytes, size_t slot, int count, uint32_t *lengths, struct sockaddr_in *senders) {
  struct mmsghdr messages[64];
  struct iovec parts[64];
  if (count > 64) count = 64;
  for (int i = 0; i < count; i++) {
    parts[i] = (struct iovec){.iov_base = bytes + (size_t)i * slot, .iov_len = slot};
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = &senders[i], .msg_namelen = sizeof senders[i], .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  int received = recvmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT, NULL);
  for (int i = 0; i < received; i++) lengths[i] = messages[i].msg_len;
  return received;
}
// Sends the slots among the first `count` (at most 64) whose length is not 0.
static inline int gantry_send_datagrams(
    int fd, uint8_t *bytes, size_t slot, int count, const uint32_t *lengths, struct sockaddr_in *receivers) {
  struct mmsghdr messages[64];
  struct iovec parts[64];
  int used = 0;
  for (int i = 0; i < count && i < 64; i++) {
    if (lengths[i] == 0) continue;
    parts[used] = (struct iovec){.iov_base = bytes + (size_t)i * slot, .iov_len = lengths[i]};
    messages[used].msg_hdr = (struct msghdr){
        .msg_name = &receivers[i], .msg_namelen = sizeof receivers[i], .msg_iov = &parts[used], .msg_iovlen = 1};
    used++;
  }
  int sent = 0;
  while (sent < used) {
    int now = sendmmsg(fd, messages + sent, (unsigned)(used - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
    // The first that is not taken is dropped; those behind it have their turn.
    sent += now > 0 ? now : 1;
  }
  return sent;
}

// A datagram with its sender, of either family: what is not written of `sender` stays.
static inline ssize_t gantry_receive_from(
    int fd, void *buffer, size_t count, struct sockaddr_in6 *sender, socklen_t *length) {
  *length = sizeof *sender;
  return recvfrom(fd, buffer, count, MSG_DONTWAIT, (struct sockaddr *)sender, length);
}
static inline ssize_t gantry_send_to(
    int fd, const void *buffer, size_t count, const struct sockaddr_in6 *receiver, socklen_t length) {
  return sendto(fd, buffer, count, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)receiver, length);
}

// A socket bound to an IPv6 address (16 bytes, network order) and nothing of IPv4; a stream socket listens. Returns the
// descriptor or -1.
static inline int gantry_ipv6_listener(int is_stream, const uint8_t *bytes, uint16_t port_host_order) {
  int fd = socket(AF_INET6, (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port_host_order)};
  memcpy(&address.sin6_addr, bytes, 16);
  int one = 1;
  if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0 &&
      (!is_stream || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0) &&
      bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && (!is_stream || listen(fd, SOMAXCONN) == 0))
    return fd;
  int code = errno;
  close(fd);
  errno = code;
  return -1;
}

// CMSG_* do not import: up to four descriptors with some bytes.
static inline ssize_t gantry_send_descriptors(
    int socket, const int *descriptors, int descriptor_count, const void *bytes, size_t count) {
  struct iovec data = {.iov_base = (void *)bytes, .iov_len = count};
  union {
    char bytes[CMSG_SPACE(4 * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
  if (descriptor_count > 4) {
    errno = EINVAL;
    return -1;
  }
  if (descriptor_count > 0) {
    size_t size = (size_t)descriptor_count * sizeof(int);
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), descriptors, size);
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL);
}
// Bytes that came, 0 at the end; descriptors are close-on-exec. -1 with EMSGSIZE when the message was cut off: none of
// its descriptors stay open.
static inline ssize_t gantry_receive_descriptors(
    int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count) {
  struct iovec data = {.iov_base = bytes, .iov_len = count};
  union {
    char bytes[CMSG_SPACE(4 * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  *descriptor_count = 0;
  ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (received < 0) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    *descriptor_count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(descriptors, CMSG_DATA(header), (size_t)*descriptor_count * sizeof(int));
  }
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
    for (int i = 0; i < *descriptor_count; i++) close(descriptors[i]);
    *descriptor_count = 0;
    errno = EMSGSIZE;
    return -1;
  }
  return received;
}
// struct timeval's fields differ by libc: both directions of a socket.
static inline int gantry_socket_patience(int fd, int milliseconds) {
  struct timeval patience = {.tv_sec = milliseconds / 1000, .tv_usec = (milliseconds % 1000) * 1000};
  return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) ||
                 setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience)
             ? -1
             : 0;
}
