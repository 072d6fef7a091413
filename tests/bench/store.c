/* What the store costs: time of puts and updates by the number of records, of a frozen
 * snapshot and its decoding, and memory beside the data. All times are processor time,
 * which on an idle machine is the time that passes. Usage: store [RECORDS [SIZE]] */
#include "store/store.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/secret.h"
#include "store/txn.h"

#define UPDATES 20000u
#define SMALL 1000u /* records, to compare with */

static uint8_t value_room[STORE_VALUE_SIZE_MAX];
static size_t value_size = 1500;

static uint64_t spent_ns(void)
{
    struct timespec spent;

    QH_ASSERT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent) == 0);
    return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

static uint64_t mix(uint64_t number)
{
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebu;
    return number ^ (number >> 31);
}

/* A transaction of one put; its key is 36 bytes, as those of objects are. Keys come in an
 * order that is not theirs. */
static struct bytes build_put(unsigned number, uint64_t salt)
{
    static const uint8_t id[ONCE_ID_SIZE] = {0};
    struct bytes encoded = {NULL, 0}, key, value = {value_room, value_size};
    struct txn_builder builder;
    char chars[48];

    key.size = (size_t)snprintf(chars, sizeof chars, "p/0000/o/%016llx%011u",
                                (unsigned long long)mix(number + 1), number);
    key.base = (const uint8_t *)chars;
    memcpy(value_room, &salt, sizeof salt);
    txn_build_plain(&builder, id, 0);
    txn_build_put(&builder, key, value, 0);
    QH_ASSERT(txn_build_end(&builder, &encoded) == QH_OK);
    return encoded;
}

/* Apply @count puts of records below @limit, all or at random. Returns ns for each, without
 * the time to build them. */
static double apply_puts(struct store *store, unsigned count, unsigned limit, bool random)
{
    static uint64_t salt;
    uint64_t begun, ns = 0;

    for (unsigned i = 0; i < count; i++) {
        unsigned number = random ? (unsigned)(mix(++salt) % limit) : i;
        struct bytes encoded = build_put(number, ++salt);

        begun = spent_ns();
        QH_ASSERT(store_apply(store, encoded).status == STORE_APPLIED);
        ns += spent_ns() - begun;
        free((void *)(uintptr_t)encoded.base);
    }
    return (double)ns / count;
}

/* Resident memory, in bytes. */
static double resident_size(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    (void)malloc_trim(0);
    QH_ASSERT(file != NULL);
    QH_ASSERT(fscanf(file, "%lu %lu", &total, &resident) == 2);
    (void)fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void print_row(const char *what, double figure, const char *unit)
{
    printf("%-44s %12.1f %s\n", what, figure, unit);
}

static uint8_t *flatten(const struct store_snapshot *snapshot)
{
    uint8_t *flat = malloc(snapshot->size), *next = flat;

    QH_ASSERT(flat != NULL);
    for (unsigned i = 0; i < snapshot->piece_count; i++) {
        memcpy(next, snapshot->pieces[i].base, snapshot->pieces[i].size);
        next += snapshot->pieces[i].size;
    }
    return flat;
}

static double ms_since(uint64_t begun)
{
    return (double)(spent_ns() - begun) / 1e6;
}

static void measure_snapshot(struct store *store, unsigned records)
{
    struct store *again = NULL;
    struct store_view *view = NULL;
    struct store_snapshot snapshot;
    struct bytes encoded;
    uint64_t begun = spent_ns();
    uint8_t *flat;

    QH_ASSERT(store_freeze(store, &view) == QH_OK);
    print_row("freeze", (double)(spent_ns() - begun), "ns");
    begun = spent_ns();
    QH_ASSERT(store_snapshot_encode(view, &snapshot) == QH_OK);
    print_row("encode", ms_since(begun), "ms");
    print_row("snapshot", (double)snapshot.size / 1e6, "MB");
    flat = flatten(&snapshot);
    encoded.base = flat;
    encoded.size = snapshot.size;
    begun = spent_ns();
    QH_ASSERT(store_snapshot_decode(encoded, &again) == QH_OK);
    print_row("decode", ms_since(begun), "ms");
    QH_ASSERT(store_record_count(again) == store_record_count(store));
    store_free(again);
    free(flat);
    print_row("update, first ones after a freeze",
              apply_puts(store, SMALL < records ? SMALL : records, records, true), "ns");
    print_row("update, after many more", apply_puts(store, UPDATES, records, true), "ns");
    store_snapshot_close(&snapshot);
    begun = spent_ns();
    store_view_release(view);
    print_row("release of the view", ms_since(begun), "ms");
}

int main(int argc, char **argv)
{
    unsigned records = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    struct store *store = NULL;
    double empty, full, put_ns;

    value_size = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : value_size;
    if (records < SMALL || value_size < sizeof(uint64_t) || value_size > STORE_VALUE_SIZE_MAX) {
        (void)fprintf(stderr, "usage: store [RECORDS [SIZE]]\n");
        return EXIT_FAILURE;
    }
    QH_ASSERT(secret_setup() == QH_OK); /* libsodium picks its fastest BLAKE2b */
    QH_ASSERT(store_new(&store) == QH_OK);
    empty = resident_size();
    (void)apply_puts(store, SMALL, SMALL, false);
    print_row("update at 1,000 records", apply_puts(store, UPDATES, SMALL, true), "ns");
    put_ns = apply_puts(store, records, records, false);
    full = resident_size();
    printf("records: %u, value: %zu bytes\n", records, value_size);
    print_row("puts", 1e9 / put_ns, "/s");
    print_row("update at all records", apply_puts(store, UPDATES, records, true), "ns");
    print_row("data a record", (double)store_data_size(store) / records, "bytes");
    print_row("resident a record beside the data",
              (full - empty - (double)store_data_size(store)) / records, "bytes");
    measure_snapshot(store, records);
    print_row("resident a record beside the data, at the end",
              (resident_size() - empty - (double)store_data_size(store)) / records, "bytes");
    store_free(store);
    return EXIT_SUCCESS;
}
