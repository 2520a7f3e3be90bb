// dnsq SERVER PORT NAME COUNT WINDOW: asks for the name's addresses, at most WINDOW questions under way, and prints
// "answered lost seconds median_us p99_us".
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static int compare(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return difference < 0 ? -1 : difference > 0;
}

static int question(unsigned char *packet, const char *name) {
  static const unsigned char header[12] = {0, 0, 1, 0, 0, 1};
  memcpy(packet, header, sizeof header);
  int length = sizeof header;
  while (*name) {
    size_t label = strcspn(name, ".");
    packet[length++] = (unsigned char)label;
    memcpy(packet + length, name, label);
    length += (int)label;
    name += label + (name[label] == '.');
  }
  static const unsigned char end[5] = {0, 0, 1, 0, 1};
  memcpy(packet + length, end, sizeof end);
  return length + (int)sizeof end;
}

int main(int count, char **arguments) {
  if (count != 6) return 2;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[2]))};
  inet_pton(AF_INET, arguments[1], &server.sin_addr);
  if (connect(fd, (struct sockaddr *)&server, sizeof server)) return perror("connect"), 1;
  struct timeval patience = {.tv_sec = 2};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  unsigned char packet[512], reply[4096];
  int length = question(packet, arguments[3]), total = atoi(arguments[4]), window = atoi(arguments[5]);
  double *asked = calloc(65536, sizeof *asked), *took = calloc((size_t)total + 1, sizeof *took);
  int sent = 0, answered = 0, lost = 0;
  double start = now();
  while (answered + lost < total) {
    while (sent < total && sent - answered - lost < window) {
      packet[0] = (unsigned char)(sent >> 8);
      packet[1] = (unsigned char)sent;
      asked[sent & 0xffff] = now();
      if (send(fd, packet, (size_t)length, 0) != length) return perror("send"), 1;
      sent++;
    }
    ssize_t received = recv(fd, reply, sizeof reply, 0);
    if (received < 12) {
      lost = sent - answered;
      continue;
    }
    if ((reply[3] & 15) || !reply[7]) return fprintf(stderr, "no address in the answer\n"), 1;
    took[answered++] = now() - asked[reply[0] << 8 | reply[1]];
  }
  double seconds = now() - start;
  qsort(took, (size_t)answered, sizeof *took, compare);
  printf("%d %d %.6f %.1f %.1f\n", answered, lost, seconds, took[answered / 2] * 1e6,
         took[(int)(answered * 0.99)] * 1e6);
  return 0;
}
