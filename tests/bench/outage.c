/* What a client sees when the leader's process dies or freezes. */
#include "tests/bench/bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define STREAM_EVERY_MS 2.0   /* a put */
#define STREAM_BEFORE_MS 100u /* under way when the leader dies */
#define STREAM_PUTS_MAX 16384u
#define CALM_MS 300u /* after a restart, before the next strike */
#define GIVE_UP_MS 30000.0

/* A stream of puts to one or two nodes; the id of a put is its number and a random tail. */
struct stream {
    struct cluster *cluster;
    unsigned nodes[BENCH_NODES];
    unsigned node_count;
    char tail[17];
    double sent_ms[STREAM_PUTS_MAX];
    unsigned sent_count;
    double next_ms;
};

static void begin_stream(struct stream *stream, struct cluster *cluster, unsigned leader)
{
    uint64_t random;
    unsigned first = (leader + 1) % cluster->count;
    unsigned second = (leader + 2) % cluster->count;

    memset(stream, 0, sizeof *stream);
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        process_die("no random bytes");
    }
    (void)snprintf(stream->tail, sizeof stream->tail, "%016llx", (unsigned long long)random);
    stream->cluster = cluster;
    if (cluster->kind == CLUSTER_BARE) {
        stream->nodes[stream->node_count++] = first;
        stream->nodes[stream->node_count++] = second;
    } else {
        stream->nodes[stream->node_count++] = random & 1 ? first : second;
    }
}

static void send_due(struct stream *stream)
{
    char line[256];

    if (process_now_ms() < stream->next_ms || stream->sent_count == STREAM_PUTS_MAX) {
        return;
    }
    (void)snprintf(line, sizeof line, "put %016x%s 6f7574616765 %u 20000", stream->sent_count,
                   stream->tail, BENCH_ENTRY_SIZE);
    stream->sent_ms[stream->sent_count] = process_now_ms();
    stream->next_ms = stream->sent_ms[stream->sent_count] + STREAM_EVERY_MS;
    stream->sent_count++;
    for (unsigned i = 0; i < stream->node_count; i++) {
        (void)client_send(&stream->cluster->nodes[stream->nodes[i]].client, line);
    }
}

/* When was the put sent that @line says was applied? Negative: it does not say so. */
static double sent_of_applied(const struct stream *stream, const char *line)
{
    char number[17];
    unsigned long index;

    if (strlen(line) < 40 || strncmp(line + 16, stream->tail, 16) != 0 ||
        strncmp(line + 32, " applied", 8) != 0) {
        return -1;
    }
    memcpy(number, line, 16);
    number[16] = '\0';
    index = strtoul(number, NULL, 16);
    return index < stream->sent_count ? stream->sent_ms[index] : -1;
}

/* Read what has come; has a put that was sent after @after_ms been applied? */
static bool read_answers(struct stream *stream, double after_ms)
{
    char line[CLIENT_LINE_MAX];
    bool answered = false;

    for (unsigned i = 0; i < stream->node_count; i++) {
        struct client *client = &stream->cluster->nodes[stream->nodes[i]].client;

        while (client_read(client, 0, line)) {
            answered = answered || sent_of_applied(stream, line) >= after_ms;
        }
    }
    return answered;
}

static void run_before(struct stream *stream)
{
    double end_ms = process_now_ms() + STREAM_BEFORE_MS;

    while (process_now_ms() < end_ms) {
        send_due(stream);
        (void)read_answers(stream, end_ms);
        process_sleep_ms(1);
    }
}

static double run_after(struct stream *stream, pid_t leader, int number)
{
    double struck_ms = process_now_ms();

    if (kill(leader, number) != 0) {
        process_die("the leader ended by itself");
    }
    stream->next_ms = 0;
    for (;;) {
        double now_ms = process_now_ms();

        send_due(stream);
        if (read_answers(stream, struck_ms)) {
            return process_now_ms() - struck_ms;
        }
        if (now_ms > struck_ms + GIVE_UP_MS) {
            return GIVE_UP_MS;
        }
        process_sleep_ms(1);
    }
}

double outage_measure(struct cluster *cluster, int number)
{
    static struct stream stream;
    unsigned leader = cluster_wait_settled(cluster);
    struct cluster_node *node = &cluster->nodes[leader];
    double outage_ms;

    process_sleep_ms(CALM_MS);
    begin_stream(&stream, cluster, leader);
    run_before(&stream);
    outage_ms = run_after(&stream, node->pid, number);
    if (number == SIGSTOP) {
        (void)kill(node->pid, SIGCONT);
    } else {
        process_kill(&node->pid);
        cluster_start_node(cluster, leader);
    }
    for (unsigned i = 0; i < stream.node_count; i++) {
        /* Answers that are still to come are nobody's. */
        client_close(&cluster->nodes[stream.nodes[i]].client);
    }
    return outage_ms;
}
