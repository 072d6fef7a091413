/* One connection through the delay proxy: two sockets and two flows between them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "tests/drill/delay_private.h"

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);

static uint64_t later(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

static uint64_t sooner(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* ---- The end of a pair. */

static void free_chunks(struct delay_flow *flow)
{
    while (flow->head != NULL) {
        struct delay_chunk *chunk = flow->head;

        flow->head = chunk->next;
        free(chunk);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct delay_pair *pair = handle->data;
    struct delay *delay = pair->delay;

    if (--pair->handles > 0) {
        return;
    }
    free_chunks(&pair->out);
    free_chunks(&pair->back);
    *pair->link = pair->next;
    if (pair->next != NULL) {
        pair->next->link = pair->link;
    }
    if (pair->tally != NULL) {
        pair->tally->open--;
    }
    delay->pair_count--;
    free(pair);
    delay_release(delay);
}

static void close_socket(uv_tcp_t *tcp, bool reset)
{
    if (!reset || uv_tcp_close_reset(tcp, on_closed) != 0) {
        uv_close((uv_handle_t *)tcp, on_closed);
    }
}

void delay_pair_close(struct delay_pair *pair, bool reset)
{
    if (pair->closing) {
        return;
    }
    pair->closing = true;
    close_socket(&pair->near, reset);
    close_socket(&pair->far, reset);
}

/* ---- What waits for its time. */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    struct delay_pair *pair = handle->data;

    (void)suggested;
    *ret_buf = uv_buf_init(pair->delay->buffer, DELAY_READ_SIZE);
}

static void set_reading(struct delay_flow *flow, bool reading)
{
    if (flow->reading == reading) {
        return;
    }
    flow->reading = reading;
    if (!reading) {
        (void)uv_read_stop((uv_stream_t *)flow->from);
    } else if (uv_read_start((uv_stream_t *)flow->from, on_alloc, on_read) != 0) {
        delay_pair_close(flow->pair, true);
    }
}

static void push(struct delay_flow *flow, enum delay_chunk_kind kind, const char *bytes,
                 size_t size, uint64_t due_ns)
{
    struct delay_chunk *chunk = malloc(sizeof *chunk + size);

    if (chunk == NULL) {
        delay_pair_close(flow->pair, true);
        return;
    }
    chunk->flow = flow;
    chunk->next = NULL;
    chunk->kind = kind;
    chunk->size = size;
    chunk->due_ns = flow->head == NULL ? due_ns : later(due_ns, flow->tail->due_ns);
    if (size > 0) {
        memcpy(chunk->bytes, bytes, size);
    }
    if (flow->head == NULL) {
        flow->head = chunk;
    } else {
        flow->tail->next = chunk;
    }
    flow->tail = chunk;
    flow->size += sizeof *chunk + size;
    if (flow->size >= DELAY_FLOW_SIZE_MAX) {
        set_reading(flow, false);
    }
}

static uint64_t due_of(const struct delay_flow *flow)
{
    const struct delay_pair *pair = flow->pair;
    uint64_t due_ns =
        clock_monotonic_ns() + delay_map_delay_ns(&pair->delay->map, pair->origin, pair->target);

    return flow == &pair->out ? later(due_ns, pair->first_ns) : due_ns;
}

static void tick(struct delay_pair *pair)
{
    delay_schedule(pair->delay, delay_pair_tick(pair, clock_monotonic_ns()));
}

/* The socket that @flow writes to is dead, and so is what it was to give. */
static void break_flow(struct delay_flow *flow)
{
    struct delay_pair *pair = flow->pair;
    struct delay_flow *other = flow == &pair->out ? &pair->back : &pair->out;
    uint64_t due_ns = due_of(other);

    flow->broken = true;
    if (other->reset || pair->closing) {
        return;
    }
    other->ended = true;
    other->reset = true;
    set_reading(other, false);
    push(other, DELAY_RESET, NULL, 0, due_ns);
    delay_schedule(pair->delay, due_ns);
}

/* ---- Reading. */

/* What needs not wait is not copied. Returns how much was written. */
static size_t pass_through(struct delay_flow *flow, const char *bytes, size_t size)
{
    struct delay_pair *pair = flow->pair;
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)size);
    int written;

    if (flow->head != NULL || !pair->connected || pair->held || flow->broken ||
        due_of(flow) > clock_monotonic_ns()) {
        return 0;
    }
    written = uv_try_write((uv_stream_t *)flow->to, &buf, 1);
    if (written < 0) {
        if (written != UV_EAGAIN) {
            break_flow(flow);
        }
        return 0;
    }
    if (flow == &pair->out) {
        pair->tally->out += (size_t)written;
    } else {
        pair->tally->back += (size_t)written;
    }
    return (size_t)written;
}

static void read_bytes(struct delay_flow *flow, const char *bytes, size_t size)
{
    size_t passed = pass_through(flow, bytes, size);

    if (passed < size) {
        push(flow, DELAY_DATA, bytes + passed, size - passed, due_of(flow));
        tick(flow->pair);
    }
}

static void read_end(struct delay_flow *flow, bool reset)
{
    struct delay_pair *pair = flow->pair;

    set_reading(flow, false);
    flow->ended = true;
    flow->reset = flow->reset || reset;
    /* The target never heard of it, and while it is held it never will. */
    if (flow == &pair->out && !pair->connected && (reset || pair->held)) {
        delay_pair_close(pair, true);
        return;
    }
    push(flow, reset ? DELAY_RESET : DELAY_END, NULL, 0, due_of(flow));
    tick(pair);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct delay_pair *pair = stream->data;
    struct delay_flow *flow = stream == (uv_stream_t *)&pair->near ? &pair->out : &pair->back;

    if (pair->closing || count == 0) {
        return;
    }
    if (count > 0) {
        read_bytes(flow, buf->base, (size_t)count);
    } else {
        read_end(flow, count != UV_EOF);
    }
}

/* ---- Delivering. */

static void release(struct delay_flow *flow, struct delay_chunk *chunk)
{
    flow->size -= sizeof *chunk + chunk->size;
    free(chunk);
    if (flow->size < DELAY_FLOW_SIZE_MAX / 2 && !flow->ended && !flow->pair->closing) {
        set_reading(flow, true);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct delay_chunk *chunk = write->data;
    struct delay_flow *flow = chunk->flow;

    if (status < 0 && !flow->pair->closing) {
        break_flow(flow);
    }
    release(flow, chunk);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    struct delay_flow *flow = shutdown->data;
    struct delay_pair *pair = flow->pair;

    (void)status; /* it is closed either way */
    flow->closed = true;
    if (pair->out.closed && pair->back.closed) {
        delay_pair_close(pair, false);
    }
}

static void deliver_data(struct delay_flow *flow, struct delay_chunk *chunk)
{
    uv_buf_t buf = uv_buf_init(chunk->bytes, (unsigned)chunk->size);
    struct delay_tally *tally = flow->pair->tally;

    chunk->write.data = chunk;
    if (flow->broken ||
        uv_write(&chunk->write, (uv_stream_t *)flow->to, &buf, 1, on_written) != 0) {
        release(flow, chunk);
        return;
    }
    *(flow == &flow->pair->out ? &tally->out : &tally->back) += chunk->size;
}

static void deliver(struct delay_flow *flow, struct delay_chunk *chunk)
{
    flow->head = chunk->next;
    if (chunk->kind == DELAY_DATA) {
        deliver_data(flow, chunk);
        return;
    }
    if (chunk->kind == DELAY_RESET) {
        delay_pair_close(flow->pair, true);
    } else {
        flow->shutdown.data = flow;
        if (uv_shutdown(&flow->shutdown, (uv_stream_t *)flow->to, on_shutdown) != 0) {
            flow->closed = true;
        }
    }
    release(flow, chunk);
}

static uint64_t deliver_due(struct delay_flow *flow, uint64_t now_ns)
{
    while (!flow->pair->closing && flow->head != NULL && flow->head->due_ns <= now_ns) {
        deliver(flow, flow->head);
    }
    if (flow->pair->closing || flow->head == NULL) {
        return DELAY_NEVER;
    }
    return flow->head->due_ns;
}

/* ---- Connecting. */

static void on_connected(uv_connect_t *connect, int status)
{
    struct delay_pair *pair = connect->data;

    if (pair->closing) {
        return;
    }
    if (status < 0) {
        pair->refused = true;
        pair->back.ended = true;
        pair->back.reset = true;
        push(&pair->back, DELAY_RESET, NULL, 0, pair->refused_ns);
    } else {
        pair->connected = true;
        (void)uv_tcp_nodelay(&pair->far, 1);
        set_reading(&pair->back, true);
    }
    tick(pair);
}

static void start_connect(struct delay_pair *pair)
{
    const struct delay_listen *listen = &pair->delay->map.listens[pair->listen];

    pair->connecting = true;
    pair->connect.data = pair;
    if (uv_tcp_connect(&pair->connect, &pair->far, (const struct sockaddr *)&listen->target,
                       on_connected) != 0) {
        delay_pair_close(pair, true);
    }
}

uint64_t delay_pair_tick(struct delay_pair *pair, uint64_t now_ns)
{
    if (pair->closing || pair->held) {
        return DELAY_NEVER;
    }
    if (!pair->connecting) {
        if (now_ns < pair->connect_ns) {
            return pair->connect_ns;
        }
        start_connect(pair);
    }
    if (pair->refused) {
        return deliver_due(&pair->back, now_ns);
    }
    if (!pair->connected) {
        return DELAY_NEVER;
    }
    return sooner(deliver_due(&pair->out, now_ns), deliver_due(&pair->back, now_ns));
}

/* ---- The beginning of a pair. */

static struct delay_tally *find_tally(struct delay *delay, uint32_t listen, uint32_t from)
{
    struct delay_tally *tally;

    for (uint32_t i = 0; i < delay->tally_count; i++) {
        if (delay->tallies[i].listen == listen && delay->tallies[i].from == from) {
            return &delay->tallies[i];
        }
    }
    if (delay->tally_count == DELAY_TALLIES_MAX) {
        return &delay->tallies[DELAY_TALLIES_MAX];
    }
    tally = &delay->tallies[delay->tally_count++];
    *tally = (struct delay_tally){.listen = listen, .from = from};
    return tally;
}

static struct delay_pair *new_pair(struct delay_listener *listener)
{
    struct delay *delay = listener->delay;
    struct delay_pair *pair = calloc(1, sizeof *pair);

    if (pair == NULL) {
        return NULL;
    }
    pair->delay = delay;
    pair->listen = listener->index;
    pair->target = delay->map.listens[listener->index].region;
    /* Neither makes a socket yet, so neither can fail. */
    QH_ASSERT(uv_tcp_init(delay->loop, &pair->near) == 0);
    QH_ASSERT(uv_tcp_init(delay->loop, &pair->far) == 0);
    pair->near.data = pair;
    pair->far.data = pair;
    pair->handles = 2;
    pair->out = (struct delay_flow){.pair = pair, .from = &pair->near, .to = &pair->far};
    pair->back = (struct delay_flow){.pair = pair, .from = &pair->far, .to = &pair->near};
    pair->next = delay->pairs;
    pair->link = &delay->pairs;
    if (pair->next != NULL) {
        pair->next->link = &pair->next;
    }
    delay->pairs = pair;
    delay->pair_count++;
    return pair;
}

/* Returns whether it is one that goes on. */
static bool place_pair(struct delay_pair *pair)
{
    struct delay *delay = pair->delay;
    struct sockaddr_in from;
    int size = sizeof from;

    if (uv_tcp_getpeername(&pair->near, (struct sockaddr *)&from, &size) != 0 ||
        delay->pair_count > DELAY_PAIRS_MAX) {
        return false;
    }
    pair->origin = delay_map_region_of(&delay->map, &from);
    if (pair->origin == DELAY_UNKNOWN) {
        return false;
    }
    pair->held = delay_map_is_cut(&delay->map, pair->origin, pair->target);
    pair->tally = find_tally(delay, pair->listen, ntohl(from.sin_addr.s_addr));
    pair->tally->connections++;
    pair->tally->open++;
    return true;
}

void delay_pair_accept(struct delay_listener *listener)
{
    struct delay *delay = listener->delay;
    struct delay_pair *pair = new_pair(listener);
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t delay_ns;

    if (pair == NULL) {
        return;
    }
    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&pair->near) != 0 ||
        !place_pair(pair)) {
        delay->refused_count++;
        delay_pair_close(pair, true);
        return;
    }
    delay_ns = delay_map_delay_ns(&delay->map, pair->origin, pair->target);
    pair->connect_ns = now_ns + delay_ns;
    pair->refused_ns = now_ns + 2 * delay_ns;
    pair->first_ns = now_ns + 3 * delay_ns;
    (void)uv_tcp_nodelay(&pair->near, 1);
    set_reading(&pair->out, true);
    if (!pair->closing) {
        tick(pair);
    }
}
