/* What the use of keys costs through the client library over mutual TLS: operations a second,
 * latency, and the node's processor time an operation against OpenSSL's own for the same primitive
 * in the same run. Works on a node that runs already (run-service.sh starts one).
 *
 *   qh-bench-service --config FILE --partition NAME --pin-file FILE --pid PID
 *                    [--threads N] [--seconds N] [--json]
 *
 * The keys it makes are named bench-... and destroyed at the end. */
#include <dirent.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/cryptoki.h"
#include "client/quadhsm.h"

#define THREADS_MAX 64u
#define SAMPLES_MAX (1u << 20)
#define DATA_SIZE 1024u

struct options {
    const char *config, *partition, *pin_file, *pid;
    unsigned threads, seconds;
};

struct bench {
    struct quadhsm *handle;
    struct quadhsm_token *token;
    struct options options;
};

static void need(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "qh-bench-service: %s: %s\n", what, quadhsm_error_detail());
        exit(1);
    }
}

/* ---- the node's processor time, in ns: all its threads ---- */

static uint64_t node_cpu_ns(const char *pid)
{
    char path[300];
    struct dirent *entry;
    uint64_t total = 0;
    DIR *tasks;

    (void)snprintf(path, sizeof path, "/proc/%s/task", pid);
    tasks = opendir(path);
    need(tasks != NULL, "no such node process");
    while ((entry = readdir(tasks)) != NULL) {
        uint64_t ns = 0;
        FILE *file;

        (void)snprintf(path, sizeof path, "/proc/%s/task/%.30s/schedstat", pid, entry->d_name);
        file = fopen(path, "re");
        if (file != NULL) {
            if (fscanf(file, "%" SCNu64, &ns) == 1) {
                total += ns;
            }
            (void)fclose(file);
        }
    }
    (void)closedir(tasks);
    return total;
}

static uint64_t own_cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- OpenSSL's own, contexts kept ---- */

typedef void (*reference_step)(void *context);

struct reference {
    EVP_PKEY_CTX *sign;
    EVP_CIPHER_CTX *cipher;
    EVP_PKEY *pkey;
};

static void sign_step(void *data)
{
    static const uint8_t digest[32] = {1, 2, 3};
    struct reference *reference = data;
    uint8_t signature[512];
    size_t size = sizeof signature;

    need(EVP_PKEY_sign(reference->sign, signature, &size, digest, sizeof digest) == 1, "sign");
}

static void gcm_step(void *data)
{
    static uint8_t text[DATA_SIZE];
    static uint8_t out[DATA_SIZE];
    static const uint8_t iv[12] = {4};
    struct reference *reference = data;
    uint8_t tag[16];
    int size;

    need(EVP_EncryptInit_ex2(reference->cipher, NULL, NULL, iv, NULL) == 1 &&
             EVP_EncryptUpdate(reference->cipher, out, &size, text, sizeof text) == 1 &&
             EVP_EncryptFinal_ex(reference->cipher, out, &size) == 1 &&
             EVP_CIPHER_CTX_ctrl(reference->cipher, EVP_CTRL_AEAD_GET_TAG, sizeof tag, tag) == 1,
         "encrypt");
}

static void generate_step(void *data)
{
    (void)data;
    EVP_PKEY_free(EVP_EC_gen("P-256"));
}

/* Processor time of one step in ns, the best of five runs of about 100 ms. */
static double measure_reference(reference_step step, void *data)
{
    double best = 0;

    for (unsigned run = 0; run < 5; run++) {
        uint64_t from = own_cpu_ns();
        uint64_t until = from;
        unsigned count = 0;

        while (until - from < 100000000u) {
            for (unsigned i = 0; i < 16; i++, count++) {
                step(data);
            }
            until = own_cpu_ns();
        }
        if (run == 0 || (double)(until - from) / count < best) {
            best = (double)(until - from) / count;
        }
    }
    return best;
}

static double reference_sign_ns(EVP_PKEY *pkey, bool rsa)
{
    struct reference reference = {.pkey = pkey, .sign = EVP_PKEY_CTX_new(pkey, NULL)};
    double ns;

    need(pkey != NULL && EVP_PKEY_sign_init(reference.sign) == 1, "OpenSSL's key");
    if (rsa) {
        need(EVP_PKEY_CTX_set_rsa_padding(reference.sign, RSA_PKCS1_PADDING) == 1 &&
                 EVP_PKEY_CTX_set_signature_md(reference.sign, EVP_sha256()) == 1,
             "OpenSSL's padding");
    }
    ns = measure_reference(sign_step, &reference);
    EVP_PKEY_CTX_free(reference.sign);
    EVP_PKEY_free(pkey);
    return ns;
}

static double reference_gcm_ns(void)
{
    static const uint8_t key[32] = {9};
    struct reference reference = {.cipher = EVP_CIPHER_CTX_new()};
    double ns;

    need(EVP_EncryptInit_ex2(reference.cipher, EVP_aes_256_gcm(), key, NULL, NULL) == 1,
         "OpenSSL's cipher");
    ns = measure_reference(gcm_step, &reference);
    EVP_CIPHER_CTX_free(reference.cipher);
    return ns;
}

/* ---- the load ---- */

enum kind { KIND_RSA, KIND_EC, KIND_GCM, KIND_CREATE, KINDS };
static const char *const kind_names[KINDS] = {"RSA-2048 sign", "P-256 sign", "AES-256-GCM 1 KiB",
                                              "P-256 key creation"};

struct load {
    struct bench *bench;
    enum kind kind;
    const struct quadhsm_object *key;
    uint64_t until_ns;
    uint32_t *latency_us; /* of each operation */
    unsigned count;
    unsigned failures;
};

static int make_ec(struct bench *bench, struct quadhsm_object **ret_private)
{
    static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    static const uint8_t yes = 1;
    const struct quadhsm_attribute public_attributes[] = {
        {CKA_TOKEN, &yes, 1}, {CKA_EC_PARAMS, p256, sizeof p256}, {CKA_LABEL, "bench-ec", 8}};
    const struct quadhsm_attribute private_attributes[] = {{CKA_TOKEN, &yes, 1},
                                                           {CKA_LABEL, "bench-ec", 8}};
    const struct quadhsm_mechanism mechanism = {.type = CKM_EC_KEY_PAIR_GEN};
    struct quadhsm_object *public_key = NULL;
    int err = quadhsm_generate_pair(bench->token, &mechanism, public_attributes, 3,
                                    private_attributes, 2, &public_key, ret_private);

    quadhsm_object_free(public_key);
    return err;
}

static int make_rsa(struct bench *bench, struct quadhsm_object **ret_private)
{
    static const uint8_t yes = 1;
    static const uint8_t bits[8] = {0x00, 0x08};
    const struct quadhsm_attribute public_attributes[] = {
        {CKA_TOKEN, &yes, 1}, {CKA_MODULUS_BITS, bits, sizeof bits}, {CKA_LABEL, "bench-rsa", 9}};
    const struct quadhsm_attribute private_attributes[] = {{CKA_TOKEN, &yes, 1},
                                                           {CKA_LABEL, "bench-rsa", 9}};
    const struct quadhsm_mechanism mechanism = {.type = CKM_RSA_PKCS_KEY_PAIR_GEN};
    struct quadhsm_object *public_key = NULL;
    int err = quadhsm_generate_pair(bench->token, &mechanism, public_attributes, 3,
                                    private_attributes, 2, &public_key, ret_private);

    quadhsm_object_free(public_key);
    return err;
}

static int make_aes(struct bench *bench, struct quadhsm_object **ret_key)
{
    static const uint8_t yes = 1;
    static const uint8_t size[8] = {32};
    const struct quadhsm_attribute attributes[] = {
        {CKA_TOKEN, &yes, 1}, {CKA_VALUE_LEN, size, sizeof size}, {CKA_LABEL, "bench-aes", 9}};
    const struct quadhsm_mechanism mechanism = {.type = CKM_AES_KEY_GEN};

    return quadhsm_generate(bench->token, &mechanism, attributes, 3, ret_key);
}

static int run_once(struct load *load)
{
    static const uint8_t digest[32] = {1, 2, 3};
    static const uint8_t text[DATA_SIZE];
    static const uint8_t iv[12] = {4};
    struct quadhsm_token *token = load->bench->token;
    uint8_t out[DATA_SIZE + 64];
    size_t size;

    switch (load->kind) {
    case KIND_RSA:
        return quadhsm_sign(token, load->key,
                            &(struct quadhsm_mechanism){.type = CKM_SHA256_RSA_PKCS}, digest,
                            sizeof digest, out, sizeof out, &size);
    case KIND_EC:
        return quadhsm_sign(token, load->key, &(struct quadhsm_mechanism){.type = CKM_ECDSA},
                            digest, sizeof digest, out, sizeof out, &size);
    case KIND_GCM:
        return quadhsm_encrypt(
            token, load->key,
            &(struct quadhsm_mechanism){
                .type = CKM_AES_GCM, .iv = iv, .iv_size = sizeof iv, .tag_bits = 128},
            text, sizeof text, out, sizeof out, &size);
    case KIND_CREATE: {
        struct quadhsm_object *key = NULL;
        int err = make_ec(load->bench, &key);

        quadhsm_object_free(key);
        return err;
    }
    case KINDS:
        break;
    }
    return QUADHSM_EINVAL;
}

static void *run_load(void *data)
{
    struct load *load = data;

    while (load->count < SAMPLES_MAX) {
        uint64_t from = clock_monotonic_ns();
        uint64_t until;

        if (from >= load->until_ns) {
            break;
        }
        if (run_once(load) != QUADHSM_OK) {
            load->failures++;
        }
        until = clock_monotonic_ns();
        load->latency_us[load->count++] = (uint32_t)((until - from) / 1000);
    }
    return NULL;
}

static int compare_samples(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return a < b ? -1 : a > b;
}

struct result {
    double per_second, p50_us, p99_us, node_us;
    unsigned failures;
};

static struct result summarize(struct load *loads, unsigned threads, uint64_t elapsed_ns,
                               uint64_t cpu_ns)
{
    struct result result = {0};
    uint32_t *all;
    size_t count = 0;

    for (unsigned i = 0; i < threads; i++) {
        count += loads[i].count;
        result.failures += loads[i].failures;
    }
    need(count > 0, "no operation succeeded");
    all = calloc(count, sizeof *all);
    need(all != NULL, "memory");
    count = 0;
    for (unsigned i = 0; i < threads; i++) {
        memcpy(all + count, loads[i].latency_us, loads[i].count * sizeof *all);
        count += loads[i].count;
    }
    qsort(all, count, sizeof *all, compare_samples);
    result.per_second = (double)count * 1e9 / (double)elapsed_ns;
    result.p50_us = all[count / 2];
    result.p99_us = all[count * 99 / 100];
    result.node_us = (double)cpu_ns / 1000.0 / (double)count;
    free(all);
    return result;
}

static struct result measure(struct bench *bench, enum kind kind, const struct quadhsm_object *key,
                             unsigned threads)
{
    static struct load loads[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    uint64_t from_ns = clock_monotonic_ns();
    uint64_t cpu_ns = node_cpu_ns(bench->options.pid);
    struct result result;

    for (unsigned i = 0; i < threads; i++) {
        loads[i] = (struct load){.bench = bench,
                                 .kind = kind,
                                 .key = key,
                                 .until_ns = from_ns + bench->options.seconds * 1000000000ull,
                                 .latency_us = calloc(SAMPLES_MAX, sizeof(uint32_t))};
        need(loads[i].latency_us != NULL, "memory");
        need(pthread_create(&ids[i], NULL, run_load, &loads[i]) == 0, "a thread");
    }
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
    }
    result = summarize(loads, threads, clock_monotonic_ns() - from_ns,
                       node_cpu_ns(bench->options.pid) - cpu_ns);
    for (unsigned i = 0; i < threads; i++) {
        free(loads[i].latency_us);
    }
    return result;
}

static void destroy_all(struct bench *bench, const char *label)
{
    const struct quadhsm_attribute attribute = {CKA_LABEL, label, strlen(label)};
    struct quadhsm_object **list = NULL;
    size_t count = 0;

    if (quadhsm_find(bench->token, &attribute, 1, 0, &list, &count) == QUADHSM_OK) {
        for (size_t i = 0; i < count; i++) {
            (void)quadhsm_destroy(bench->token, list[i]->id);
        }
        quadhsm_objects_free(list, count);
    }
}

static void print_row(enum kind kind, unsigned threads, const struct result *result,
                      double reference_us)
{
    (void)printf("%-20s %7u %10.0f %9.0f %9.0f %10.1f %10.1f %7.2f\n", kind_names[kind], threads,
                 result->per_second, result->p50_us, result->p99_us, result->node_us, reference_us,
                 result->node_us / reference_us);
    (void)fflush(stdout);
    need(result->failures == 0, "operations failed");
}

static void run_bench(struct bench *bench)
{
    double reference_ns[KINDS] = {
        [KIND_RSA] = reference_sign_ns(EVP_RSA_gen(2048), true),
        [KIND_EC] = reference_sign_ns(EVP_EC_gen("P-256"), false),
        [KIND_GCM] = reference_gcm_ns(),
        [KIND_CREATE] = measure_reference(generate_step, NULL),
    };
    struct quadhsm_object *keys[KINDS] = {0};

    need(make_rsa(bench, &keys[KIND_RSA]) == QUADHSM_OK, "an RSA key");
    need(make_ec(bench, &keys[KIND_EC]) == QUADHSM_OK, "an EC key");
    need(make_aes(bench, &keys[KIND_GCM]) == QUADHSM_OK, "an AES key");
    (void)printf("%-20s %7s %10s %9s %9s %10s %10s %7s\n", "", "threads", "ops/s", "p50 us",
                 "p99 us", "node us/op", "openssl us", "ratio");
    for (unsigned kind = 0; kind < KINDS; kind++) {
        const unsigned counts[] = {1, bench->options.threads};

        for (unsigned i = 0; i < 2; i++) {
            struct result result = measure(bench, (enum kind)kind, keys[kind], counts[i]);

            print_row((enum kind)kind, counts[i], &result, reference_ns[kind] / 1000.0);
        }
    }
    for (unsigned kind = 0; kind < KINDS; kind++) {
        quadhsm_object_free(keys[kind]);
    }
    destroy_all(bench, "bench-rsa");
    destroy_all(bench, "bench-aes");
    destroy_all(bench, "bench-ec");
}

static void log_in(struct bench *bench)
{
    char pin[256];
    FILE *file = fopen(bench->options.pin_file, "re");
    size_t size;

    need(file != NULL, "the PIN's file cannot be read");
    size = fread(pin, 1, sizeof pin, file);
    (void)fclose(file);
    while (size > 0 && (pin[size - 1] == '\n' || pin[size - 1] == '\r')) {
        size--;
    }
    need(quadhsm_login(bench->token, QUADHSM_CO, pin, size) == QUADHSM_OK, "login");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"partition", required_argument, NULL, 'p'},
        {"pin-file", required_argument, NULL, 'f'},
        {"pid", required_argument, NULL, 'i'},
        {"threads", required_argument, NULL, 't'},
        {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    struct bench bench = {.options = {.threads = 8, .seconds = 3}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            bench.options.config = optarg;
            break;
        case 'p':
            bench.options.partition = optarg;
            break;
        case 'f':
            bench.options.pin_file = optarg;
            break;
        case 'i':
            bench.options.pid = optarg;
            break;
        case 't':
            bench.options.threads = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            bench.options.seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            return 2;
        }
    }
    if (bench.options.partition == NULL || bench.options.pin_file == NULL ||
        bench.options.pid == NULL || bench.options.threads == 0 ||
        bench.options.threads > THREADS_MAX || bench.options.seconds == 0) {
        (void)fprintf(stderr, "usage: qh-bench-service [--config FILE] --partition NAME --pin-file "
                              "FILE --pid PID [--threads 1..64] [--seconds N]\n");
        return 2;
    }
    need(quadhsm_open(bench.options.config, &bench.handle) == QUADHSM_OK, "open");
    need(quadhsm_token_open_name(bench.handle, bench.options.partition, &bench.token) == QUADHSM_OK,
         "partition");
    log_in(&bench);
    run_bench(&bench);
    quadhsm_token_close(bench.token);
    quadhsm_close(bench.handle);
    return 0;
}
