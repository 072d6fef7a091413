/* What a fuzz target looks like: one function, called with bytes from nowhere.
 *
 * A target calls the parser under test and checks what it promises with
 * QH_ASSERT; it keeps nothing from one call to the next. With --enable-fuzz libFuzzer
 * calls it, in every other build replay.c does. */
#ifndef QH_TESTS_FUZZ_FUZZ_H
#define QH_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The largest input that either driver makes, in bytes. */
#define FUZZ_INPUT_SIZE_MAX 65536u

/* @data has exactly @size bytes and may be read during the call. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
