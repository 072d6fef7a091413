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
    X(QH_EREFUSED, 23, "refused by the cluster's policy")                          \
    X(QH_ELOCKED, 24, "the node is locked: it has no cluster key")                 \
    X(QH_ENOTENROLLED, 25, "the client's certificate is not enrolled")             \
    X(QH_EPIN, 26, "wrong PIN or password")                                        \
    X(QH_EPINLOCKED, 27, "the role is locked after too many wrong PINs")           \
    X(QH_EPINRANGE, 28, "the PIN is too short or too long")                        \
    X(QH_ENOPIN, 29, "the role has no PIN yet")                                    \
    X(QH_ETICKET, 30, "the login has ended: log in again")                         \
    X(QH_ENOLOGIN, 31, "a login is needed")                                        \
    X(QH_ENOQUORUM, 32, "no majority of the nodes can be reached: changes wait")   \
    X(QH_ESTALE, 33, "the node is too far behind")                                 \
    X(QH_ECONFLICT, 34, "changed by somebody else at the same time")               \
    X(QH_EUNSUPPORTED, 35, "not supported")                                        \
    X(QH_EMECHANISM, 36, "the mechanism is unknown or does not fit the function")  \
    X(QH_EPARAMETER, 37, "the mechanism's parameter is invalid")                   \
    X(QH_EKEYTYPE, 38, "the key's type does not fit the mechanism")                \
    X(QH_EKEYUSE, 39, "the key's attributes do not allow this use")                \
    X(QH_EKEYSIZE, 40, "the key's size is out of range")                           \
    X(QH_ECURVE, 41, "the curve is not supported")                                 \
    X(QH_EDATA, 42, "the data is invalid for the mechanism")                       \
    X(QH_EDATASIZE, 43, "the data's size is invalid for the mechanism")            \
    X(QH_ESIGNATURE, 44, "the signature is invalid")                               \
    X(QH_ESIGNATURESIZE, 45, "the signature's size is invalid")                    \
    X(QH_ECIPHERTEXT, 46, "the encrypted data is invalid")                         \
    X(QH_ECIPHERTEXTSIZE, 47, "the encrypted data's size is invalid")              \
    X(QH_ETEMPLATE, 48, "the template contradicts itself or the function")         \
    X(QH_EINCOMPLETE, 49, "the template lacks an attribute")                       \
    X(QH_EATTRIBUTE, 50, "there is no such attribute")                             \
    X(QH_EATTRVALUE, 51, "the attribute's value is invalid")                       \
    X(QH_EREADONLY, 52, "the attribute or object cannot be changed")               \
    X(QH_EROOM, 53, "the buffer is too small")                                     \
    X(QH_EUNINITIALIZED, 54, "the node belongs to no cluster yet")                 \
    X(QH_ECONFIG, 55, "the configuration is invalid")                              \
    X(QH_EUNEXTRACTABLE, 56, "the key's CKA_EXTRACTABLE is false")                 \
    X(QH_ENOTWRAPPABLE, 57, "the key cannot be wrapped by this one")               \
    X(QH_EWRAPPED, 58, "the wrapped key is invalid")                               \
    X(QH_EWRAPPEDSIZE, 59, "the wrapped key's size is invalid")                    \
    X(QH_EPOLICY, 60, "the partition's policy forbids it")                         \
    X(QH_EWRAPTEMPLATE, 61, "the key does not match the wrapping key's CKA_WRAP_TEMPLATE")

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
