/* Makes syncs untrue in a program that was not built for it (LD_PRELOAD).
 *
 * Goal: the power-cut suite has to notice each of these lies. LODGEPOLE_NO_SYNC says which:
 *   files    a sync of a regular file does nothing
 *   folders  a sync of a folder does nothing
 *   late     every sync is done, but a while after it was said to be: what is acknowledged before it
 *            is durable
 * The real functions are looked up behind ours, so everything else works as ever.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LATE_US 200000

typedef int (*sync_function)(int);

static sync_function real(const char *name) { return (sync_function)dlsym(RTLD_NEXT, name); }

static int is_mode(const char *mode) {
    const char *wanted = getenv("LODGEPOLE_NO_SYNC");
    return wanted != NULL && strcmp(wanted, mode) == 0;
}

static void *sync_later(void *file) {
    int descriptor = (int)(intptr_t)file;
    usleep(LATE_US);
    real("fsync")(descriptor);
    close(descriptor);
    return NULL;
}

/* Says that it is done; the descriptor is kept open until it is. */
static int lie(int descriptor) {
    pthread_t thread;
    int kept = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (kept < 0)
        return -1;
    if (pthread_create(&thread, NULL, sync_later, (void *)(intptr_t)kept) != 0) {
        close(kept);
        return real("fsync")(descriptor);
    }
    pthread_detach(thread);
    return 0;
}

static int sync_or_not(const char *name, int descriptor) {
    struct stat about;
    if (fstat(descriptor, &about) == 0) {
        if (is_mode("files") && S_ISREG(about.st_mode))
            return 0;
        if (is_mode("folders") && S_ISDIR(about.st_mode))
            return 0;
        if (is_mode("late"))
            return lie(descriptor);
    }
    return real(name)(descriptor);
}

int fsync(int descriptor) { return sync_or_not("fsync", descriptor); }

int fdatasync(int descriptor) { return sync_or_not("fdatasync", descriptor); }

int syncfs(int descriptor) {
    return is_mode("files") || is_mode("late") ? 0 : real("syncfs")(descriptor);
}

int sync_file_range(int descriptor, off64_t offset, off64_t count, unsigned int flags) {
    typedef int (*range_function)(int, off64_t, off64_t, unsigned int);
    if (is_mode("files") || is_mode("late"))
        return 0;
    return ((range_function)dlsym(RTLD_NEXT, "sync_file_range"))(descriptor, offset, count, flags);
}
