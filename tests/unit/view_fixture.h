/* What the tests of the view share: a store with two partitions, transactions that the view is told
 * of, and objects with ids that say which they are. */
#ifndef QH_TESTS_UNIT_VIEW_FIXTURE_H
#define QH_TESTS_UNIT_VIEW_FIXTURE_H

#include <limits.h>

#include "base/log.h"
#include "node/view.h"
#include "tests/unit/hsm_fixture.h"
#include "tests/unit/object_fixture.h"

static struct keyring *keyring;
static struct store *store;
static struct view *view;
static const uint8_t first[PARTITION_ID_SIZE] = {[0 ... 15] = 0x11};
static const uint8_t second[PARTITION_ID_SIZE] = {[0 ... 15] = 0x22};

static inline void swallow(void *data, enum log_level level, const char *line)
{
    (void)data;
    (void)level;
    (void)line;
}

static inline void setup(void)
{
    log_set_sink(swallow, NULL);
    keyring = hsm_keyring(7);
    store = hsm_store();
    hsm_put_partition(store, keyring, 0x11, "first", 1);
    hsm_put_partition(store, keyring, 0x22, "second", 1);
    ck_assert_int_eq(view_new(&view), QH_OK);
    view_thread_begin();
}

static inline void teardown(void)
{
    view_free(view);
    view_thread_end();
    store_free(store);
    keyring_free(keyring);
}

static inline void load(void)
{
    ck_assert_int_eq(view_load(view, keyring, store), QH_OK);
}

/* A query without bounds, from the start. */
static inline struct view_query find_all(const uint8_t *partition, struct attributes template)
{
    return (struct view_query){.partition = partition,
                               .template = template,
                               .with_private = true,
                               .limit = 1000,
                               .steps = UINT_MAX,
                               .patient = true};
}

/* Ids that say where they come from. */
static inline void make_id(unsigned number, uint8_t id[OBJECT_ID_SIZE])
{
    memset(id, 0x55, OBJECT_ID_SIZE);
    /* Backwards, so that the order of ids is not that of creation. */
    for (unsigned i = 0; i < 4; i++) {
        id[i] = (uint8_t)(~number >> (24 - 8 * i));
    }
}

static inline struct bytes seal(const uint8_t *partition, const uint8_t *id,
                                const struct template *template)
{
    struct directory *directory = hsm_directory(keyring, store);
    struct object *object = created(template);
    struct bytes sealed;

    ck_assert_int_eq(object_seal(directory_partition(directory, partition)->key, hsm_cluster,
                                 partition, id, 0, object, &sealed),
                     QH_OK);
    object_free(object);
    directory_free(directory);
    return sealed;
}

/* Transactions, told to the view if @told. */
static inline void begin_txn(struct txn_builder *builder)
{
    static const uint8_t request[ONCE_ID_SIZE] = {9};

    txn_build_plain(builder, request, 0);
}

static inline void add_put(struct txn_builder *builder, const uint8_t *partition, unsigned number,
                           const struct template *template)
{
    uint8_t id[OBJECT_ID_SIZE];
    struct record_key key;
    struct bytes sealed;

    make_id(number, id);
    key = record_key_object(partition, id);
    sealed = seal(partition, id, template);
    txn_build_put(builder, record_key_bytes(&key), sealed, 0);
    hsm_free(sealed);
}

static inline void add_delete(struct txn_builder *builder, const uint8_t *partition,
                              unsigned number)
{
    uint8_t id[OBJECT_ID_SIZE];
    struct record_key key;

    make_id(number, id);
    key = record_key_object(partition, id);
    txn_build_delete(builder, record_key_bytes(&key));
}

static inline void end_txn(struct txn_builder *builder, bool told)
{
    struct store_answer answer;
    struct bytes encoded;

    ck_assert_int_eq(txn_build_end(builder, &encoded), QH_OK);
    answer = store_apply(store, encoded);
    ck_assert_int_eq(answer.status, STORE_APPLIED);
    if (told) {
        view_applied(view, store, encoded, answer.revision);
        ck_assert_uint_eq(view_revision(view), answer.revision);
    }
    hsm_free(encoded);
}

/* A data object; @id NULL: an AES key without one. */
static inline void put_labelled(const uint8_t *partition, unsigned number, const char *label,
                                bool told)
{
    struct txn_builder builder;
    struct template template;

    begin_data(&template, label);
    begin_txn(&builder);
    add_put(&builder, partition, number, &template);
    end_txn(&builder, told);
}

static inline void destroy(const uint8_t *partition, unsigned number)
{
    struct txn_builder builder;

    begin_txn(&builder);
    add_delete(&builder, partition, number);
    end_txn(&builder, true);
}

#endif
