/* Child processes of the torture drivers: none of them outlives its driver.
 *
 * What it is not: a supervisor. Who ends and who is started again is the caller's business. */
#ifndef QH_TESTS_TORTURE_PROCESS_H
#define QH_TESTS_TORTURE_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/* The path of a program that was built beside this one, or in @folder beside this one's folder
 * ("" for the same). free() it. Aborts without memory. */
char *process_path(const char *folder, const char *program);

/* Start argv[0] with standard output and error appended to @log_path. Aborts if there can be no
 * new process: a driver without processes shows nothing. */
pid_t process_spawn(char *const argv[], const char *log_path);

/* Run argv[0] to its end and keep the first bytes of what it wrote (output and error together).
 * Returns the exit status, or 128 and the signal's number. */
int process_run(char *const argv[], char *ret_output, size_t room);

/* "exit status 3", "killed by signal 9". @status is one of waitpid(). */
void process_describe(int status, char *ret_text, size_t room);

/* Remove @dir and everything in it, staying on its file system. */
void process_remove_tree(const char *dir);

/* asprintf() that aborts without memory. */
char *process_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
