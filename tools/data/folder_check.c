#include <stdlib.h>
#include <string.h>

#include "data/folder.h"
#include "formats/image.h"
#include "support/file.h"

/* Files of one chunk: they share a buffer. */
enum { CHUNK = 8 };

struct check {
    const struct gm_image_files *files;
    char **messages; /* [files], NULL for a good one */
    bool *no_memory; /* [chunks] */
};

static bool check_file(const struct gm_image_files *files, int64_t i, gm_image *image, char **message)
{
    gm_error error;
    const gm_status status = gm_image_read(files->paths.items[i], image, &error);
    if (status == GM_OK)
        return true;
    *message = strdup(error.message);
    return status != GM_OUT_OF_MEMORY && *message;
}

static void check_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct check *check = arg;
    const int64_t count = check->files->paths.count, begin = chunk * CHUNK;
    const int64_t end = begin + CHUNK < count ? begin + CHUNK : count;
    gm_image image = {0};
    for (int64_t i = begin; i < end && !check->no_memory[chunk]; i++)
        if (check->files->parts[i] != GM_PART_OUT)
            check->no_memory[chunk] = !check_file(check->files, i, &image, &check->messages[i]);
    gm_image_free(&image);
}

static gm_status leave_out(struct gm_image_files *files, int64_t file, const char *message, struct gm_texts *skipped,
                           gm_error *error)
{
    files->parts[file] = GM_PART_OUT;
    return gm_texts_add(skipped, message, strlen(message), error);
}

/* Which ones are bad depends on the files alone, and so do their messages' order and the rows that remain. */
static gm_status decode_all(struct gm_image_files *files, gm_context *context, struct gm_texts *skipped,
                            gm_error *error)
{
    const int64_t count = files->paths.count, chunks = (count + CHUNK - 1) / CHUNK;
    char **messages = calloc((size_t)count, sizeof *messages);
    bool *no_memory = calloc((size_t)chunks, sizeof *no_memory);
    gm_status status = GM_OK;
    if (!messages || !no_memory) {
        status = gm_file_no_memory(error, files->folder, (size_t)count * sizeof *messages);
        goto fail;
    }
    struct check check = {files, messages, no_memory};
    if (context)
        gm_context_parallel_for(context, chunks, check_chunk, &check);
    for (int64_t c = 0; !context && c < chunks; c++)
        check_chunk(&check, c, 0);
    for (int64_t c = 0; c < chunks && status == GM_OK; c++)
        if (no_memory[c])
            status = gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory to check its images", files->folder);
    for (int64_t i = 0; i < count && status == GM_OK; i++)
        if (messages[i])
            status = leave_out(files, i, messages[i], skipped, error);
fail:
    for (int64_t i = 0; messages && i < count; i++)
        free(messages[i]);
    free(messages);
    free(no_memory);
    return status;
}

gm_status gm_image_files_check(struct gm_image_files *files, gm_context *context, bool skip, struct gm_texts *skipped,
                               gm_error *error)
{
    for (int64_t i = 0; i < files->paths.count; i++) {
        const char *path = files->paths.items[i];
        if (files->parts[i] == GM_PART_OUT || gm_image_is_decoded(path))
            continue;
        gm_error reason;
        const gm_status status = gm_error_set(&reason, GM_BAD_DATA, "%s: only JPEG and PNG files are decoded", path);
        if (!skip)
            return gm_error_set(error, status, "%s; convert or remove it, or pass --skip-bad-images", reason.message);
        const gm_status left_out = leave_out(files, i, reason.message, skipped, error);
        if (left_out != GM_OK)
            return left_out;
    }
    return skip ? decode_all(files, context, skipped, error) : GM_OK;
}
