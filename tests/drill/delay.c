/* The delay proxy: where it listens, its clock, and its commands. Connections are delay_pair.c. */
#include "tests/drill/delay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/drill/delay_private.h"

#define BACKLOG 128
#define NS_PER_S 1000000000u

/* ---- The clock. libuv's timers count milliseconds; one way of 0.5 ms would be lost in them. */

void delay_schedule(struct delay *delay, uint64_t due_ns)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(due_ns / NS_PER_S), .tv_nsec = (long)(due_ns % NS_PER_S)}};

    if (due_ns >= delay->armed_ns || delay->closing) {
        return;
    }
    delay->armed_ns = due_ns;
    if (due_ns == 0) {
        when.it_value.tv_nsec = 1;
    }
    (void)timerfd_settime(delay->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void on_time(uv_poll_t *poll, int status, int events)
{
    struct delay *delay = poll->data;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t next_ns = DELAY_NEVER;
    uint64_t expired;

    (void)status;
    (void)events;
    if (read(delay->timer_fd, &expired, sizeof expired) < 0 && errno != EAGAIN) {
        abort();
    }
    delay->armed_ns = DELAY_NEVER;
    /* A pair is taken from the list when its sockets have closed, so not in here. */
    for (struct delay_pair *pair = delay->pairs; pair != NULL; pair = pair->next) {
        uint64_t due_ns = delay_pair_tick(pair, now_ns);

        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    if (next_ns != DELAY_NEVER) {
        delay_schedule(delay, next_ns);
    }
}

/* ---- Its life. */

void delay_release(struct delay *delay)
{
    if (!delay->closing || delay->handles > 0 || delay->pair_count > 0) {
        return;
    }
    (void)close(delay->timer_fd);
    free(delay);
}

static void on_closed(uv_handle_t *handle)
{
    struct delay *delay = handle->data;

    delay->handles--;
    delay_release(delay);
}

void delay_close(struct delay *delay)
{
    struct delay_pair *pair;

    delay->closing = true;
    for (uint32_t i = 0; i < delay->listening_count; i++) {
        uv_close((uv_handle_t *)&delay->listeners[i].tcp, on_closed);
    }
    for (pair = delay->pairs; pair != NULL; pair = pair->next) {
        delay_pair_close(pair, true);
    }
    uv_close((uv_handle_t *)&delay->poll, on_closed);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct delay *delay = stream->data;

    if (status == 0 && !delay->closing) {
        delay_pair_accept(
            (struct delay_listener *)((char *)stream - offsetof(struct delay_listener, tcp)));
    }
}

static bool start_listener(struct delay *delay, uint32_t index)
{
    struct delay_listener *listener = &delay->listeners[index];

    *listener = (struct delay_listener){.delay = delay, .index = index};
    if (uv_tcp_init(delay->loop, &listener->tcp) != 0) {
        return false;
    }
    listener->tcp.data = delay;
    delay->handles++;
    delay->listening_count++;
    return uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&delay->map.listens[index].at, 0) ==
               0 &&
           uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection) == 0;
}

static enum qh_err start_clock(struct delay *delay)
{
    delay->armed_ns = DELAY_NEVER;
    delay->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (delay->timer_fd < 0) {
        return QH_ESYSTEM;
    }
    if (uv_poll_init(delay->loop, &delay->poll, delay->timer_fd) != 0) {
        (void)close(delay->timer_fd);
        return QH_ESYSTEM;
    }
    delay->poll.data = delay;
    delay->handles++;
    return QH_OK;
}

enum qh_err delay_new(uv_loop_t *loop, const struct delay_map *map, struct delay **ret_delay,
                      uint32_t *ret_listen)
{
    struct delay *delay = calloc(1, sizeof *delay);

    if (delay == NULL) {
        return QH_ENOMEM;
    }
    delay->loop = loop;
    delay->map = *map;
    if (start_clock(delay) != QH_OK) {
        free(delay);
        *ret_listen = 0;
        return QH_ESYSTEM;
    }
    if (uv_poll_start(&delay->poll, UV_READABLE, on_time) != 0) {
        delay_close(delay);
        *ret_listen = 0;
        return QH_ESYSTEM;
    }
    for (uint32_t i = 0; i < map->listen_count; i++) {
        if (!start_listener(delay, i)) {
            delay_close(delay);
            *ret_listen = i;
            return QH_ESYSTEM;
        }
    }
    *ret_delay = delay;
    return QH_OK;
}

/* ---- Commands. */

enum qh_err delay_cut(struct delay *delay, const char *region)
{
    enum qh_err err = delay_map_cut(&delay->map, region);

    if (err != QH_OK) {
        return err;
    }
    for (struct delay_pair *pair = delay->pairs; pair != NULL; pair = pair->next) {
        if (pair->tally != NULL && delay_map_is_cut(&delay->map, pair->origin, pair->target)) {
            pair->held = true;
        }
    }
    return QH_OK;
}

void delay_heal(struct delay *delay)
{
    delay_map_heal(&delay->map);
    for (struct delay_pair *pair = delay->pairs; pair != NULL; pair = pair->next) {
        if (pair->held) {
            delay_pair_close(pair, true);
        }
    }
}

enum qh_err delay_set(struct delay *delay, const char *left, const char *right, uint32_t delay_ms)
{
    return delay_map_set_names(&delay->map, left, right, delay_ms);
}

static size_t held_size(const struct delay *delay, const struct delay_tally *tally)
{
    size_t size = 0;

    for (const struct delay_pair *pair = delay->pairs; pair != NULL; pair = pair->next) {
        if (pair->tally == tally) {
            size += pair->out.size + pair->back.size;
        }
    }
    return size;
}

static void print_address(const struct sockaddr_in *address, char *ret_text, size_t room)
{
    char host[INET_ADDRSTRLEN];

    (void)inet_ntop(AF_INET, &address->sin_addr, host, sizeof host);
    (void)snprintf(ret_text, room, "%s:%u", host, ntohs(address->sin_port));
}

static size_t report_tally(const struct delay *delay, const struct delay_tally *tally,
                           char *ret_text, size_t room)
{
    struct in_addr address = {.s_addr = htonl(tally->from)};
    char at[INET_ADDRSTRLEN + 8], from[INET_ADDRSTRLEN];
    int length;

    print_address(&delay->map.listens[tally->listen].at, at, sizeof at);
    (void)inet_ntop(AF_INET, &address, from, sizeof from);
    length = snprintf(ret_text, room,
                      "%s %s connections=%" PRIu64 " open=%" PRIu64 " out=%" PRIu64 " back=%" PRIu64
                      " held=%zu\n",
                      at, from, tally->connections, tally->open, tally->out, tally->back,
                      held_size(delay, tally));
    return length < 0 || (size_t)length >= room ? 0 : (size_t)length;
}

size_t delay_report(const struct delay *delay, char *ret_text, size_t room)
{
    size_t used = 0;
    int length;

    for (uint32_t i = 0; i < delay->tally_count; i++) {
        used += report_tally(delay, &delay->tallies[i], ret_text + used, room - used);
    }
    length = snprintf(ret_text + used, room - used, "pairs=%u refused=%" PRIu64 "\n",
                      delay->pair_count, delay->refused_count);
    if (length > 0 && (size_t)length < room - used) {
        used += (size_t)length;
    }
    ret_text[used] = '\0';
    return used;
}
