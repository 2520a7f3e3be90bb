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

// struct linger: the next close(2) resets the connection.
static inline int gantry_reset_on_close(int fd) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}
