/* The one list of error codes. What it is not: a place for messages that name
 * files or peers; those are logged where the decision is made. */
#ifndef QH_BASE_ERR_H
#define QH_BASE_ERR_H

/* name, number (stable on the wire: append only, never renumber), message */
#define QH_ERR_TABLE(X)                                                            \
    X(QH_OK, 0, "success")                                                         \
    X(QH_ENOMEM, 1, "out of memory")                                               \
    X(QH_EINVAL, 2, "invalid argument")                                            \
    X(QH_ELIMIT, 3, "a named limit would be exceeded")                             \
    X(QH_ESYSTEM, 4, "an operating system call failed")                            \
    X(QH_EIO, 5, "reading or writing the disk failed")                             \
    X(QH_ENOSPACE, 6, "no space left on the disk")                                 \
    X(QH_ECORRUPT, 7, "stored data is damaged")                                    \
    X(QH_EMALFORMED, 8, "received data does not follow its format")                \
    X(QH_EVERSION, 9, "unsupported version")                                       \
    X(QH_ENOTFOUND, 10, "not found")                                               \
    X(QH_EEXIST, 11, "exists already")                                             \
    X(QH_ENOTLEADER, 12, "this node does not lead the cluster")                    \
    X(QH_EUNKNOWN, 13, "sent, but no answer seen: the outcome is unknown")         \
    X(QH_ETIMEOUT, 14, "the deadline passed before anything was sent")             \
    X(QH_EBUSY, 15, "too much is under way; try again")                            \
    X(QH_ECANCELED, 16, "canceled because the node is stopping")                   \
    X(QH_ECONN, 17, "no connection")                                               \
    X(QH_ETLS, 18, "TLS failed")                                                   \
    X(QH_EPEER, 19, "the peer is not who it should be")                            \
    X(QH_EGENERATION, 20, "the peer belongs to another generation of the cluster") \
    X(QH_EROLLEDBACK, 21, "the node's disk was rolled back or replaced")           \
    X(QH_EPERM, 22, "not permitted")                                               \
    X(QH_EREFUSED, 23, "refused by the cluster's policy")

enum qh_err {
#define QH_ERR_ENUM(name, number, message) name = number,
    QH_ERR_TABLE(QH_ERR_ENUM)
#undef QH_ERR_ENUM
};

/* The return type of every function that can fail; ignoring it is a warning. */
#define QH_RESULT __attribute__((warn_unused_result)) enum qh_err

/* The message of @err, in English, without a full stop.
 * Owns: static storage. Thread: any. An unknown number has a message too. */
const char *err_message(enum qh_err err);

/* The name of @err as written in the source, such as "QH_EIO". Thread: any. */
const char *err_name(enum qh_err err);

/* Translate a positive errno. Thread: any. */
enum qh_err err_from_errno(int errnum);

#endif
