// Sockets of the engine of a plain user: message sockets, and what forwards published ports.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

// The type and protocol constants import as enums of their own.
static inline int gantry_message_socket(void) { return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0); }
static inline int gantry_message_pair(int *ends) {
  return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}
static inline int gantry_ipv4_socket(int is_stream) {
  return socket(AF_INET, (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

// The address parameters are transparent unions.
static inline int gantry_accept_nonblocking(int fd) { return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

// Datagrams with the sender's address: address in network order, port in host order.
static inline ssize_t gantry_receive_ipv4(int fd, void *buffer, size_t count, uint32_t *address, uint16_t *port) {
  struct sockaddr_in from = {0};
  socklen_t length = sizeof from;
  ssize_t received = recvfrom(fd, buffer, count, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
  *address = from.sin_addr.s_addr;
  *port = ntohs(from.sin_port);
  return received;
}
static inline ssize_t gantry_send_ipv4(int fd, const void *buffer, size_t count, uint32_t address, uint16_t port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = address}};
  return sendto(fd, buffer, count, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
}

// struct linger: the next close(2) resets the connection.
static inline int gantry_reset_on_close(int fd) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}
