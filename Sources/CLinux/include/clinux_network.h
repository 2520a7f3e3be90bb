// Sockets, rtnetlink, nfnetlink: used by Netlink and ContainerNetwork.
#pragma once
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
