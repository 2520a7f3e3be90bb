// Traffic for measurements and tests, small enough for a container of its own. All figures go to standard output.
//
//   traffic serve PORT NAME      answers every connection with NAME and a newline, and closes it; after SIGTERM it goes on for
//                                a moment, as a server does that finishes what it has accepted
//   traffic echo PORT            sends back what it gets
//   traffic sink PORT            takes what it gets
//   traffic connect IP PORT S    for S seconds, one after the other: connect, read the answer, close
//   traffic ping IP PORT S       for S seconds: one byte there and back
//   traffic pour IP PORT S       for S seconds: as many bytes as go through one connection
//
// `connect` and `ping` print how many there were a second, and the median and 99th percentile in microseconds; `pour`
// prints gigabits a second. IP may be of either family. The servers listen on both.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096, CHUNK = 1 << 18, SAMPLES_MAX = 1 << 22, DRAIN_MS = 400, ERRORS_MAX = 20 };

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int listener(int port) {
    int one = 1, zero = 0, fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (void *)&six, sizeof six) == 0 && listen(fd, BACKLOG) == 0) return fd;
        close(fd);
    }
    fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (void *)&four, sizeof four) || listen(fd, BACKLOG)) fail("listen");
    return fd;
}

static int connection(const char *ip, int port) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    int is6 = strchr(ip, ':') != NULL;
    if (inet_pton(is6 ? AF_INET6 : AF_INET, ip, is6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1) fail(ip);
    int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    if (fd < 0) fail("socket");
    if (connect(fd, is6 ? (void *)&six : (void *)&four, is6 ? sizeof six : sizeof four) == 0) return fd;
    close(fd);
    return -1;
}

static volatile sig_atomic_t draining;
static void on_term(int number) {
    (void)number;
    if (draining++) return;
    struct itimerval left = {.it_value = {.tv_usec = DRAIN_MS * 1000}};
    setitimer(ITIMER_REAL, &left, NULL);
}
static void at_alarm(int number) {
    (void)number;
    _exit(0);
}

static void serve(int port, const char *name) {
    char answer[256];
    int length = snprintf(answer, sizeof answer, "%s\n", name), fd = listener(port);
    struct sigaction term = {.sa_handler = on_term, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &term, NULL);
    signal(SIGALRM, at_alarm);
    for (;;) {
        int client = accept(fd, NULL, NULL);
        if (client < 0) continue;
        if (write(client, answer, length) < 0) perror("write");
        close(client);
    }
}

static void each(int port, void (*work)(int)) {
    signal(SIGCHLD, SIG_IGN);
    int fd = listener(port), one = 1;
    for (;;) {
        int client = accept(fd, NULL, NULL);
        if (client < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (fork() == 0) {
            work(client);
            _exit(0);
        }
        close(client);
    }
}

static char chunk[CHUNK];

static void echo(int fd) {
    for (ssize_t count; (count = read(fd, chunk, sizeof chunk)) > 0;)
        if (write(fd, chunk, count) != count) return;
}
static void sink(int fd) {
    while (read(fd, chunk, sizeof chunk) > 0) {}
}

static int by_value(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void report(double *samples, size_t count, double microseconds, int errors) {
    qsort(samples, count, sizeof *samples, by_value);
    printf("%.0f %.1f %.1f %d\n", count / microseconds * 1e6, count ? samples[count / 2] : 0,
           count ? samples[count * 99 / 100] : 0, errors);
}

static void connect_often(const char *ip, int port, double seconds) {
    double *samples = malloc(SAMPLES_MAX * sizeof *samples), begun = now();
    size_t count = 0;
    int errors = 0;
    if (!samples) fail("malloc");
    while (now() - begun < seconds * 1e6 && count < SAMPLES_MAX && errors < ERRORS_MAX) {
        double start = now();
        int fd = connection(ip, port);
        char answer[256];
        if (fd < 0 || read(fd, answer, sizeof answer) <= 0) {
            errors++;
        } else {
            while (read(fd, answer, sizeof answer) > 0) {}
            // The server has closed: it keeps the waiting state, and our port is free for the next.
            samples[count++] = now() - start;
        }
        if (fd >= 0) close(fd);
    }
    report(samples, count, now() - begun, errors);
}

static void ping(const char *ip, int port, double seconds) {
    double *samples = malloc(SAMPLES_MAX * sizeof *samples);
    int fd = connection(ip, port), one = 1;
    if (fd < 0 || !samples) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    size_t count = 0;
    double begun = now();
    while (now() - begun < seconds * 1e6 && count < SAMPLES_MAX) {
        double start = now();
        char byte = 'x';
        if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) fail("ping");
        samples[count++] = now() - start;
    }
    report(samples, count, now() - begun, 0);
}

static void pour(const char *ip, int port, double seconds) {
    int fd = connection(ip, port);
    if (fd < 0) fail("connect");
    double begun = now(), bytes = 0;
    while (now() - begun < seconds * 1e6) {
        ssize_t count = write(fd, chunk, sizeof chunk);
        if (count < 0) fail("write");
        bytes += count;
    }
    printf("%.3f\n", bytes * 8 / (now() - begun) / 1e3);
}

int main(int count, char **words) {
    signal(SIGPIPE, SIG_IGN);
    const char *mode = count > 2 ? words[1] : "";
    if (!strcmp(mode, "serve") && count == 4) serve(atoi(words[2]), words[3]);
    if (!strcmp(mode, "echo")) each(atoi(words[2]), echo);
    if (!strcmp(mode, "sink")) each(atoi(words[2]), sink);
    if (count != 5) return fprintf(stderr, "traffic: see the first lines of traffic.c\n"), 2;
    if (!strcmp(mode, "connect")) connect_often(words[2], atoi(words[3]), atof(words[4]));
    if (!strcmp(mode, "ping")) ping(words[2], atoi(words[3]), atof(words[4]));
    if (!strcmp(mode, "pour")) pour(words[2], atoi(words[3]), atof(words[4]));
    return 0;
}
