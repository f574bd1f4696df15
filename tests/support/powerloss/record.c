/*
 * Records what a process does to the files below one folder, in the order in which it does it, so that a test can
 * replay it as a disk would have kept it when the power went.
 *
 * Loaded with LD_PRELOAD. POWERLOSS_FOLDER names the folder, absolute and without links; POWERLOSS_LOG names the log.
 * An entry of the log is a `struct entry`, the name of the file within the folder, and what was written. The memory
 * that SQLite shares between processes (`-shm`) is made anew after a crash, and left out.
 *
 * POWERLOSS_DIE_AFTER, where it is a number, kills the process after so many entries; POWERLOSS_DIE_AT_SYNC when so many
 * files were to be synced, before the last of them is.
 *
 * Nothing is really synced: that is for the replay to decide, and makes the recording faster.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX 4096
/* Above what the process itself opens. */
#define LOG_FD_MIN 900

struct entry {
    uint32_t kind;
    uint32_t name_bytes;
    uint64_t offset;
    uint64_t data_bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *names[FILES_MAX];
static char folder[PATH_MAX];
static int log_fd = -1;
/* Entries, and files to be synced, until the process is killed; 0: it is not. */
static long entries_left, syncs_left;

__attribute__((constructor)) static void begin(void) {
    const char *wanted = getenv("POWERLOSS_FOLDER"), *path = getenv("POWERLOSS_LOG");
    if (!wanted || !path || strlen(wanted) >= sizeof folder) return;
    strcpy(folder, wanted);
    const char *entries = getenv("POWERLOSS_DIE_AFTER"), *syncs = getenv("POWERLOSS_DIE_AT_SYNC");
    entries_left = entries ? atol(entries) : 0;
    syncs_left = syncs ? atol(syncs) : 0;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) abort();
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD_MIN);
    syscall(SYS_close, fd);
}

/* The name below the folder, in memory of its own; NULL for everything else. The folder itself is "". */
static char *below(const char *path) {
    char whole[2 * PATH_MAX];
    if (log_fd < 0 || !path) return NULL;
    if (path[0] == '/') {
        if (strlen(path) >= sizeof whole) return NULL;
        strcpy(whole, path);
    } else {
        if (!getcwd(whole, PATH_MAX)) return NULL;
        strcat(whole, "/");
        while (path[0] == '.' && path[1] == '/') path += 2;
        strncat(whole, strcmp(path, ".") ? path : "", PATH_MAX - 1);
    }
    size_t length = strlen(folder), end = strlen(whole);
    while (end > 1 && whole[end - 1] == '/') whole[--end] = 0;
    if (strncmp(whole, folder, length)) return NULL;
    if (whole[length] == 0) return strdup("");
    if (whole[length] != '/') return NULL;
    if (end > 4 && !strcmp(whole + end - 4, "-shm")) return NULL;
    return strdup(whole + length + 1);
}

static void die_at_zero(long *left) {
    if (*left > 0 && --*left == 0) kill(getpid(), SIGKILL);
}

static void put(const void *bytes, size_t length) {
    const char *from = bytes;
    while (length > 0) {
        ssize_t written = syscall(SYS_write, log_fd, from, length);
        if (written <= 0) abort();
        from += written;
        length -= written;
    }
}

/* One write for the head and the name: whoever looks at the length of the log sees whole entries or their data. */
static void note(char kind, const char *name, uint64_t offset, const void *data, uint64_t bytes) {
    struct entry entry = {kind, strlen(name), offset, bytes};
    size_t length = sizeof entry + entry.name_bytes + bytes;
    char *whole = malloc(length);
    if (!whole) abort();
    memcpy(whole, &entry, sizeof entry);
    memcpy(whole + sizeof entry, name, entry.name_bytes);
    if (bytes) memcpy(whole + sizeof entry + entry.name_bytes, data, bytes);
    put(whole, length);
    free(whole);
    die_at_zero(&entries_left);
}

static const char *name_of(int fd) { return fd >= 0 && fd < FILES_MAX ? names[fd] : NULL; }

static void forget(int fd) {
    if (fd < 0 || fd >= FILES_MAX) return;
    free(names[fd]);
    names[fd] = NULL;
}

static int open_at(int at, const char *path, int flags, mode_t mode) {
    char *name = at == AT_FDCWD || path[0] == '/' ? below(path) : NULL;
    if (!name) return syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat before;
    int is_new = (flags & O_CREAT) && stat(path, &before) != 0;
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && fd < FILES_MAX) {
        if (is_new) note('C', name, 0, NULL, 0);
        else if (flags & O_TRUNC) note('T', name, 0, NULL, 0);
        forget(fd);
        names[fd] = name;
        name = NULL;
    }
    pthread_mutex_unlock(&lock);
    free(name);
    return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(function)                                              \
    int function(const char *path, int flags, ...) {                \
        va_list arguments;                                          \
        va_start(arguments, flags);                                 \
        mode_t mode = mode_of(flags, arguments);                    \
        va_end(arguments);                                          \
        return open_at(AT_FDCWD, path, flags, mode);                \
    }
#define OPENAT(function)                                            \
    int function(int at, const char *path, int flags, ...) {        \
        va_list arguments;                                          \
        va_start(arguments, flags);                                 \
        mode_t mode = mode_of(flags, arguments);                    \
        va_end(arguments);                                          \
        return open_at(at, path, flags, mode);                      \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    pthread_mutex_lock(&lock);
    forget(fd);
    int outcome = syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return outcome;
}

static ssize_t write_at(int fd, const void *data, size_t bytes, off_t offset, int moves) {
    pthread_mutex_lock(&lock);
    const char *name = name_of(fd);
    if (name && moves) {
        int flags = fcntl(fd, F_GETFL);
        offset = lseek(fd, 0, flags & O_APPEND ? SEEK_END : SEEK_CUR);
    }
    ssize_t written = moves ? syscall(SYS_write, fd, data, bytes) : syscall(SYS_pwrite64, fd, data, bytes, offset);
    if (name && written > 0) note('W', name, offset, data, written);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t write(int fd, const void *data, size_t bytes) {
    /* A pipe or a socket may keep its writer waiting, and everybody else with it. */
    if (!name_of(fd)) return syscall(SYS_write, fd, data, bytes);
    return write_at(fd, data, bytes, 0, 1);
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) { return write_at(fd, data, bytes, offset, 0); }
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) { return write_at(fd, data, bytes, offset, 0); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!name_of(fd)) return syscall(SYS_writev, fd, parts, count);
    ssize_t total = 0;
    for (int part = 0; part < count; part++) {
        ssize_t written = write_at(fd, parts[part].iov_base, parts[part].iov_len, 0, 1);
        if (written < 0) return total ? total : written;
        total += written;
        if ((size_t)written < parts[part].iov_len) break;
    }
    return total;
}

static int cut_to(int fd, off_t length) {
    pthread_mutex_lock(&lock);
    int outcome = syscall(SYS_ftruncate, fd, length);
    if (outcome == 0 && name_of(fd)) note('T', name_of(fd), length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return outcome;
}
int ftruncate(int fd, off_t length) { return cut_to(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut_to(fd, length); }

static int sync_file(int fd, long call) {
    pthread_mutex_lock(&lock);
    const char *name = name_of(fd);
    struct stat now;
    if (name) die_at_zero(&syncs_left);
    if (name) note(fstat(fd, &now) == 0 && S_ISDIR(now.st_mode) ? 'D' : 'S', name, 0, NULL, 0);
    int is_ours = name != NULL;
    pthread_mutex_unlock(&lock);
    return is_ours ? 0 : syscall(call, fd);
}
int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

int rename(const char *from, const char *to) {
    char *old = below(from), *new = below(to);
    pthread_mutex_lock(&lock);
    int outcome = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (outcome == 0 && old && new) {
        note('R', old, 0, new, strlen(new));
        for (int fd = 0; fd < FILES_MAX; fd++) {
            if (names[fd] && !strcmp(names[fd], old)) {
                free(names[fd]);
                names[fd] = strdup(new);
            }
        }
    }
    pthread_mutex_unlock(&lock);
    free(old);
    free(new);
    return outcome;
}

int unlink(const char *path) {
    char *name = below(path);
    pthread_mutex_lock(&lock);
    int outcome = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (outcome == 0 && name) {
        note('U', name, 0, NULL, 0);
        /* What is written to it from now on is in no folder. */
        for (int fd = 0; fd < FILES_MAX; fd++) {
            if (names[fd] && !strcmp(names[fd], name)) forget(fd);
        }
    }
    pthread_mutex_unlock(&lock);
    free(name);
    return outcome;
}

int mkdir(const char *path, mode_t mode) {
    char *name = below(path);
    pthread_mutex_lock(&lock);
    int outcome = syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (outcome == 0 && name) note('M', name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    free(name);
    return outcome;
}
