/* Assertions that are always on. For programmer errors only: bytes from the
 * network, the disk or the log get errors, since an assertion on a committed
 * entry would stop every node at once. */
#ifndef QH_BASE_ASSERT_H
#define QH_BASE_ASSERT_H

/* One condition each, so that the message says which one. */
#define QH_ASSERT(condition) \
    ((condition) ? (void)0 : base_assert_fail(#condition, __FILE__, __LINE__, __func__))

/* Print to stderr and abort. */
_Noreturn void base_assert_fail(const char *expression, const char *file, int line,
                                const char *function);

#endif
