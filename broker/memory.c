/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/memory.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define S_PATH_MAX 4096

static uint64_t s_least (uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static uint64_t s_of_resource (__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit (resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

/*  Reads a limit; "max", or no file, is no limit.  */
static uint64_t s_of_file (const char *path)
{
    char text[32];
    char *rest;
    FILE *file = fopen (path, "re");
    if (!file)
        return UINT64_MAX;
    bool filled = fgets (text, sizeof text, file) != NULL;
    fclose (file);
    uint64_t bytes = filled ? strtoull (text, &rest, 10) : 0;
    return filled && rest != text ? bytes : UINT64_MAX;
}

/*  Returns the least limit of a group and its parents. In a container the process's own group may
    appear as the root.  */
static uint64_t s_of_groups (const char *root, char *group, const char *name)
{
    char path[S_PATH_MAX + 128];
    uint64_t least = UINT64_MAX;
    for (char *end = group + strlen (group); end; end = strrchr (group, '/')) {
        *end = '\0';
        snprintf (path, sizeof path, "%s%s/%s", root, group, name);
        least = s_least (least, s_of_file (path));
    }
    return least;
}

uint64_t rp_memory_allowed (void)
{
    uint64_t least = s_least (s_of_resource (RLIMIT_AS), s_of_resource (RLIMIT_DATA));
    FILE *file = fopen ("/proc/self/cgroup", "re");
    char line[S_PATH_MAX];
    while (file && fgets (line, sizeof line, file)) { // "0::/GROUP" or "NUMBER:memory:/GROUP"
        line[strcspn (line, "\n")] = '\0';
        char *group = strchr (line, '/');
        if (group && strncmp (line, "0::", 3) == 0)
            least = s_least (least, s_of_groups ("/sys/fs/cgroup", group, "memory.max"));
        else if (group && strstr (line, ":memory:"))
            least = s_least (
              least, s_of_groups ("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
    if (file)
        fclose (file);
    return least;
}

void rp_memory_reserve_little (void)
{
    if (s_of_resource (RLIMIT_AS) != UINT64_MAX)
        mallopt (M_ARENA_MAX, 1);
}
