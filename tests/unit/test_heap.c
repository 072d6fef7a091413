/* The allocator of libraft: what was in a freed block is never seen again, neither in the next
 * block nor in a file that libraft writes. */
#include "raft-glue/heap.h"

#include <dirent.h>
#include <raft.h>
#include <raft/uv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"

#define MARKER 0xa7
#define MARKER_RUN 4u /* so many of them in a row are no chance */
#define BLOCKS 64

/* The address sanitizer overwrites and keeps back freed blocks by itself, so that the harm
 * cannot be shown there. */
#if defined(__SANITIZE_ADDRESS__)
#define HARM_SHOWS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HARM_SHOWS false
#endif
#endif
#ifndef HARM_SHOWS
#define HARM_SHOWS true
#endif

static const size_t sizes[] = {1, 8, 24, 25, 100, 1032, 4096, 100000, 1u << 20};
#define SIZE_COUNT ((int)(sizeof sizes / sizeof sizes[0]))

static bool has_marker(const uint8_t *bytes, size_t size)
{
    size_t run = 0;

    for (size_t i = 0; i < size; i++) {
        run = bytes[i] == MARKER ? run + 1 : 0;
        if (run == MARKER_RUN) {
            return true;
        }
    }
    return false;
}

static bool is_all(uint8_t value, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

START_TEST(a_block_is_zero_even_if_somebody_else_freed_it_full)
{
    size_t size = sizes[_i];

    heap_install();
    for (int round = 0; round < 8; round++) {
        uint8_t *dirty = malloc(size);
        uint8_t *block;

        ck_assert_ptr_nonnull(dirty);
        memset(dirty, MARKER, size);
        free(dirty);
        block = raft_malloc(size);
        ck_assert_ptr_nonnull(block);
        ck_assert(is_all(0, block, size));
        memset(block, MARKER, size);
        raft_free(block);
        block = raft_calloc(1, size);
        ck_assert_ptr_nonnull(block);
        ck_assert(is_all(0, block, size));
        raft_free(block);
    }
}
END_TEST

/* Is the content of a freed block of @size found in the next one that anybody gets? */
static bool outlives_its_block(size_t size)
{
    bool found = false;
    uint8_t *block;

    for (int round = 0; round < 8; round++) {
        block = raft_malloc(size);
        ck_assert_ptr_nonnull(block);
        memset(block, MARKER, size);
        raft_free(block);
        block = malloc(size);
        ck_assert_ptr_nonnull(block);
        found = found || has_marker(block, size);
        free(block);
    }
    return found;
}

START_TEST(a_freed_block_is_wiped)
{
    if (HARM_SHOWS) {
        ck_assert(outlives_its_block(100));
        ck_assert(outlives_its_block(4096));
    }
    heap_install();
    for (int i = 0; i < SIZE_COUNT; i++) {
        ck_assert(!outlives_its_block(sizes[i]));
    }
}
END_TEST

START_TEST(a_block_that_grows_keeps_its_content_has_a_zero_tail_and_leaves_nothing)
{
    size_t size = sizes[_i];
    uint8_t *block;
    uint8_t *next;

    heap_install();
    block = raft_malloc(size);
    ck_assert_ptr_nonnull(block);
    memset(block, MARKER, size);
    block = raft_realloc(block, 3 * size);
    ck_assert_ptr_nonnull(block);
    ck_assert(is_all(MARKER, block, size));
    ck_assert(is_all(0, block + size, 2 * size));
    next = malloc(size);
    ck_assert_ptr_nonnull(next);
    ck_assert(!has_marker(next, size));
    free(next);
    raft_free(block);
}
END_TEST

START_TEST(a_block_that_shrinks_keeps_the_front_and_leaves_nothing)
{
    uint8_t *block;
    uint8_t *next;

    heap_install();
    block = raft_realloc(NULL, 4096);
    ck_assert_ptr_nonnull(block);
    ck_assert(is_all(0, block, 4096));
    memset(block, MARKER, 4096);
    block = raft_realloc(block, 16);
    ck_assert_ptr_nonnull(block);
    ck_assert(is_all(MARKER, block, 16));
    next = malloc(4096);
    ck_assert_ptr_nonnull(next);
    ck_assert(!has_marker(next, 4096));
    free(next);
    raft_free(block);
}
END_TEST

START_TEST(an_aligned_block_is_aligned_and_zero)
{
    heap_install();
    for (int round = 0; round < 8; round++) {
        uint8_t *block = raft_aligned_alloc(4096, 8192);

        ck_assert_ptr_nonnull(block);
        ck_assert_uint_eq((uintptr_t)block % 4096, 0);
        ck_assert(is_all(0, block, 8192));
        memset(block, MARKER, 8192);
        raft_aligned_free(4096, block);
    }
}
END_TEST

START_TEST(a_count_that_overflows_is_refused)
{
    heap_install();
    ck_assert_ptr_null(raft_calloc(SIZE_MAX / 2 + 1, 2));
}
END_TEST

START_TEST(nothing_can_be_freed_and_the_allocator_installed_twice)
{
    heap_install();
    heap_install();
    raft_free(NULL);
    raft_aligned_free(8, NULL);
}
END_TEST

/* Through the real library: the bytes that pad a configuration are never set. (Nor are the
 * eight bytes of a barrier's entry, nor parts of the headers that raft_uv sends to peers,
 * which is not used here.) */

static int transport_init(struct raft_uv_transport *transport, raft_id id, const char *address)
{
    (void)transport;
    (void)id;
    (void)address;
    return 0;
}

/* In a process of its own: fill freed memory with markers, then write a log. */
static void write_log(const char *dir)
{
    static uv_loop_t loop;
    static struct raft_io io;
    static struct raft_uv_transport transport = {.init = transport_init};
    struct raft_configuration configuration;
    struct raft_buffer buffer;
    void *dirty[BLOCKS];

    raft_configuration_init(&configuration);
    if (raft_configuration_add(&configuration, 1, "node-1", RAFT_VOTER) != 0 ||
        raft_configuration_encode(&configuration, &buffer) != 0 || uv_loop_init(&loop) != 0 ||
        raft_uv_init(&io, &loop, dir, &transport) != 0 || io.init(&io, 1, "node-1") != 0) {
        _exit(1);
    }
    for (int i = 0; i < BLOCKS; i++) {
        dirty[i] = raft_malloc(buffer.len);
        memset(dirty[i], MARKER, buffer.len);
    }
    for (int i = 0; i < BLOCKS; i++) {
        raft_free(dirty[i]);
    }
    _exit(io.bootstrap(&io, &configuration) == 0 ? 0 : 1);
}

static bool file_has_marker(const char *path)
{
    static uint8_t content[1u << 20];
    FILE *file = fopen(path, "rb");
    size_t size;

    ck_assert_ptr_nonnull(file);
    size = fread(content, 1, sizeof content, file);
    ck_assert_int_eq(fclose(file), 0);
    return has_marker(content, size);
}

/* Does any file of a log that is written with or without the allocator hold the marker? */
static bool marker_reaches_the_disk(bool installed)
{
    char dir[256];
    char path[600];
    const struct dirent *entry;
    unsigned file_count = 0;
    bool found = false;
    int status = 0;
    pid_t child;
    DIR *stream;

    test_make_dir(dir, sizeof dir);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (installed) {
            heap_install();
        }
        write_log(dir);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    stream = opendir(dir);
    ck_assert_ptr_nonnull(stream);
    while ((entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
            found = found || file_has_marker(path);
            file_count++;
        }
    }
    ck_assert_int_eq(closedir(stream), 0);
    ck_assert_uint_ge(file_count, 2); /* metadata and a segment */
    test_remove_dir(dir);
    return found;
}

START_TEST(bytes_of_freed_blocks_do_not_reach_the_disk)
{
    if (HARM_SHOWS) {
        ck_assert(marker_reaches_the_disk(false));
    }
    ck_assert(!marker_reaches_the_disk(true));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heap");
    TCase *tcase = tcase_create("heap");

    tcase_add_loop_test(tcase, a_block_is_zero_even_if_somebody_else_freed_it_full, 0, SIZE_COUNT);
    tcase_add_test(tcase, a_freed_block_is_wiped);
    tcase_add_loop_test(tcase,
                        a_block_that_grows_keeps_its_content_has_a_zero_tail_and_leaves_nothing, 0,
                        SIZE_COUNT);
    tcase_add_test(tcase, a_block_that_shrinks_keeps_the_front_and_leaves_nothing);
    tcase_add_test(tcase, an_aligned_block_is_aligned_and_zero);
    tcase_add_test(tcase, a_count_that_overflows_is_refused);
    tcase_add_test(tcase, nothing_can_be_freed_and_the_allocator_installed_twice);
    tcase_add_test(tcase, bytes_of_freed_blocks_do_not_reach_the_disk);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
