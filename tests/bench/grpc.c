/* A load of etcd's KV.Put calls: just as much of HTTP/2 and gRPC as that takes, written out by
 * hand so that the client costs little beside the server. Each connection carries several
 * calls at a time. It is no general client: of the answer's headers it reads nothing, and an
 * answer counts if it brought a message. */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define CONNECTIONS_MAX 8u
#define CALLS_MAX 64u /* a connection */
#define FRAME_HEAD_SIZE 9u
#define RECEIVE_WINDOW 65535u
#define LATENCIES_MAX 1000000u

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8
};
/* One gRPC message: PutRequest { bytes key = 1; bytes value = 2; } */
#define KEY_SIZE 8u
#define PUT_SIZE (2u + KEY_SIZE + 3u + BENCH_ENTRY_SIZE)
#define DATA_SIZE (5u + PUT_SIZE)

#define FLAG_END_STREAM 1u
#define FLAG_ACK 1u
#define FLAG_END_HEADERS 4u

struct call {
    uint32_t stream; /* 0: free */
    bool answered;   /* a message came */
    double begin_ms;
};

struct connection {
    int fd;
    uint32_t next_stream;
    uint64_t send_window;
    uint32_t received; /* bytes of data since the last window update */
    unsigned calls_wanted;
    struct call calls[CALLS_MAX];
    uint8_t buffer[65536];
    size_t size;
};

struct load {
    struct connection connections[CONNECTIONS_MAX];
    unsigned connection_count;
    uint32_t *latencies_us;
    size_t latency_count;
    uint64_t failed;
    bool ended;
};

static void send_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = send(fd, bytes, size, MSG_NOSIGNAL);

        if (count <= 0) {
            process_die("etcd closed a connection: %s", strerror(errno));
        }
        bytes += count;
        size -= (size_t)count;
    }
}

static size_t put_frame_head(uint8_t *room, size_t size, enum frame_type type, unsigned flags,
                             uint32_t stream)
{
    room[0] = (uint8_t)(size >> 16);
    room[1] = (uint8_t)(size >> 8);
    room[2] = (uint8_t)size;
    room[3] = (uint8_t)type;
    room[4] = (uint8_t)flags;
    room[5] = (uint8_t)(stream >> 24);
    room[6] = (uint8_t)(stream >> 16);
    room[7] = (uint8_t)(stream >> 8);
    room[8] = (uint8_t)stream;
    return FRAME_HEAD_SIZE;
}

/* Literal headers without indexing, names from the static table where it has them. */
static size_t put_headers(uint8_t *room, uint32_t stream)
{
    static const char path[] = "/etcdserverpb.KV/Put";
    static const char authority[] = "127.0.0.1";
    static const char type[] = "application/grpc";
    uint8_t *next = room + FRAME_HEAD_SIZE;

    *next++ = 0x83; /* :method POST */
    *next++ = 0x86; /* :scheme http */
    *next++ = 0x04; /* :path */
    *next++ = sizeof path - 1;
    memcpy(next, path, sizeof path - 1);
    next += sizeof path - 1;
    *next++ = 0x01; /* :authority */
    *next++ = sizeof authority - 1;
    memcpy(next, authority, sizeof authority - 1);
    next += sizeof authority - 1;
    *next++ = 0x0f; /* content-type: 31 = 15 + 16 */
    *next++ = 0x10;
    *next++ = sizeof type - 1;
    memcpy(next, type, sizeof type - 1);
    next += sizeof type - 1;
    memcpy(next, "\0\x02te\x08trailers", 13);
    next += 13;
    (void)put_frame_head(room, (size_t)(next - room) - FRAME_HEAD_SIZE, FRAME_HEADERS,
                         FLAG_END_HEADERS, stream);
    return (size_t)(next - room);
}

static size_t put_message(uint8_t *room, uint32_t stream)
{
    uint8_t key[KEY_SIZE] = "bench/";
    uint8_t *next = room + put_frame_head(room, DATA_SIZE, FRAME_DATA, FLAG_END_STREAM, stream);

    if (getrandom(key + 6, 2, 0) != 2) {
        process_die("no random bytes");
    }
    key[6] &= 3;
    key[7] %= 250;
    *next++ = 0; /* not compressed */
    *next++ = 0;
    *next++ = 0;
    *next++ = (uint8_t)(PUT_SIZE >> 8);
    *next++ = (uint8_t)PUT_SIZE;
    *next++ = 0x0a;
    *next++ = sizeof key;
    memcpy(next, key, sizeof key);
    next += sizeof key;
    *next++ = 0x12;
    *next++ = (uint8_t)(0x80 | (BENCH_ENTRY_SIZE & 0x7f));
    *next++ = (uint8_t)(BENCH_ENTRY_SIZE >> 7);
    memset(next, 7, BENCH_ENTRY_SIZE);
    next += BENCH_ENTRY_SIZE;
    return (size_t)(next - room);
}

static void begin_call(struct connection *connection, struct call *call)
{
    uint8_t frames[1024];
    size_t size;

    *call = (struct call){.stream = connection->next_stream, .begin_ms = process_now_ms()};
    connection->next_stream += 2;
    size = put_headers(frames, call->stream);
    size += put_message(frames + size, call->stream);
    connection->send_window -= DATA_SIZE;
    send_all(connection->fd, frames, size);
}

static void begin_calls(struct load *load, struct connection *connection)
{
    for (unsigned i = 0; i < connection->calls_wanted && !load->ended; i++) {
        if (connection->calls[i].stream == 0 && connection->send_window >= DATA_SIZE) {
            begin_call(connection, &connection->calls[i]);
        }
    }
}

static struct call *find_call(struct connection *connection, uint32_t stream)
{
    for (unsigned i = 0; i < connection->calls_wanted; i++) {
        if (stream != 0 && connection->calls[i].stream == stream) {
            return &connection->calls[i];
        }
    }
    return NULL;
}

static void end_call(struct load *load, struct call *call)
{
    if (!call->answered) {
        load->failed++;
    } else if (load->latency_count < LATENCIES_MAX) {
        load->latencies_us[load->latency_count++] =
            (uint32_t)((process_now_ms() - call->begin_ms) * 1000);
    }
    call->stream = 0;
}

static void send_window_update(struct connection *connection)
{
    uint8_t frame[FRAME_HEAD_SIZE + 4];
    uint32_t size = connection->received;

    (void)put_frame_head(frame, 4, FRAME_WINDOW_UPDATE, 0, 0);
    frame[9] = (uint8_t)(size >> 24);
    frame[10] = (uint8_t)(size >> 16);
    frame[11] = (uint8_t)(size >> 8);
    frame[12] = (uint8_t)size;
    send_all(connection->fd, frame, sizeof frame);
    connection->received = 0;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void receive_data(struct connection *connection, struct call *call, size_t size)
{
    connection->received += (uint32_t)size;
    if (connection->received > RECEIVE_WINDOW / 2) {
        send_window_update(connection);
    }
    if (call != NULL && size > 0) {
        call->answered = true;
    }
}

static void acknowledge(struct connection *connection, enum frame_type type, const uint8_t *body,
                        size_t size)
{
    uint8_t frame[FRAME_HEAD_SIZE + 8];

    (void)put_frame_head(frame, size, type, FLAG_ACK, 0);
    memcpy(frame + FRAME_HEAD_SIZE, body, size);
    send_all(connection->fd, frame, FRAME_HEAD_SIZE + size);
}

static void receive_frame(struct load *load, struct connection *connection, const uint8_t *head,
                          size_t size)
{
    const uint8_t *body = head + FRAME_HEAD_SIZE;
    unsigned flags = head[4];
    uint32_t stream = read_u32(head + 5) & 0x7fffffffu;
    struct call *call = find_call(connection, stream);

    switch (head[3]) {
    case FRAME_DATA:
        receive_data(connection, call, size);
        break;
    case FRAME_SETTINGS:
        if ((flags & FLAG_ACK) == 0) {
            acknowledge(connection, FRAME_SETTINGS, body, 0);
        }
        return;
    case FRAME_PING:
        if ((flags & FLAG_ACK) == 0 && size == 8) {
            acknowledge(connection, FRAME_PING, body, size);
        }
        return;
    case FRAME_WINDOW_UPDATE:
        if (stream == 0 && size == 4) {
            connection->send_window += read_u32(body) & 0x7fffffffu;
        }
        return;
    case FRAME_GOAWAY:
        process_die("etcd refuses the connection");
    case FRAME_RST_STREAM:
        flags |= FLAG_END_STREAM;
        break;
    default:
        break;
    }
    if (call != NULL && (flags & FLAG_END_STREAM) != 0) {
        end_call(load, call);
    }
}

static void receive(struct load *load, struct connection *connection)
{
    ssize_t count = recv(connection->fd, connection->buffer + connection->size,
                         sizeof connection->buffer - connection->size, 0);
    size_t used = 0;

    if (count <= 0) {
        process_die("etcd closed a connection");
    }
    connection->size += (size_t)count;
    while (connection->size - used >= FRAME_HEAD_SIZE) {
        const uint8_t *head = connection->buffer + used;
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

        if (FRAME_HEAD_SIZE + size > sizeof connection->buffer) {
            process_die("etcd sent a frame of %zu bytes", size);
        }
        if (connection->size - used < FRAME_HEAD_SIZE + size) {
            break;
        }
        receive_frame(load, connection, head, size);
        used += FRAME_HEAD_SIZE + size;
    }
    connection->size -= used;
    memmove(connection->buffer, connection->buffer + used, connection->size);
    begin_calls(load, connection);
}

static void open_connection(struct connection *connection, unsigned port, unsigned calls)
{
    static const uint8_t hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;

    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        process_die("cannot connect to etcd: %s", strerror(errno));
    }
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->next_stream = 1;
    connection->send_window = 65535;
    connection->calls_wanted = calls;
    send_all(connection->fd, hello, sizeof hello); /* with the literal's NUL: 24 + 9 bytes */
}

static unsigned count_calls(const struct load *load)
{
    unsigned count = 0;

    for (unsigned i = 0; i < load->connection_count; i++) {
        for (unsigned j = 0; j < load->connections[i].calls_wanted; j++) {
            count += load->connections[i].calls[j].stream != 0;
        }
    }
    return count;
}

static void run_load(struct load *load, double end_ms)
{
    struct pollfd poll_fds[CONNECTIONS_MAX];

    for (unsigned i = 0; i < load->connection_count; i++) {
        poll_fds[i] = (struct pollfd){.fd = load->connections[i].fd, .events = POLLIN};
        begin_calls(load, &load->connections[i]);
    }
    while (!load->ended || count_calls(load) > 0) {
        if (poll(poll_fds, load->connection_count, 10000) <= 0) {
            process_die("etcd does not answer");
        }
        load->ended = process_now_ms() >= end_ms;
        for (unsigned i = 0; i < load->connection_count; i++) {
            if (poll_fds[i].revents != 0) {
                receive(load, &load->connections[i]);
            }
        }
    }
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return a < b ? -1 : a > b;
}

static double quantile(const struct load *load, double share)
{
    if (load->latency_count == 0) {
        return 0;
    }
    return load->latencies_us[(size_t)((double)(load->latency_count - 1) * share)];
}

void grpc_load_puts(unsigned port, unsigned seconds, unsigned outstanding,
                    struct load_figures *ret_figures)
{
    struct load *load = calloc(1, sizeof *load);
    double begin_ms;

    if (load == NULL || (load->latencies_us = calloc(LATENCIES_MAX, 4)) == NULL) {
        process_die("out of memory");
    }
    load->connection_count = outstanding < CONNECTIONS_MAX ? outstanding : CONNECTIONS_MAX;
    for (unsigned i = 0; i < load->connection_count; i++) {
        open_connection(&load->connections[i], port, outstanding / load->connection_count);
    }
    begin_ms = process_now_ms();
    run_load(load, begin_ms + seconds * 1000.0);
    qsort(load->latencies_us, load->latency_count, sizeof *load->latencies_us, compare_u32);
    *ret_figures = (struct load_figures){
        .rate = (double)load->latency_count * 1000 / (process_now_ms() - begin_ms),
        .p50_us = quantile(load, 0.5),
        .p99_us = quantile(load, 0.99),
        .max_us = quantile(load, 1),
        .failed = (double)load->failed,
    };
    for (unsigned i = 0; i < load->connection_count; i++) {
        (void)close(load->connections[i].fd);
    }
    free(load->latencies_us);
    free(load);
}
