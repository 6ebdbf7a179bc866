/*  Replays a corpus through a fuzzer, as an ordinary test.

    SPDX-License-Identifier: MPL-2.0

    fuzz_NAME [--every N] DIRECTORY...  runs every file of the directories as it is, cut at every
    length up to CUT_MAX bytes, and with every bit of its first FLIP_MAX bytes flipped; --every N:
    at each Nth length, and each Nth bit, unless RIPOSTE_LONG is set. What a fuzzer has found
    (script/fuzz --keep names it by its hash) runs as it is. Each input lies in a block of exactly
    its size, so that the address sanitizer finds a read beyond its end.
*/

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUT_MAX 256u
#define FLIP_MAX 64u
#define FILE_MAX (1u << 20)
#define HASH_SIZE 40u

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static size_t s_every = 1;

static void *s_allocate (size_t size)
{
    void *block = malloc (size > 0 ? size : 1);
    if (!block) {
        fprintf (stderr, "out of memory\n");
        exit (1);
    }
    return block;
}

/*  flipped: number of the bit to flip; SIZE_MAX: none.  */
static void s_run (const uint8_t *data, size_t size, size_t flipped)
{
    uint8_t *copy = s_allocate (size);
    if (size > 0)
        memcpy (copy, data, size);
    if (flipped != SIZE_MAX)
        copy[flipped / 8] ^= (uint8_t) (1u << flipped % 8);
    LLVMFuzzerTestOneInput (copy, size);
    free (copy);
}

static bool s_is_found (const char *path)
{
    const char *name = strrchr (path, '/') + 1;
    return strlen (name) == HASH_SIZE && strspn (name, "0123456789abcdef") == HASH_SIZE;
}

static size_t s_replay (const uint8_t *data, size_t size, bool found)
{
    size_t runs = 1;
    s_run (data, size, SIZE_MAX);
    if (found)
        return runs;
    for (size_t cut = 0; cut < size && cut <= CUT_MAX; cut += s_every, runs++)
        s_run (data, cut, SIZE_MAX);
    for (size_t bit = 0; bit / 8 < size && bit / 8 < FLIP_MAX; bit += s_every, runs++)
        s_run (data, size, bit);
    return runs;
}

/*  Returns how often the fuzzer ran; 0 when the file could not be read.  */
static size_t s_replay_file (const char *path)
{
    FILE *file = fopen (path, "rb");
    if (!file) {
        fprintf (stderr, "%s: %s\n", path, strerror (errno));
        return 0;
    }
    uint8_t *data = s_allocate (FILE_MAX);
    size_t size = fread (data, 1, FILE_MAX, file);
    size_t runs = 0;
    if (ferror (file))
        fprintf (stderr, "%s: cannot be read\n", path);
    else
        runs = s_replay (data, size, s_is_found (path));
    fclose (file);
    free (data);
    return runs;
}

/*  Returns 0 if every file of the directory was run, and there was at least one.  */
static int s_replay_directory (const char *name)
{
    DIR *directory = opendir (name);
    if (!directory) {
        fprintf (stderr, "%s: %s\n", name, strerror (errno));
        return 1;
    }
    size_t files = 0;
    size_t runs = 0;
    int rc = 0;
    for (struct dirent *entry; (entry = readdir (directory));) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf (path, sizeof path, "%s/%s", name, entry->d_name);
        size_t more = s_replay_file (path);
        rc |= more == 0;
        runs += more;
        files++;
    }
    closedir (directory);
    printf ("%s: %zu files, %zu runs\n", name, files, runs);
    if (files == 0)
        fprintf (stderr, "%s: no corpus\n", name);
    return rc | (files == 0);
}

int main (int argc, char **argv)
{
    int first = 1;
    if (argc > 3 && strcmp (argv[1], "--every") == 0) {
        first = 3;
        if (!getenv ("RIPOSTE_LONG"))
            s_every = strtoul (argv[2], NULL, 10);
    }
    int rc = argc <= first || s_every == 0;
    for (int index = first; index < argc && s_every > 0; index++)
        rc |= s_replay_directory (argv[index]);
    return rc;
}
